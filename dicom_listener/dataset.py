"""The few elements of a data set that the listener reads, and the file meta information that it writes.

The data set itself is never decoded or encoded again: its bytes go to disk as they came.
"""

import mmap
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from dicom_listener.errors import ListenerError

VERIFICATION: Final = "1.2.840.10008.1.1"
DEFLATED: Final = "1.2.840.10008.1.2.1.99"
IMPLICIT: Final = "1.2.840.10008.1.2"
BIG_ENDIAN: Final = "1.2.840.10008.1.2.2"

IMPLEMENTATION_CLASS_UID: Final = "2.25.151372826842404284116529287183209426881"
IMPLEMENTATION_VERSION_NAME: Final = "CLARA_LISTENER_1"

_SOP_CLASS, _SOP_INSTANCE, _MODALITY, _BODY_PART = 0x00080016, 0x00080018, 0x00080060, 0x00180015
_STUDY, _SERIES, _NUMBER, _POSITION, _ORIENTATION = 0x0020000D, 0x0020000E, 0x00200013, 0x00200032, 0x00200037
_IN_SERIES = 0x00201209
_WANTED: Final = frozenset(
    (_SOP_CLASS, _SOP_INSTANCE, _MODALITY, _BODY_PART, _STUDY, _SERIES, _NUMBER, _POSITION, _ORIENTATION, _IN_SERIES)
)
_LONG_FORM: Final = frozenset(
    (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
)
_UNDEFINED: Final = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_DEEPEST: Final = 32
_META_START: Final = 144  # preamble, prefix, and the group length element
_UID_CHARACTERS: Final = frozenset("0123456789.")


class DatasetError(ListenerError):
    """The bytes are not a data set that can be stored."""


class Truncated(DatasetError):
    """The bytes end before the last element of interest."""


@dataclass(frozen=True)
class Header:
    """What an instance says of itself.

    Attributes:
        number: Instance Number (0020,0013).
        position: Image Position (Patient) along the slice normal, mm.
        orientation: Image Orientation (Patient) as text, three decimals, so that equal ones compare equal.
        announced: Number of Series Related Instances (0020,1209).
        group_value: the element that was asked for, as it stands.
    """

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    modality: str | None
    body_part: str | None
    number: int | None
    position: float | None
    orientation: str | None
    announced: int | None
    group_value: bytes | None


def read_header(data: memoryview, transfer_syntax: str, *, whole: bool = True, group_tag: int | None = None) -> Header:
    """Read the header elements of a data set.

    Args:
        data: the encoded data set, or enough of its beginning.
        transfer_syntax: its Transfer Syntax UID.
        group_tag: one more element to read.
        whole: `data` is all there is; else its end, before the last element of interest, is no end.

    Raises:
        Truncated: `data` ends too early.
        DatasetError: it is not a data set, or one of the four UIDs is missing or not a UID.
    """
    if transfer_syntax == DEFLATED:
        data = memoryview(_inflate(data))
    scanner = _Scanner(data, explicit=transfer_syntax != IMPLICIT, little=transfer_syntax != BIG_ENDIAN)
    wanted = _WANTED if group_tag is None else _WANTED | {group_tag}
    values = scanner.scan(wanted, whole=whole)
    position, orientation = _geometry(values)
    return Header(
        sop_class_uid=_uid(values, _SOP_CLASS, "SOP Class UID"),
        sop_instance_uid=_uid(values, _SOP_INSTANCE, "SOP Instance UID"),
        study_instance_uid=_uid(values, _STUDY, "Study Instance UID"),
        series_instance_uid=_uid(values, _SERIES, "Series Instance UID"),
        modality=_text(values, _MODALITY),
        body_part=_text(values, _BODY_PART),
        number=_integer(values, _NUMBER),
        position=position,
        orientation=orientation,
        announced=_integer(values, _IN_SERIES),
        group_value=None if group_tag is None else values.get(group_tag, b"").strip(b" \0") or None,
    )


def read_elements(path: Path, wanted: frozenset[int]) -> tuple[dict[int, bytes], bool]:
    """Elements of the top level of a stored file, and whether their numbers are little endian.

    Only the pages of the file before the last wanted element are touched.

    Raises:
        DatasetError: the file is damaged.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        transfer_syntax = skip_file_meta(file).decode("ascii", "replace")
        start = file.tell()
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped, memoryview(mapped) as whole:
            data = memoryview(_inflate(whole[start:])) if transfer_syntax == DEFLATED else whole[start:]
            with data:
                little = transfer_syntax != BIG_ENDIAN
                scanner = _Scanner(data, explicit=transfer_syntax != IMPLICIT, little=little)
                return scanner.scan(wanted, whole=True), little


def is_storable_uid(value: str) -> bool:
    """Whether a UID can be stored: at most 64 digits and dots. Laxer than the standard: leading zeros do occur."""
    return 1 <= len(value) <= 64 and set(value) <= _UID_CHARACTERS and value[0] != "."


def plane(orientation: str) -> str:
    """axial, coronal, sagittal or oblique, of an orientation as `Header` has it."""
    normal = _normal([float(part) for part in orientation.split("\\")])
    for name, component in zip(("sagittal", "coronal", "axial"), normal, strict=True):
        if abs(component) > 0.9:
            return name
    return "oblique"


def file_meta(sop_class: str, sop_instance: str, transfer_syntax: str, calling_ae: str) -> bytes:
    """Preamble, prefix and File Meta Information (DICOM PS3.10 section 7.1) for a data set received by network."""
    body = b"".join(
        (
            _element(0x0001, b"OB", b"\x00\x01"),
            _element(0x0002, b"UI", sop_class.encode("ascii")),
            _element(0x0003, b"UI", sop_instance.encode("ascii")),
            _element(0x0010, b"UI", transfer_syntax.encode("ascii")),
            _element(0x0012, b"UI", IMPLEMENTATION_CLASS_UID.encode("ascii")),
            _element(0x0013, b"SH", IMPLEMENTATION_VERSION_NAME.encode("ascii")),
            _element(0x0016, b"AE", calling_ae.encode("ascii", "replace")),
        )
    )
    return b"\x00" * 128 + b"DICM" + _element(0x0000, b"UL", struct.pack("<L", len(body))) + body


def skip_file_meta(file: IO[bytes]) -> bytes:
    """Move behind the File Meta Information that `file_meta` wrote; answers the Transfer Syntax UID.

    Raises:
        DatasetError: the file does not begin like that.
    """
    start = file.read(_META_START)
    if start[128:132] != b"DICM" or len(start) < _META_START:
        raise DatasetError("the file does not begin with File Meta Information")
    meta = file.read(struct.unpack_from("<L", start, _META_START - 4)[0])
    values = dict(_meta_elements(meta))
    return values.get(0x0010, b"")


def _meta_elements(meta: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset + 8 <= len(meta):
        element, vr, length = struct.unpack_from("<H2sH", meta, offset + 2)
        offset += 8
        if vr == b"OB":
            (length,) = struct.unpack_from("<L", meta, offset)
            offset += 4
        yield element, meta[offset : offset + length].rstrip(b"\x00 ")
        offset += length


def _element(element: int, vr: bytes, value: bytes) -> bytes:
    if len(value) % 2:
        value += b"\x00" if vr == b"UI" else b" "
    if vr == b"OB":
        return struct.pack("<HH2sxxL", 2, element, vr, len(value)) + value
    return struct.pack("<HH2sH", 2, element, vr, len(value)) + value


def _inflate(data: memoryview) -> bytes:
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, 1 << 20)
    except zlib.error as error:
        raise DatasetError(f"the deflated data set cannot be inflated: {error}") from error


class _Scanner:
    """Walks the elements of a data set up to the last wanted one (DICOM PS3.5 section 7)."""

    def __init__(self, data: memoryview, *, explicit: bool, little: bool) -> None:
        order = "<" if little else ">"
        self._data = data
        self._size = len(data)
        self._explicit = explicit
        self._tag = struct.Struct(order + "HH").unpack_from
        self._short = struct.Struct(order + "H").unpack_from
        self._long = struct.Struct(order + "L").unpack_from

    def scan(self, wanted: frozenset[int], *, whole: bool) -> dict[int, bytes]:
        """Values of the wanted elements of the top level."""
        found: dict[int, bytes] = {}
        offset, last, final = 0, -1, max(wanted)
        while offset < self._size:
            tag, start, length = self._header(offset, self._explicit)
            if tag <= last:
                raise DatasetError(
                    f"element ({tag >> 16:04X},{tag & 0xFFFF:04X}) is out of order: not a DICOM data set"
                )
            if tag > final:
                break
            last = tag
            if length == _UNDEFINED:
                offset = self._skip_sequence(start, self._nested_explicit(offset), 1)
                continue
            offset = start + length
            if tag in wanted:
                if offset > self._size:
                    raise Truncated("the data set ends in the middle of an element")
                found[tag] = bytes(self._data[start:offset])
        else:
            if offset > self._size or not whole:
                raise Truncated("the data set ends in the middle of an element")
        return found

    def _header(self, offset: int, explicit: bool) -> tuple[int, int, int]:
        """Tag, where the value starts, and its length."""
        if offset + 8 > self._size:
            raise Truncated("the data set ends in the middle of an element")
        group, element = self._tag(self._data, offset)
        tag = group << 16 | element
        if not explicit or group == 0xFFFE:
            return tag, offset + 8, self._long(self._data, offset + 4)[0]
        vr = bytes(self._data[offset + 4 : offset + 6])
        if vr in _LONG_FORM:
            if offset + 12 > self._size:
                raise Truncated("the data set ends in the middle of an element")
            return tag, offset + 12, self._long(self._data, offset + 8)[0]
        if not (vr.isalpha() and vr.isupper()):
            raise DatasetError(f"element ({group:04X},{element:04X}) has no value representation: not a DICOM data set")
        return tag, offset + 8, self._short(self._data, offset + 6)[0]

    def _nested_explicit(self, offset: int) -> bool:
        """UN of undefined length holds implicit VR items whatever the transfer syntax (DICOM PS3.5 section 6.2.2)."""
        return self._explicit and bytes(self._data[offset + 4 : offset + 6]) != b"UN"

    def _skip_sequence(self, offset: int, explicit: bool, depth: int) -> int:
        if depth > _DEEPEST:
            raise DatasetError(f"sequences are nested more than {_DEEPEST} deep")
        while True:
            tag, start, length = self._header(offset, explicit)
            if tag == _SEQUENCE_END:
                return start
            if tag != _ITEM:
                raise DatasetError("a sequence holds something else than items: not a DICOM data set")
            offset = self._skip_item(start, explicit, depth) if length == _UNDEFINED else start + length

    def _skip_item(self, offset: int, explicit: bool, depth: int) -> int:
        while True:
            tag, start, length = self._header(offset, explicit)
            if tag == _ITEM_END:
                return start
            if length == _UNDEFINED:
                nested = explicit and bytes(self._data[offset + 4 : offset + 6]) != b"UN"
                offset = self._skip_sequence(start, nested, depth + 1)
            else:
                offset = start + length


def _text(values: Mapping[int, bytes], tag: int) -> str | None:
    text = values.get(tag, b"").decode("ascii", "replace").split("\\")[0].strip(" \0")
    return text[:16] or None


def _uid(values: Mapping[int, bytes], tag: int, name: str) -> str:
    value = values.get(tag, b"").decode("ascii", "replace").rstrip(" \0")
    if not is_storable_uid(value):
        raise DatasetError(f"{name} is missing or not a UID")
    return value


def _integer(values: Mapping[int, bytes], tag: int) -> int | None:
    try:
        number = int(values.get(tag, b"").strip(b" \0"))
    except ValueError:
        return None
    return number if abs(number) < 1 << 31 else None


def _numbers(values: Mapping[int, bytes], tag: int, count: int) -> list[float] | None:
    parts = values.get(tag, b"").strip(b" \0").split(b"\\")
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        return None
    return numbers if len(numbers) == count and all(abs(number) < 1e9 for number in numbers) else None


def _geometry(values: Mapping[int, bytes]) -> tuple[float | None, str | None]:
    orientation = _numbers(values, _ORIENTATION, 6)
    if orientation is None:
        return None, None
    text = "\\".join(f"{component + 0.0:.3f}" for component in (round(part, 3) for part in orientation))
    position = _numbers(values, _POSITION, 3)
    if position is None:
        return None, text
    normal = _normal(orientation)
    return round(sum(a * b for a, b in zip(normal, position, strict=True)), 4), text


def _normal(orientation: list[float]) -> tuple[float, float, float]:
    (ax, ay, az), (bx, by, bz) = orientation[:3], orientation[3:]
    return ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
