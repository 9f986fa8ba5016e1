"""Pixels of one frame: decoded by pydicom's plug-ins, then turned into the values they stand for."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_modality_lut
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000TransferSyntaxes,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
)

from clara_ops.imaging.errors import BrokenPixels, MissingCodec, TruncatedPixelData, UnsupportedPixels
from clara_ops.imaging.frames import Frame, PixelFormat
from clara_ops.imaging.raw_header import UNREADABLE

_GREY = ("MONOCHROME1", "MONOCHROME2")
_END_OF_IMAGE = b"\xff\xd9"
_ENDS_WITH_MARKER = frozenset((*JPEGTransferSyntaxes, *JPEGLSTransferSyntaxes, *JPEG2000TransferSyntaxes))
_PLAIN = (ImplicitVRLittleEndian, ExplicitVRLittleEndian)
_INT16 = np.iinfo(np.int16)

Values = npt.NDArray[np.int16] | npt.NDArray[np.float32]


class BeyondInt16Error(Exception):
    """A frame whose values turned out not to fit int16, although its header could not tell."""


def check_pixels(frame: Frame) -> None:
    """Refuse, by the header alone, pixels that cannot become one value each.

    Raises:
        UnsupportedPixels: colour, palette, or a layout of bits that DICOM does not define.
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
    _check_codec(frame)


def _is_defined_layout(pixels: PixelFormat) -> bool:
    return (
        pixels.keyword == "PixelData"
        and pixels.bits_allocated in (1, 8, 16, 32)
        and 1 <= pixels.bits_stored <= pixels.bits_allocated
        and pixels.high_bit == pixels.bits_stored - 1
        and pixels.pixel_representation in (0, 1)
    )


def _check_codec(frame: Frame) -> None:
    syntax = UID(frame.pixels.transfer_syntax_uid)
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError as error:
        raise MissingCodec(
            f"{frame}: there is no decoder for transfer syntax {syntax.name} ({syntax}); send it uncompressed"
        ) from error
    if not decoder.is_available:
        wanted = "; ".join(decoder.missing_dependencies)
        raise MissingCodec(f"{frame}: no codec for {syntax.name} is installed; it needs one of: {wanted}")


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
        values = apply_modality_lut(stored, pydicom.dcmread(frame.path, stop_before_pixels=True))
        return _in_int16(values, 1, 0, frame) if dtype == np.int16 else values.astype(np.float32)
    if dtype == np.int16:
        return _in_int16(stored, int(frame.slope), int(frame.intercept), frame)
    rescaled: npt.NDArray[np.float32] = (stored * np.float64(frame.slope) + frame.intercept).astype(np.float32)
    return rescaled


def _in_int16(stored: npt.NDArray[Any], slope: int, intercept: int, frame: Frame) -> npt.NDArray[np.int16]:
    """Rescale modulo 2^16, which is exact because the ends of the values are known to fit."""
    ends = [int(end) * slope + intercept for end in (stored.min(), stored.max())]
    if min(ends) < _INT16.min or max(ends) > _INT16.max:
        raise BeyondInt16Error(frame.name)
    values = stored.astype(np.int16)
    if slope != 1:
        values *= _modulo(slope)
    if intercept:
        values += _modulo(intercept)
    return values


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
    try:
        if UID(pixels.transfer_syntax_uid).is_encapsulated:
            return _decode(frame, encapsulate([_encoded_frame(frame)]), None)
        if pixels.offset is None or pixels.length is None:
            dataset = pydicom.dcmread(frame.path)
            _check_length(frame, len(dataset.PixelData))
            return _decode(frame, dataset.PixelData, frame.number)
        _check_length(frame, pixels.length)
        if pixels.transfer_syntax_uid in _PLAIN and pixels.bits_allocated >= 8:
            return _plain_frame(frame, pixels.offset)
        return _decode(frame, _read(frame, pixels.offset, pixels.length), frame.number)
    except (*UNREADABLE, RuntimeError) as error:
        raise BrokenPixels(
            f"{frame}: its pixels cannot be decoded ({type(error).__name__}: {error}); send the instance again"
        ) from error


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
    return stored if unused == 0 else (stored << unused) >> unused


def _encoded_frame(frame: Frame) -> bytes:
    with frame.path.open("rb") as file:
        file.seek(frame.pixels.offset or 0)
        encoded = get_frame(
            file,
            (frame.number or 1) - 1,
            number_of_frames=frame.pixels.number_of_frames,
            extended_offsets=frame.pixels.extended_offsets,
        )
    if frame.pixels.transfer_syntax_uid in _ENDS_WITH_MARKER and not encoded.rstrip(b"\0").endswith(_END_OF_IMAGE):
        raise _truncated(frame, "a compressed image without its end")
    return encoded


def _decode(frame: Frame, source: bytes, number: int | None) -> npt.NDArray[Any]:
    pixels = frame.pixels
    options: dict[str, Any] = {
        "rows": frame.rows,
        "columns": frame.columns,
        "samples_per_pixel": 1,
        "photometric_interpretation": pixels.photometric_interpretation,
        "bits_allocated": pixels.bits_allocated,
        "bits_stored": pixels.bits_stored,
        "pixel_representation": pixels.pixel_representation,
        "number_of_frames": pixels.number_of_frames if number else 1,
        "pixel_keyword": pixels.keyword,
        "pixel_vr": pixels.vr,
    }
    decoded, _ = get_decoder(pixels.transfer_syntax_uid).as_array(source, index=(number or 1) - 1, raw=True, **options)
    return decoded


def _truncated(frame: Frame, what: str) -> TruncatedPixelData:
    return TruncatedPixelData(f"{frame}: holds {what}; send the instance again")
