"""The parameters of a Clara pipeline: `${{ name }}` anywhere in it, ours only where a stage may refer to one."""

import re
from collections.abc import Mapping
from typing import Any

from clara_ops.contract.conf import CONF_KEYS
from clara_ops.workflow.importing.imported import Json, Notes
from clara_ops.workflow.parameters import LONGEST_TEXT, literal
from clara_ops.workflow.yaml_source import KeyPath

_PLACEHOLDER = re.compile(r"\$\{\{\s*([\w.-]+)\s*\}\}")
_INTEGER_DIGITS = 18
_NOT_IN_A_NAME = re.compile(r"[^a-z0-9]+")


class PipelineParameters:
    """What a pipeline declares, and where it is used.

    In `command` and `variables` of an operator a placeholder stays what it is; elsewhere it is fixed at its default.
    """

    def __init__(self, declared: Any, notes: Notes) -> None:
        given = declared if isinstance(declared, Mapping) else {}
        self._defaults = {name: "" if value is None else str(value) for name, value in given.items()}
        self._names = {name: _own_name(name) for name in self._defaults}
        self._used: set[str] = set()
        self._notes = notes

    @property
    def declarations(self) -> Json:
        """Those that stages refer to, as a workflow declares them."""
        return {
            self._names[name]: {**_kind(self._defaults[name]), "help": f"parameter {name} of the pipeline"}
            for name in self._defaults
            if name in self._used
        }

    def fixed(self, data: Any, path: KeyPath) -> Any:
        """The data with defaults in the place of placeholders, but where a stage may refer to parameters."""
        if isinstance(data, dict):
            return {key: self.fixed(value, (*path, key)) for key, value in data.items()}
        if isinstance(data, list):
            return [self.fixed(value, (*path, index)) for index, value in enumerate(data)]
        return data if not isinstance(data, str) or _may_refer(path) else self.text(data, path)

    def text(self, text: str, path: KeyPath) -> str:
        """A text with defaults in the place of its placeholders."""
        return _PLACEHOLDER.sub(lambda match: self._default(match[1], path), text)

    def reference(self, text: str, path: KeyPath) -> str:
        """A text as a stage's `args` and `env` have it, with references in the place of its placeholders."""
        parts: list[str] = []
        end = 0
        for match in _PLACEHOLDER.finditer(text):
            parts.append(literal(text[end : match.start()]))
            parts.append(self._reference(match[1], path, begins=match.start() == 0))
            end = match.end()
        return "".join(parts) + literal(text[end:])

    def has_reference(self, text: str) -> bool:
        """Whether a text has a placeholder."""
        return _PLACEHOLDER.search(text) is not None

    def _reference(self, name: str, path: KeyPath, *, begins: bool) -> str:
        default = self._defaults.get(name)
        is_text = default is not None and _kind(default)["type"] == "text"
        usable = default is not None and default.isprintable() and len(default) <= LONGEST_TEXT
        if not usable or (begins and is_text):
            return literal(self._default(name, path))
        self._used.add(name)
        return f"${{{self._names[name]}}}"

    def _default(self, name: str, path: KeyPath) -> str:
        if name not in self._defaults:
            self._notes.add(path, f"placeholder {name!r} has no default under 'parameters'; it is left empty")
            return ""
        self._notes.add(path, f"parameter {name!r} is fixed here at its default {self._defaults[name]!r}")
        return self._defaults[name]


def _may_refer(path: KeyPath) -> bool:
    return path[:1] == ("operators",) and (path[2:4] == ("container", "command") or path[2:3] == ("variables",))


def _own_name(name: str) -> str:
    made = _NOT_IN_A_NAME.sub("_", name.lower()).strip("_")[:50]
    return made if made[:1].isalpha() and made not in CONF_KEYS else f"parameter_{made}".rstrip("_")


def _kind(default: str) -> Json:
    """Type and default: a whole number where the text is one to the letter."""
    if len(default) < _INTEGER_DIGITS and default.removeprefix("-").isdecimal() and str(int(default)) == default:
        return {"type": "integer", "default": int(default)}
    return {"type": "text", "default": default}
