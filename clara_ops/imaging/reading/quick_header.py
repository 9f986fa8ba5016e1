"""A header parser for plain files: much faster than a full one, and silent about whatever it is not sure of.

It takes explicit and implicit VR little endian files in the form of DICOM PS3.10 whose attributes of interest are
outside of sequences, in ASCII and with the VR of the dictionary. Any other file is for pydicom.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

from clara_ops.imaging.reading.header_keywords import KEYWORDS
from clara_ops.imaging.reading.header_tags import (
    ENCAPSULATED,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    TAGS,
)

_FIRST_READ = 1 << 16
_PREAMBLE = 132
_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
_MEDIA_STORAGE_SOP_CLASS_UID, _TRANSFER_SYNTAX_UID = 0x00020002, 0x00020010
_SHORT = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
_LONG = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_PLAIN = ENCAPSULATED | {IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN}

_read_tag = struct.Struct("<HH").unpack_from
_read_short = struct.Struct("<H").unpack_from
_read_long = struct.Struct("<I").unpack_from


class _NotSureError(Exception):
    """The file is not one of the plain ones."""


@dataclass(frozen=True)
class QuickHeader:
    """Attributes by keyword, and the pixel element: its tag, VR (empty where implicit), and the place of its value."""

    attributes: dict[str, Any]
    transfer_syntax_uid: str
    media_storage_sop_class_uid: str
    pixel_tag: int
    pixel_vr: str
    pixel_offset: int
    pixel_length: int


def read_quickly(file: BinaryIO) -> QuickHeader | None:
    """Read the header of a file from its beginning; None where only a full parser can be right about it."""
    try:
        content = file.read(_FIRST_READ)
        try:
            return _read(content)
        except struct.error:
            return _read(content + file.read())
    except (_NotSureError, struct.error, ValueError):
        return None


def _read(content: bytes) -> QuickHeader:
    if content[128:_PREAMBLE] != b"DICM":
        raise _NotSureError
    meta, position = _read_meta(content)
    syntax = meta.get(_TRANSFER_SYNTAX_UID, "")
    if syntax not in _PLAIN:
        raise _NotSureError
    implicit = syntax == IMPLICIT_VR_LITTLE_ENDIAN
    attributes: dict[str, Any] = {}
    previous = 0
    while True:
        tag, vr, length, value = _element(content, position, implicit)
        if tag in _PIXELS:
            media_class = meta.get(_MEDIA_STORAGE_SOP_CLASS_UID, "")
            return QuickHeader(attributes, syntax, media_class, tag, vr.decode(), value, length)
        if tag <= previous:
            raise _NotSureError
        previous = tag
        position = _after_undefined(content, value, vr, implicit) if length == _UNDEFINED else value + length
        wanted = _WANTED.get(tag)
        if wanted is not None:
            keyword, expected_vr, convert = wanted
            if vr not in (expected_vr, b""):
                raise _NotSureError
            if position > len(content):
                raise struct.error
            attributes[keyword] = convert(content[value:position])


def _read_meta(content: bytes) -> tuple[dict[int, str], int]:
    """The UIDs of the file meta information, which is always explicit VR little endian, and where it ends."""
    meta: dict[int, str] = {}
    position = _PREAMBLE
    while _read_short(content, position)[0] == 2:
        tag, _, length, value = _element(content, position, False)
        position = value + length
        if tag in (_MEDIA_STORAGE_SOP_CLASS_UID, _TRANSFER_SYNTAX_UID):
            meta[tag] = _text(content[value:position])
    return meta, position


def _element(content: bytes, position: int, implicit: bool) -> tuple[int, bytes, int, int]:
    """Tag, VR (empty where implicit), length and place of the value of the element at a position."""
    group, number = _read_tag(content, position)
    tag = group << 16 | number
    if implicit:
        return tag, b"", _read_long(content, position + 4)[0], position + 8
    vr = content[position + 4 : position + 6]
    if vr in _SHORT:
        return tag, vr, _read_short(content, position + 6)[0], position + 8
    if vr in _LONG:
        return tag, vr, _read_long(content, position + 8)[0], position + 12
    raise _NotSureError


def _after_undefined(content: bytes, position: int, vr: bytes, implicit: bool) -> int:
    """Where the items of a value of undefined length end (DICOM PS3.5 section 7.5)."""
    if vr == b"UN":
        raise _NotSureError
    while True:
        group, number = _read_tag(content, position)
        tag, (length,) = group << 16 | number, _read_long(content, position + 4)
        position += 8
        if tag == _SEQUENCE_END:
            return position
        if tag != _ITEM:
            raise _NotSureError
        position = _after_item(content, position, implicit) if length == _UNDEFINED else position + length


def _after_item(content: bytes, position: int, implicit: bool) -> int:
    while True:
        group, number = _read_tag(content, position)
        if group << 16 | number == _ITEM_END:
            return position + 8
        _, vr, length, value = _element(content, position, implicit)
        position = _after_undefined(content, value, vr, implicit) if length == _UNDEFINED else value + length


def _text(value: bytes) -> str:
    if not value.isascii() or b"\x1b" in value:
        raise _NotSureError
    return value.decode("ascii").rstrip("\0 ")


def _texts(value: bytes) -> str | list[str]:
    text = _text(value)
    return text.split("\\") if "\\" in text else text


def _whole(value: bytes) -> str | list[str]:
    """Integer strings in the one form that compares."""
    texts = _texts(value)
    if isinstance(texts, list):
        return [str(int(text)) for text in texts]
    return str(int(texts)) if texts else ""


def _unsigned_short(value: bytes) -> int:
    if len(value) != 2:
        raise _NotSureError
    return int.from_bytes(value, "little")


def _doubles(value: bytes) -> float | list[float]:
    numbers = list(struct.unpack(f"<{len(value) // 8}d", value))
    return numbers[0] if len(numbers) == 1 else numbers


def _floats(value: bytes) -> float | list[float]:
    numbers = list(struct.unpack(f"<{len(value) // 4}f", value))
    return numbers[0] if len(numbers) == 1 else numbers


def _has_items(value: bytes) -> bool:
    """What is asked of a sequence here; functional groups say more, and are for pydicom."""
    return len(value) >= 8 and _read_tag(value) == (_ITEM >> 16, _ITEM & 0xFFFF)


def _leave_to_pydicom(_: bytes) -> Any:
    raise _NotSureError


_CONVERT: dict[str, Callable[[bytes], Any]] = {
    "IS": _whole,
    "US": _unsigned_short,
    "FD": _doubles,
    "FL": _floats,
    "OV": bytes,
    "SQ": _leave_to_pydicom,
}


def _wanted(keyword: str) -> tuple[int, tuple[str, bytes, Callable[[bytes], Any]]]:
    tag, vr = TAGS[keyword]
    convert = _has_items if keyword == "ModalityLUTSequence" else _CONVERT.get(vr, _texts)
    return tag, (keyword, vr.encode(), convert)


_WANTED = dict(map(_wanted, KEYWORDS))
"""Keyword, VR and conversion of each attribute of interest, by tag."""
