"""The header of one DICOM file as attributes by keyword, and where its pixels are: quickly where the file is plain."""

import struct
import zlib
from dataclasses import dataclass
from typing import Any, BinaryIO

import pydicom
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian

from clara_ops.imaging.header_keywords import KEYWORDS
from clara_ops.imaging.planes import Attributes
from clara_ops.imaging.quick_header import read_quickly

UNREADABLE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BytesLengthException,
    EOFError,
    InvalidDicomError,
    LookupError,
    NotImplementedError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
"""What pydicom raises on a file that is damaged: it has no one error for that."""

_PIXEL_KEYWORDS = {0x7FE00010: "PixelData", 0x7FE00008: "FloatPixelData", 0x7FE00009: "DoubleFloatPixelData"}


@dataclass(frozen=True)
class PixelElement:
    """Where the value of the pixels is in a file: DICOM PS3.5 section 7.1."""

    keyword: str
    vr: str
    offset: int
    length: int


@dataclass(frozen=True)
class RawHeader:
    """A header; `pixels` is None where the file has none, or where they have to be inflated first."""

    attributes: Attributes
    transfer_syntax_uid: str
    media_storage_sop_class_uid: str
    pixels: PixelElement | None

    def required(self, keyword: str) -> Any:
        """An attribute that has to be there.

        Raises:
            AttributeError: it is missing or empty.
        """
        found = self.attributes.get(keyword)
        if found is None or found == "":
            raise AttributeError(f"{keyword} is missing")
        return found


def read_raw_header(file: BinaryIO) -> RawHeader:
    """Read a header up to the pixels.

    Raises:
        one of UNREADABLE: it is damaged.
    """
    quick = read_quickly(file)
    if quick is None:
        file.seek(0)
        return _read_fully(file)
    pixels = PixelElement(
        _PIXEL_KEYWORDS[quick.pixel_tag], quick.pixel_vr or "OW", quick.pixel_offset, quick.pixel_length
    )
    return RawHeader(quick.attributes, quick.transfer_syntax_uid, quick.media_storage_sop_class_uid, pixels)


def _read_fully(file: BinaryIO) -> RawHeader:
    dataset = pydicom.dcmread(file, stop_before_pixels=True, force=True, specific_tags=list(KEYWORDS))
    syntax = UID(str(dataset.file_meta.get("TransferSyntaxUID") or ImplicitVRLittleEndian))
    media_class = str(dataset.file_meta.get("MediaStorageSOPClassUID") or "")
    knows_place = syntax.is_transfer_syntax and syntax != DeflatedExplicitVRLittleEndian
    return RawHeader(dataset, str(syntax), media_class, _pixel_element(file, syntax) if knows_place else None)


def _pixel_element(file: BinaryIO, syntax: UID) -> PixelElement | None:
    """The element at which the header ended (DICOM PS3.5 section 7.1)."""
    order = "<" if syntax.is_little_endian else ">"
    start = file.read(12)
    group, number = struct.unpack_from(f"{order}HH", start) if len(start) >= 8 else (0, 0)
    keyword = _PIXEL_KEYWORDS.get(group << 16 | number)
    if keyword is None:
        return None
    if syntax.is_implicit_VR:
        (length,) = struct.unpack_from(f"{order}I", start, 4)
        return PixelElement(keyword, "OW", file.tell() - len(start) + 8, length)
    (length,) = struct.unpack_from(f"{order}I", start, 8)
    return PixelElement(keyword, start[4:6].decode("ascii"), file.tell(), length)
