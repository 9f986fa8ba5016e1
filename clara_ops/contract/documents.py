"""Strict JSON for frozen dataclasses: one way to write and to read every document of the contract.

A document class says its `DOCUMENT_VERSION`; the file carries it as `version`. Unknown keys are refused, so that a
typing error or a newer document is noticed where it is read.
"""

import dataclasses
import json
import os
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

from clara_ops.contract.errors import DocumentError


class Document(Protocol):
    """A frozen dataclass that is stored as a JSON object of its own."""

    __dataclass_fields__: ClassVar[dict[str, Any]]
    DOCUMENT_VERSION: ClassVar[int]


D = TypeVar("D", bound=Document)


def to_json(document: Document) -> dict[str, Any]:
    """The document as plain data, `version` first. Fields that are None are left out."""
    body = _plain(document)
    return {"version": document.DOCUMENT_VERSION, **body}


def from_json(kind: type[D], data: object, where: str) -> D:
    """Build a document from plain data.

    Args:
        kind: the document's class.
        data: what was parsed from JSON.
        where: file or address, for the message.

    Raises:
        DocumentError: a key is missing or unknown, a type does not fit, or the version is another.
    """
    if not isinstance(data, Mapping):
        raise DocumentError(f"{where}: expected a JSON object for {kind.__name__}, found {type(data).__name__}")
    body = dict(data)
    version = body.pop("version", None)
    if version != kind.DOCUMENT_VERSION:
        raise DocumentError(
            f"{where}: {kind.__name__} has version {version!r}, this release reads version {kind.DOCUMENT_VERSION}; "
            "run the release that wrote it, or write it again"
        )
    built: D = _build(kind, body, f"{where}: {kind.__name__}")
    return built


def read_document(kind: type[D], path: Path) -> D:
    """Read a document from a file.

    Raises:
        FileNotFoundError: there is no such file.
        DocumentError: the file is not JSON, or not of the document's form.
    """
    try:
        data = json.loads(path.read_bytes())
    except UnicodeDecodeError as error:
        raise DocumentError(f"{path}: not UTF-8: {error.reason} at byte {error.start}") from error
    except json.JSONDecodeError as error:
        raise DocumentError(f"{path}:{error.lineno}:{error.colno}: not JSON: {error.msg}") from error
    return from_json(kind, data, str(path))


def write_document(document: Document, path: Path) -> None:
    """Write a document so that a reader sees all of it or nothing, after a power cut too."""
    write_durably(path, json.dumps(to_json(document), indent=1, ensure_ascii=False).encode() + b"\n")


def write_durably(path: Path, content: bytes) -> None:
    """Put `content` at `path` atomically; when this returns, bytes and name survive a power cut."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        pairs = ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))
        return {name: _plain(item) for name, item in pairs if item is not None}
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return value


def _build(kind: Any, data: Any, where: str) -> Any:
    origin = typing.get_origin(kind)
    if origin in (types.UnionType, typing.Union):
        return _build_union(typing.get_args(kind), data, where)
    if origin is tuple:
        return _build_tuple(typing.get_args(kind), data, where)
    if origin in (dict, Mapping):
        if not isinstance(data, Mapping):
            raise DocumentError(f"{where}: expected an object, found {data!r}")
        value_kind = typing.get_args(kind)[1]
        return {str(name): _build(value_kind, item, f"{where}.{name}") for name, item in data.items()}
    if dataclasses.is_dataclass(kind):
        return _build_dataclass(kind, data, where)
    if kind is float and isinstance(data, int) and not isinstance(data, bool):
        return float(data)
    if kind is Any or (isinstance(data, kind) and not (kind is int and isinstance(data, bool))):
        return data
    raise DocumentError(f"{where}: expected {kind.__name__}, found {data!r}")


def _build_dataclass(kind: Any, data: Any, where: str) -> Any:
    if not isinstance(data, Mapping):
        raise DocumentError(f"{where}: expected an object, found {data!r}")
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    unknown = sorted(set(data) - set(fields))
    if unknown:
        raise DocumentError(f"{where}: unknown key {unknown[0]!r}; known are {', '.join(fields)}")
    optional = {
        name
        for name, field in fields.items()
        if field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
    }
    missing = [name for name in fields if name not in data and name not in optional]
    if missing:
        raise DocumentError(f"{where}: key {missing[0]!r} is missing")
    return kind(**{name: _build(hints[name], item, f"{where}.{name}") for name, item in data.items()})


def _build_tuple(kinds: tuple[Any, ...], data: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(data, (list, tuple)):
        raise DocumentError(f"{where}: expected a list, found {data!r}")
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        return tuple(_build(kinds[0], item, f"{where}[{index}]") for index, item in enumerate(data))
    if len(kinds) != len(data):
        raise DocumentError(f"{where}: expected {len(kinds)} items, found {len(data)}")
    return tuple(_build(kind, item, f"{where}[{i}]") for i, (kind, item) in enumerate(zip(kinds, data, strict=True)))


def _build_union(kinds: tuple[Any, ...], data: Any, where: str) -> Any:
    if data is None and type(None) in kinds:
        return None
    errors = []
    for kind in kinds:
        if kind is type(None):
            continue
        try:
            return _build(kind, data, where)
        except DocumentError as error:
            errors.append(str(error))
    raise DocumentError(errors[0])
