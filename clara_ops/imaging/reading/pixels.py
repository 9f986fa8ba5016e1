"""Pixels of one frame: read, or decoded by pydicom's plug-ins, then turned into the values they stand for.

What needs pydicom is imported where it is needed: plain files are read without it, in half the time.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from clara_ops.imaging.errors import BrokenPixels, TruncatedPixelData, UnsupportedPixels
from clara_ops.imaging.reading.frames import Frame, PixelFormat
from clara_ops.imaging.reading.header_tags import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, NATIVE
from clara_ops.imaging.reading.raw_header import unreadable

_GREY = ("MONOCHROME1", "MONOCHROME2")
_PLAIN = (IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN)
_LARGEST_FRAME_BYTES = 1 << 29
"""A header that claims more would have decoders fill the memory, however short the file is."""
_INT16 = np.iinfo(np.int16)

Values = npt.NDArray[np.int16] | npt.NDArray[np.float32]


class BeyondInt16Error(Exception):
    """A frame whose values turned out not to fit int16, although its header could not tell."""


def check_pixels(frame: Frame) -> None:
    """Refuse, by the header alone, pixels that cannot become one value each.

    Raises:
        UnsupportedPixels: colour, palette, a layout of bits that DICOM does not define, frames beyond any device's
            size, or a rescale that makes all values one.
        MissingCodec: nothing that is installed decodes the transfer syntax.
    """
    pixels = frame.pixels
    if pixels.samples_per_pixel != 1 or pixels.photometric_interpretation not in _GREY:
        raise UnsupportedPixels(
            f"{frame}: pixels are {pixels.photometric_interpretation} of {pixels.samples_per_pixel} values each, "
            "but a volume needs one grey value (MONOCHROME1 or MONOCHROME2); leave this series out"
        )
    if not _is_defined_layout(pixels):
        raise UnsupportedPixels(
            f"{frame}: {pixels.keyword} with {pixels.bits_allocated} bits allocated, {pixels.bits_stored} stored, "
            f"high bit {pixels.high_bit}, pixel representation {pixels.pixel_representation}: "
            "not a layout of DICOM PS3.5 section 8.1.1; send the instance again from its source"
        )
    if frame.rows * frame.columns * pixels.bits_allocated // 8 > _LARGEST_FRAME_BYTES:
        raise UnsupportedPixels(
            f"{frame}: {frame.rows} rows x {frame.columns} columns are more than any device makes "
            f"(at most {_LARGEST_FRAME_BYTES >> 20} MiB a frame); send the instance again from its source"
        )
    if frame.slope == 0:
        raise UnsupportedPixels(
            f"{frame}: Rescale Slope is 0, by which all pixels would have one value; "
            "send the instance again from its source"
        )
    if pixels.transfer_syntax_uid not in NATIVE:
        from clara_ops.imaging.reading.decoding import check_codec

        check_codec(frame)


def _is_defined_layout(pixels: PixelFormat) -> bool:
    return (
        pixels.keyword == "PixelData"
        and pixels.bits_allocated in (1, 8, 16, 32)
        and 1 <= pixels.bits_stored <= pixels.bits_allocated
        and pixels.high_bit == pixels.bits_stored - 1
        and pixels.pixel_representation in (0, 1)
    )


def values_dtype(frames: Sequence[Frame]) -> npt.DTypeLike:
    """int16 where slopes and intercepts are whole numbers, else float32."""
    whole = all(frame.slope.is_integer() and frame.intercept.is_integer() for frame in frames)
    return np.int16 if whole and all(frame.pixels.bits_allocated <= 16 for frame in frames) else np.float32


def frame_values(frame: Frame, dtype: npt.DTypeLike) -> Values:
    """The values that the pixels of a frame stand for: HU for CT, by Modality LUT or rescale slope and intercept.

    MONOCHROME1 pixels are turned round first, so that more is always brighter.

    Args:
        frame: checked by `check_pixels`.
        dtype: int16 or float32.

    Returns:
        (rows, columns).

    Raises:
        BeyondInt16Error: int16 was asked for and cannot hold a value; ask for float32.
        MissingCodec, TruncatedPixelData, BrokenPixels: as `decode_frame` does.
    """
    stored = decode_frame(frame)
    if frame.pixels.photometric_interpretation == "MONOCHROME1":
        low, high = frame.pixels.stored_range()
        stored = (low + high) - stored.astype(np.int64)
    if frame.pixels.modality_lut:
        from clara_ops.imaging.reading.decoding import through_modality_lut

        values = through_modality_lut(stored, frame)
        return _in_int16(values, 1, 0, frame) if dtype == np.int16 else values.astype(np.float32)
    if dtype == np.int16:
        return _in_int16(stored, int(frame.slope), int(frame.intercept), frame)
    rescaled: npt.NDArray[np.float32] = (stored * np.float64(frame.slope) + frame.intercept).astype(np.float32)
    return rescaled


def _in_int16(stored: npt.NDArray[Any], slope: int, intercept: int, frame: Frame) -> npt.NDArray[np.int16]:
    """Rescale modulo 2^16, in place where possible; exact because the ends of the values are known to fit."""
    ends_are_known = _is_plain(frame.pixels) and not frame.pixels.modality_lut
    is_bounded = ends_are_known and _fit(frame.pixels.stored_range(), slope, intercept)
    if not is_bounded and not _fit((int(stored.min()), int(stored.max())), slope, intercept):
        raise BeyondInt16Error(frame.name)
    is_own = stored.dtype.itemsize == _INT16.bits // 8 and stored.dtype.isnative and stored.flags.writeable
    values = stored.view(np.int16) if is_own else stored.astype(np.int16)
    if slope != 1:
        values *= _modulo(slope)
    if intercept:
        values += _modulo(intercept)
    return values


def _fit(ends: tuple[int, int], slope: int, intercept: int) -> bool:
    return all(_INT16.min <= end * slope + intercept <= _INT16.max for end in ends)


def _modulo(number: int) -> np.int16:
    return np.int16((number - _INT16.min) % (1 << 16) + _INT16.min)


def decode_frame(frame: Frame) -> npt.NDArray[Any]:
    """The stored pixel values of a frame, unused bits removed, before any rescale.

    Returns:
        (rows, columns), integers.

    Raises:
        TruncatedPixelData: the file ends before the pixels do.
        BrokenPixels: no plug-in can decode them.
    """
    pixels = frame.pixels
    is_native = pixels.transfer_syntax_uid in NATIVE
    try:
        if is_native and pixels.offset is not None and pixels.length is not None:
            _check_length(frame, pixels.length)
            if _is_plain(pixels):
                return _plain_frame(frame, pixels.offset)
        from clara_ops.imaging.reading import decoding

        if not is_native:
            return decoding.decode(frame, decoding.encoded_frame(frame), None)
        if pixels.offset is not None and pixels.length is not None:
            return decoding.decode(frame, _read(frame, pixels.offset, pixels.length), frame.number)
        content = decoding.inflated_pixels(frame)
        _check_length(frame, len(content))
        return decoding.decode(frame, content, frame.number)
    except unreadable() as error:
        raise BrokenPixels(
            f"{frame}: its pixels cannot be decoded ({type(error).__name__}: {error}); send the instance again"
        ) from error


def _is_plain(pixels: PixelFormat) -> bool:
    """Whether `_plain_frame` reads them, which leaves no bit beyond Bits Stored."""
    return pixels.transfer_syntax_uid in _PLAIN and pixels.bits_allocated >= 8


def _check_length(frame: Frame, length: int) -> None:
    """Refuse uncompressed pixels that are not as many as rows, columns and frames say."""
    bits = frame.rows * frame.columns * frame.pixels.bits_allocated * frame.pixels.number_of_frames
    expected = math.ceil(bits / 8)
    if length < expected:
        raise _truncated(frame, f"{length} bytes of pixels instead of {expected}")
    if length > expected + expected % 2:
        raise BrokenPixels(
            f"{frame}: holds {length} bytes of pixels, but its rows, columns and frames make {expected}; "
            "send the instance again"
        )


def _read(frame: Frame, offset: int, length: int) -> bytes:
    with frame.path.open("rb") as file:
        file.seek(offset)
        content = file.read(length)
    if len(content) < length:
        raise _truncated(frame, f"{len(content)} bytes of pixels instead of {length}")
    return content


def _plain_frame(frame: Frame, offset: int) -> npt.NDArray[Any]:
    """Little endian, uncompressed, whole bytes: read just this frame."""
    pixels = frame.pixels
    kind = "i" if pixels.pixel_representation else "u"
    dtype = np.dtype(f"<{kind}{pixels.bits_allocated // 8}")
    length = frame.rows * frame.columns * dtype.itemsize
    content = _read(frame, offset + ((frame.number or 1) - 1) * length, length)
    stored = np.frombuffer(content, dtype).reshape(frame.rows, frame.columns)
    unused = pixels.bits_allocated - pixels.bits_stored
    if unused == 0:
        return stored
    if pixels.pixel_representation == 0:
        used: npt.NDArray[Any] = stored & dtype.type((1 << pixels.bits_stored) - 1)
        return used
    return (stored << unused) >> unused


def _truncated(frame: Frame, what: str) -> TruncatedPixelData:
    return TruncatedPixelData(f"{frame}: holds {what}; send the instance again")
