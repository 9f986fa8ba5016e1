"""Adds a stage to a catalogue file: lines are put in, and not one of the user's is touched.

ruamel.yaml says where each part of the file stands; rewriting the file through it would move comments.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from clara_ops.cli.errors import CatalogueFileError
from clara_ops.contract.names import check_dns_label

INDENTATION = 2

Source: TypeAlias = "str | Mapping[str, Source]"
"""A YAML value as text, or a mapping of such values in their order."""


Present: TypeAlias = Mapping[str, tuple[Node, Node]]
"""Key and value nodes of a mapping, by key."""

NULLS = ("", "~", "null", "Null", "NULL")


@dataclass(frozen=True)
class Addition:
    """A file's new text, and the keys that were added, for example `stages.user-ai.timeout`; none when it had all."""

    text: str
    keys: tuple[str, ...]


@dataclass(frozen=True)
class _Edit:
    """Text to put in at an offset of the file, in place of the `length` characters there."""

    offset: int
    text: str
    keys: tuple[str, ...] = ()
    length: int = 0

    @property
    def column(self) -> int:
        """How far the text is indented."""
        return len(self.text) - len(self.text.lstrip(" "))


def new_entry(name: str) -> Mapping[str, Source]:
    """What `./clara-wf cs NAME` wrote in 2019: keys, order, quotes and values."""
    return {
        "image": {"repository": name, "tag": "latest"},
        "input": {"name": '"input"'},
        "output": {"name": '"output"'},
        "stageName": f'"{name}"',
        "appDir": '"/app"',
        "inputLock": '"/app/locks/input.lock"',
        "inputs": '"input"',
        "logName": f'"/app/logs/{name}.log"',
        "outputs": '"output"',
        "lockDir": '"/app/locks"',
        "lockName": f'"{name}.lock"',
        "timeout": '"300"',
    }


def add_stage(text: str, name: str, file: str) -> Addition:
    """Put a stage into a catalogue; of one that is there only the missing keys, each at its place.

    Args:
        text: the file's content.
        name: the stage.
        file: what messages call the file.

    Raises:
        NameRuleError: the name is not one for a stage.
        CatalogueFileError: not YAML, or of a form that a stage cannot be added to.
    """
    check_dns_label(name, "stage")
    if text and not text.endswith("\n"):
        text += "\n"
    wanted: Mapping[str, Source] = {"stages": {name: new_entry(name)}}
    root = _compose(text, file)
    if root is None:
        return Addition(text + _block(wanted, 0), (f"stages.{name}",))
    edits = list(_Completion(text, file).of_mapping(root, wanted, ()))
    # at one place, what belongs to the value above (deeper) comes before the next key
    edits.sort(key=lambda edit: (edit.offset, -edit.column))
    for edit in reversed(edits):
        text = text[: edit.offset] + edit.text + text[edit.offset + edit.length :]
    return Addition(text, tuple(key for edit in edits for key in edit.keys))


class _Completion:
    """Finds what has to be put in so that a mapping has all wanted keys."""

    def __init__(self, text: str, file: str) -> None:
        self._file = file
        self._lines = text.splitlines(keepends=True)

    def of_mapping(self, node: Node, wanted: Mapping[str, Source], path: tuple[str, ...]) -> Iterator[_Edit]:
        """The edits for a mapping that may lack keys. `path` leads to it."""
        if not isinstance(node, MappingNode):
            raise self._not_a_mapping(node, path)
        present = {key.value: (key, value) for key, value in node.value}
        if node.flow_style:
            yield from self._of_flow(node, present, wanted, path)
            return
        column = node.value[0][0].start_mark.column
        offset = self._start_of_first(present, wanted, node)
        for name, source in wanted.items():
            place = (*path, name)
            if name not in present:
                yield _Edit(offset, _block({name: source}, column), (".".join(place),))
                continue
            key, value = present[name]
            offset = self._offset_after(value, key)
            if not isinstance(source, str):
                yield from self._of_value(key, value, source, place)

    def _of_value(self, key: Node, value: Node, wanted: Mapping[str, Source], path: tuple[str, ...]) -> Iterator[_Edit]:
        """The edits for a value that has to be a mapping; an empty one becomes a block."""
        if not _is_empty(value):
            yield from self.of_mapping(value, wanted, path)
            return
        length = value.end_mark.index - value.start_mark.index
        if length:
            yield _Edit(value.start_mark.index, "", length=length)
        block = _block(wanted, key.start_mark.column + INDENTATION)
        yield _Edit(self._offset_after(value, key), block, _keys(wanted, path))

    def _of_flow(
        self, node: MappingNode, present: Present, wanted: Mapping[str, Source], path: tuple[str, ...]
    ) -> Iterator[_Edit]:
        separator = ", " if present else ""
        for name, source in wanted.items():
            place = (*path, name)
            if name not in present:
                yield _Edit(node.end_mark.index - 1, f"{separator}{name}: {_flow(source)}", (".".join(place),))
                separator = ", "
                continue
            _, value = present[name]
            if isinstance(source, str):
                continue
            if _is_empty(value):
                length = value.end_mark.index - value.start_mark.index
                yield _Edit(value.start_mark.index, f" {_flow(source)}"[bool(length) :], _keys(source, place), length)
            else:
                yield from self.of_mapping(value, source, place)

    def _start_of_first(self, present: Present, wanted: Mapping[str, Source], node: MappingNode) -> int:
        """Where a key goes that stands before all wanted ones that are there; the end of the mapping without any."""
        for name in wanted:
            if name in present:
                return self._offset_of_line(present[name][0].start_mark.line)
        last_key, last_value = node.value[-1]
        return self._offset_after(last_value, last_key)

    def _offset_after(self, value: Node, key: Node) -> int:
        return self._offset_of_line(self._last_line(value, key) + 1)

    def _last_line(self, value: Node, key: Node) -> int:
        """The last line that belongs to a value; comments and blank lines after it do not."""
        if _is_null(value):
            return int(key.end_mark.line)
        if isinstance(value, MappingNode) and not value.flow_style:
            last_key, last_value = value.value[-1]
            return self._last_line(last_value, last_key)
        if isinstance(value, SequenceNode) and not value.flow_style:
            return self._last_line(value.value[-1], key)
        line: int = value.end_mark.line - (value.end_mark.column == 0)
        while not self._lines[line].strip():
            line -= 1
        return line

    def _offset_of_line(self, line: int) -> int:
        return sum(map(len, self._lines[:line]))

    def _not_a_mapping(self, node: Node, path: tuple[str, ...]) -> CatalogueFileError:
        what = ".".join(path) or "the file"
        mark = node.start_mark
        return CatalogueFileError(
            f"{self._file}:{mark.line + 1}:{mark.column + 1}: {what}: expected a mapping; "
            "a catalogue has 'stages:' with the stages' names below it"
        )


def _compose(text: str, file: str) -> Node | None:
    try:
        root: Node | None = YAML().compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise CatalogueFileError(f"{file}{where}: not YAML: {error.problem or error.context}") from error
    return root


def _is_null(node: Node) -> bool:
    return isinstance(node, ScalarNode) and not node.style and node.value in NULLS


def _is_empty(node: Node) -> bool:
    return _is_null(node) or (isinstance(node, MappingNode) and not node.value)


def _keys(mapping: Mapping[str, Source], path: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(".".join((*path, name)) for name in mapping)


def _block(mapping: Mapping[str, Source], column: int) -> str:
    """Lines of a mapping whose keys begin at a column."""
    lines = []
    for name, source in mapping.items():
        if isinstance(source, str):
            lines.append(f"{' ' * column}{name}: {source}\n")
        else:
            lines.append(f"{' ' * column}{name}:\n{_block(source, column + INDENTATION)}")
    return "".join(lines)


def _flow(source: Source) -> str:
    if isinstance(source, str):
        return source
    return "{" + ", ".join(f"{name}: {_flow(value)}" for name, value in source.items()) + "}"
