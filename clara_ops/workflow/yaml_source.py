"""YAML with positions: plain data of a file, and where in the file each part of it stands.

Only what workflow files need is read: mappings, lists, text, numbers, true, false and null. Tags and merge keys are
refused, so that nothing but plain data comes out, and so is what JSON and databases cannot hold (control characters,
numbers that are not finite). Size, depth and number of parts are bounded, so that no file can exhaust the reader.
"""

import math
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import SafeConstructor
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceStartEvent,
)
from yaml.nodes import ScalarNode
from yaml.resolver import Resolver

from clara_ops.workflow.errors import Problem, WorkflowFileError

MAX_BYTES = 1_000_000
MAX_PARTS = 50_000
MAX_DEPTH = 40
MAX_MESSAGE = 600

KeyPath = tuple[str | int, ...]

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_RESOLVER: Any = Resolver()
_NOT_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_LARGEST_INTEGER = 2**63
_SCALAR_TAGS = {f"tag:yaml.org,2002:{kind}" for kind in ("bool", "float", "int", "null")}


@dataclass(frozen=True)
class Mark:
    """A place in a file; both count from 1."""

    line: int
    column: int


@dataclass(frozen=True)
class YamlSource:
    """Plain data together with the places of its values and of its mapping keys.

    Attributes:
        base: where in the file the data stands; `values` and `keys` are those of the whole file.
    """

    file: str
    data: Any
    values: Mapping[KeyPath, Mark] = field(repr=False)
    keys: Mapping[KeyPath, Mark] = field(repr=False)
    text: str = field(default="", repr=False)
    base: KeyPath = ()

    def problem(self, path: KeyPath, message: str, *, at_key: bool = False) -> Problem:
        """A problem at the value (or the key) that `path` leads to, or at the nearest part above it."""
        path = (*self.base, *path)
        mark = self.keys.get(path) if at_key else None
        while mark is None:
            mark = self.values.get(path)
            if mark is None and not path:
                mark = Mark(1, 1)
            path = path[:-1]
        return Problem(self.file, mark.line, mark.column, _shortened(message))

    def value_mark(self, path: KeyPath) -> Mark | None:
        """Where the value that `path` leads to begins; None where the file has none."""
        return self.values.get((*self.base, *path))

    def part(self, path: KeyPath) -> "YamlSource":
        """The part of the file below `path`, as a source of its own."""
        data = self.data
        for step in path:
            data = data[step]
        return replace(self, data=data, base=(*self.base, *path))


def file_name(path: Path) -> str:
    """What messages call a file: one line of text that can be printed, whatever bytes its name is made of."""
    name = str(path)
    return name if name.isprintable() else ascii(name)[1:-1]


def read_yaml(path: Path, name: str | None = None) -> YamlSource:
    """Read a YAML file.

    Args:
        path: the file.
        name: what messages call it; the path when not given.

    Raises:
        WorkflowFileError: not readable, not a file, too large, not UTF-8, not YAML, or YAML that is more than plain
            data.
    """
    file = name or file_name(path)
    return parse_yaml(read_content(path, file), file)


def read_content(path: Path, file: str) -> bytes:
    """The bytes of a file, no more than one too many, see `read_yaml`."""
    try:
        return _read(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise WorkflowFileError([Problem(file, 1, 1, f"cannot be read: {reason}")]) from error


def _read(path: Path) -> bytes:
    """One byte more than is allowed at most. A pipe or a device is not waited for.

    Raises:
        OSError, ValueError: the file cannot be opened, or is none.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("not a file with text")
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            return stream.read(MAX_BYTES + 1)
    finally:
        os.close(descriptor)


def parse_yaml(content: bytes, file: str) -> YamlSource:
    """Parse the bytes of a YAML file, see `read_yaml`."""
    if len(content) > MAX_BYTES:
        raise WorkflowFileError([Problem(file, 1, 1, f"larger than {MAX_BYTES} bytes; split it into several files")])
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - (content.rfind(b"\n", 0, error.start) + 1) + 1
        raise WorkflowFileError([Problem(file, line, column, "not UTF-8; save the file in UTF-8")]) from error
    try:
        return _Builder(file, text).build(yaml.parse(text, Loader=_LOADER))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise WorkflowFileError([Problem(file, line, column, f"not YAML: {error.problem or error.context}")]) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise WorkflowFileError([Problem(file, line, 1, f"not YAML: {error.reason}")]) from error


@dataclass(frozen=True)
class _Node:
    """A parsed part. `value` is a scalar, a list of nodes, or a list of (key node, node) pairs."""

    mark: Mark
    value: Any
    pairs: bool = False


class _Builder:
    """Builds nodes from parser events without recursion, then plain data with positions from the nodes."""

    def __init__(self, file: str, text: str) -> None:
        self._file = file
        self._text = text
        self._problems: list[Problem] = []
        self._values: dict[KeyPath, Mark] = {}
        self._keys: dict[KeyPath, Mark] = {}
        self._parts = 0

    def build(self, events: Iterator[Event]) -> YamlSource:
        root = self._read(events)
        self._parts = 0
        data = None if root is None else self._plain(root, ())
        if self._problems:
            raise WorkflowFileError(self._problems)
        return YamlSource(self._file, data, self._values, self._keys, self._text)

    def _fail(self, mark: Mark, message: str) -> WorkflowFileError:
        return WorkflowFileError([*self._problems, Problem(self._file, mark.line, mark.column, message)])

    def _read(self, events: Iterator[Event]) -> _Node | None:
        documents: list[_Node] = []
        open_nodes: list[_Node] = []
        anchors: dict[str | None, _Node] = {}
        for event in events:
            mark = _mark(event)
            if isinstance(event, DocumentStartEvent) and documents:
                raise self._fail(mark, "a second YAML document; put each workflow into a file of its own")
            if isinstance(event, CollectionEndEvent):
                open_nodes.pop()
            if not isinstance(event, NodeEvent):
                continue
            node = self._node(event, mark, anchors)
            self._count(mark)
            (open_nodes[-1].value if open_nodes else documents).append(node)
            if isinstance(event, (MappingStartEvent, SequenceStartEvent)):
                open_nodes.append(node)
                if len(open_nodes) > MAX_DEPTH:
                    raise self._fail(mark, f"nested deeper than {MAX_DEPTH} levels")
        return documents[0] if documents else None

    def _node(self, event: NodeEvent, mark: Mark, anchors: dict[str | None, _Node]) -> _Node:
        if isinstance(event, AliasEvent):
            node = anchors.get(event.anchor)
            if node is None:
                raise self._fail(mark, f"alias '*{event.anchor}' has no anchor '&{event.anchor}' before it")
            return node
        tag = getattr(event, "tag", None)
        if tag not in (None, "!"):
            raise self._fail(mark, f"tag {tag!r}: only plain data, without tags")
        if isinstance(event, ScalarEvent):
            if _NOT_TEXT.search(event.value):
                raise self._fail(mark, "text with a control character, or half a surrogate pair, in it; take it out")
            node = _Node(mark, _scalar(event))
            if isinstance(node.value, float) and not math.isfinite(node.value):
                raise self._fail(mark, f"{event.value} is not a finite number; put it in quotes if it is text")
        else:
            node = _Node(mark, [], pairs=isinstance(event, MappingStartEvent))
        if event.anchor is not None:
            anchors[event.anchor] = node
        return node

    def _count(self, mark: Mark) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise self._fail(mark, f"more than {MAX_PARTS} parts once its aliases are filled in; split the file")

    def _plain(self, node: _Node, path: KeyPath) -> Any:
        self._count(node.mark)
        if len(path) > MAX_DEPTH:
            raise self._fail(node.mark, f"nested deeper than {MAX_DEPTH} levels once its aliases are filled in")
        self._values[path] = node.mark
        if node.pairs:
            return self._mapping(node, path)
        if isinstance(node.value, list):
            return [self._plain(item, (*path, index)) for index, item in enumerate(node.value)]
        return node.value

    def _mapping(self, node: _Node, path: KeyPath) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in zip(node.value[::2], node.value[1::2], strict=True):
            key = self._key(key_node, path, result)
            if key is not None:
                place = (*path, key)
                self._keys[place] = key_node.mark
                result[key] = self._plain(value_node, place)
        return result

    def _key(self, node: _Node, path: KeyPath, known: Mapping[str, Any]) -> str | None:
        """The key as text; None, and a problem, where it cannot be one."""
        if isinstance(node.value, (list, float, bool)) or node.value is None:
            message = "a key has to be text; put it in quotes"
        elif node.value == "<<":
            message = "merge keys ('<<') are not read; write the keys out"
        elif str(node.value) in known:
            first = self._keys[*path, str(node.value)]
            message = (
                f"key {str(node.value)!r} stands here a second time (first in line {first.line}); remove one of the two"
            )
        else:
            return str(node.value)
        self._problems.append(Problem(self._file, node.mark.line, node.mark.column, _shortened(message)))
        return None


def _shortened(message: str) -> str:
    return message if len(message) <= MAX_MESSAGE else f"{message[:MAX_MESSAGE]}..."


def _mark(event: Event) -> Mark:
    begin = event.start_mark
    return Mark(begin.line + 1, begin.column + 1) if begin is not None else Mark(1, 1)


def _scalar(event: ScalarEvent) -> Any:
    """Text, or the number, truth value or null that plain text stands for.

    Dates stay text, and so do integers beyond 64 bits.
    """
    if not event.implicit[0]:
        return event.value
    tag = _RESOLVER.resolve(ScalarNode, event.value, (True, False))
    if tag not in _SCALAR_TAGS:
        return event.value
    try:
        value = SafeConstructor().construct_object(ScalarNode(tag, event.value))
    except (ValueError, OverflowError):
        return event.value
    return event.value if isinstance(value, int) and abs(value) >= _LARGEST_INTEGER else value
