"""The header of one DICOM file as attributes by keyword, and where its pixels are: quickly where the file is plain."""

import struct
import zlib
from dataclasses import dataclass
from typing import Any, BinaryIO

from clara_ops.imaging.reading.planes import Attributes
from clara_ops.imaging.reading.quick_header import read_quickly

PIXEL_KEYWORDS = {0x7FE00010: "PixelData", 0x7FE00008: "FloatPixelData", 0x7FE00009: "DoubleFloatPixelData"}
"""By tag."""


def unreadable() -> tuple[type[Exception], ...]:
    """What pydicom and its plug-ins raise on a file that is damaged: pydicom has no one error for that.

    An `except` asks only when something was raised, so that plain files are read without pydicom.
    """
    from pydicom.errors import BytesLengthException, InvalidDicomError

    return (
        ArithmeticError,
        AssertionError,
        AttributeError,
        BytesLengthException,
        EOFError,
        InvalidDicomError,
        LookupError,
        OSError,
        RuntimeError,
        TypeError,
        ValueError,
        struct.error,
        zlib.error,
    )


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
        one of `unreadable`: it is damaged.
    """
    quick = read_quickly(file)
    if quick is None:
        from clara_ops.imaging.reading.full_header import read_fully  # here, because plain files do without pydicom

        file.seek(0)
        return read_fully(file)
    pixels = PixelElement(
        PIXEL_KEYWORDS[quick.pixel_tag], quick.pixel_vr or "OW", quick.pixel_offset, quick.pixel_length
    )
    return RawHeader(quick.attributes, quick.transfer_syntax_uid, quick.media_storage_sop_class_uid, pixels)
