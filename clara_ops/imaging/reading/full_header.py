"""The header of any DICOM file, by pydicom."""

import struct
from typing import BinaryIO

import pydicom
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian

from clara_ops.imaging.reading.header_keywords import KEYWORDS
from clara_ops.imaging.reading.raw_header import PIXEL_KEYWORDS, PixelElement, RawHeader


def read_fully(file: BinaryIO) -> RawHeader:
    """Read a header up to the pixels.

    Raises:
        one of `unreadable`: it is damaged.
    """
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
    keyword = PIXEL_KEYWORDS.get(group << 16 | number)
    if keyword is None:
        return None
    if syntax.is_implicit_VR:
        (length,) = struct.unpack_from(f"{order}I", start, 4)
        return PixelElement(keyword, "OW", file.tell() - len(start) + 8, length)
    (length,) = struct.unpack_from(f"{order}I", start, 8)
    return PixelElement(keyword, start[4:6].decode("ascii"), file.tell(), length)
