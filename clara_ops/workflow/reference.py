"""Writes `docs/workflow.md` and the JSON Schemas: `python -m clara_ops.workflow.reference`, or `make docs`.

The text is `reference.md`, beside this file. A line `@keys MODEL` in it becomes the table of a model's keys, `@models
MODEL` the tables of all models that it is made of; `@facts`, `@operators`, `@kleene all` and `@limits` are tables of
what the code says. A block of broken YAML is followed by what loading says of it.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from clara_ops.contract.conf import FACTS
from clara_ops.contract.evaluator import OPERATORS, evaluate
from clara_ops.workflow.catalogue import Catalogue, WorkflowTimeout, load_catalogue
from clara_ops.workflow.entry import CatalogueEntry
from clara_ops.workflow.errors import WorkflowFileError
from clara_ops.workflow.form2019 import Lines2019
from clara_ops.workflow.json_schema import catalogue_schema, workflow_schema
from clara_ops.workflow.loading import workflows_of
from clara_ops.workflow.meanings import meaning_of, models_in
from clara_ops.workflow.model import MAX_STAGES, WorkflowSpec
from clara_ops.workflow.yaml_source import MAX_BYTES, MAX_DEPTH, MAX_PARTS, parse_yaml

ROOT = Path(__file__).resolve().parents[2]
CATALOGUE = ROOT / "helm" / "clara-workflow" / "values.yaml"

_TEMPLATE = Path(__file__).with_name("reference.md")
_DIRECTIVE = re.compile(r"@(\w+)(?: (\w+))?")
_MODELS = models_in(WorkflowSpec, Lines2019, CatalogueEntry, WorkflowTimeout)
_TRUTH = {True: "true", False: "false", None: "unknown"}
_WORDS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "`true` or `false`",
    "array": "list",
    "object": "mapping",
}


def documents() -> Mapping[str, str]:
    """The text of each generated document, by its name in `docs/`."""
    return {
        "workflow.md": workflow_reference(load_catalogue([CATALOGUE])),
        "workflow.schema.json": json.dumps(workflow_schema(), indent=1) + "\n",
        "catalogue.schema.json": json.dumps(catalogue_schema(), indent=1) + "\n",
    }


def workflow_reference(catalogue: Catalogue) -> str:
    """The reference of workflow and catalogue files, as Markdown; its broken examples are held to the catalogue."""
    writer = _Writer(workflow_schema()["$defs"])
    parts: list[str] = []
    broken: list[str] | None = None
    for line in _TEMPLATE.read_text(encoding="utf-8").splitlines():
        directive = _DIRECTIVE.fullmatch(line)
        parts.append(writer.write(directive[1], directive[2]) if directive else line)
        if line == "```yaml broken":
            broken = []
        elif line == "```" and broken is not None:
            parts.append(f"\n```text\n{_said_of(broken, catalogue)}\n```")
            broken = None
        elif broken is not None:
            broken.append(line)
    return "\n".join(parts) + "\n"


def _said_of(lines: list[str], catalogue: Catalogue) -> str:
    try:
        workflows_of(parse_yaml("\n".join(lines).encode(), "broken.yaml"), catalogue)
    except WorkflowFileError as error:
        return str(error)
    raise ValueError(f"an example of a broken file is sound:\n{lines}")


class _Writer:
    """Writes what the directives stand for. A model that was written once is only linked to."""

    def __init__(self, definitions: Mapping[str, Any]) -> None:
        self._definitions = definitions
        self._written: set[str] = set()

    def write(self, directive: str, name: str | None) -> str:
        match directive, name:
            case "keys", str(model):
                self._written.add(model)
                return self._keys(model)
            case "models", str(model):
                return self._models(model)
            case "kleene", str(key):
                return _truth_table(key)
            case "facts", None:
                return _table(("fact", "meaning"), [(f"`{fact}`", text) for fact, text in FACTS.items()])
            case "operators", None:
                return _table(
                    ("op", "holds where the attribute is"), [(f"`{op}`", text) for op, text in OPERATORS.items()]
                )
            case "limits", None:
                return _LIMITS
        raise ValueError(f"{_TEMPLATE}: unknown directive @{directive} {name}")

    def _models(self, root: str) -> str:
        sections = []
        for name, model in models_in(_MODELS[root]).items():
            if name not in self._written:
                self._written.add(name)
                sections.append(f"### {_title(name)}\n\n{meaning_of(model)}\n\n{self._keys(name)}")
        return "\n\n".join(sections)

    def _keys(self, name: str) -> str:
        schema = self._definitions[name]
        rows = [
            (
                f"`{key}`",
                self._kind(described),
                "required" if key in schema.get("required", ()) else _default(described),
                described.get("description", ""),
            )
            for key, described in schema["properties"].items()
        ]
        return _table(("key", "type", "default", "meaning"), rows)

    def _kind(self, schema: Mapping[str, Any]) -> str:
        """A JSON Schema in words."""
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            return "[rule](#rules)" if name == "Rule" else f"[{_title(name).lower()}](#{_anchor(name)})"
        if "anyOf" in schema or "oneOf" in schema:
            kinds = [self._kind(option) for option in schema.get("anyOf") or schema["oneOf"]]
            return " or ".join(dict.fromkeys(kind for kind in kinds if kind != "nothing"))
        if "enum" in schema:
            return ", ".join(f"`{value}`" for value in schema["enum"])
        return self._plain_kind(schema)

    def _plain_kind(self, schema: Mapping[str, Any]) -> str:
        match schema.get("type"):
            case "array":
                return f"list of {self._kind(schema['items'])}" if "items" in schema else "list"
            case "object" if "additionalProperties" in schema and schema["additionalProperties"] is not True:
                return f"mapping of names to {self._kind(schema['additionalProperties'])}"
            case "integer" if "minimum" in schema:
                return (
                    f"whole number, {schema['minimum']} {f'to {top}' if (top := schema.get('maximum')) else 'or more'}"
                )
            case "null":
                return "nothing"
            case list(several):
                return " or ".join(_WORDS[kind] for kind in several)
            case str(kind) if "const" not in schema:
                return _WORDS[kind]
        return f"`{schema['const']}`" if "const" in schema else "anything"


def _default(schema: Mapping[str, Any]) -> str:
    value = schema.get("default") if "$ref" not in schema else None
    return f"`{json.dumps(value, ensure_ascii=False)}`" if value not in (None, "", [], {}) else ""


def _title(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z0-9])", " ", name.removesuffix("Spec")).capitalize()


def _anchor(name: str) -> str:
    return _title(name).lower().replace(" ", "-")


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def _truth_table(key: str) -> str:
    """`all` or `any` of two rules, as the evaluator judges it."""
    rule = {key: [{"attribute": side, "op": "eq", "value": True} for side in ("left", "right")]}
    rows = []
    for left, word in _TRUTH.items():
        verdicts = [evaluate(rule, {"left": left, "right": right}).value for right in _TRUTH]
        rows.append((f"**{word}**", *(_TRUTH[verdict] for verdict in verdicts)))
    return _table((f"`{key}`", *(f"**{word}**" for word in _TRUTH.values())), rows)


_LIMITS = _table(
    ("at most", ""),
    [
        ("stages in a workflow", f"{MAX_STAGES}"),
        ("bytes in a file", f"{MAX_BYTES:,}"),
        ("keys and values in a file, aliases filled in", f"{MAX_PARTS:,}"),
        ("levels of nesting", f"{MAX_DEPTH}"),
    ],
)


def main() -> None:
    """Write the documents into `docs/`."""
    for name, text in documents().items():
        (ROOT / "docs" / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
