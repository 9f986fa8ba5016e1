"""Pixels by pydicom and its plug-ins: compressed, deflated, big endian, bits, and those with a Modality LUT."""

from typing import Any

import numpy.typing as npt
import pydicom
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_modality_lut
from pydicom.uid import UID, JPEG2000TransferSyntaxes, JPEGLSTransferSyntaxes, JPEGTransferSyntaxes

from clara_ops.imaging.errors import MissingCodec, TruncatedPixelData
from clara_ops.imaging.reading.frames import Frame

_END_OF_IMAGE = b"\xff\xd9"
_ENDS_WITH_MARKER = frozenset((*JPEGTransferSyntaxes, *JPEGLSTransferSyntaxes, *JPEG2000TransferSyntaxes))


def check_codec(frame: Frame) -> None:
    """Refuse a transfer syntax that nothing here decodes.

    Raises:
        MissingCodec: naming it, and what would decode it.
    """
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


def encoded_frame(frame: Frame) -> bytes:
    """The one frame, encapsulated by itself (DICOM PS3.5 section A.4).

    Raises:
        TruncatedPixelData: its codestream has no end.
    """
    with frame.path.open("rb") as file:
        file.seek(frame.pixels.offset or 0)
        encoded = get_frame(
            file,
            (frame.number or 1) - 1,
            number_of_frames=frame.pixels.number_of_frames,
            extended_offsets=frame.pixels.extended_offsets,
        )
    if frame.pixels.transfer_syntax_uid in _ENDS_WITH_MARKER and not encoded.rstrip(b"\0").endswith(_END_OF_IMAGE):
        raise TruncatedPixelData(f"{frame}: holds a compressed image without its end; send the instance again")
    return encapsulate([encoded])


def decode(frame: Frame, source: bytes, number: int | None) -> npt.NDArray[Any]:
    """The stored pixel values of a frame, (rows, columns).

    Args:
        source: Pixel Data of all frames, and `number` which one it is, from 1; or of this one only, and None.
    """
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


def inflated_pixels(frame: Frame) -> bytes:
    """Pixel Data of a deflated file (DICOM PS3.5 section A.5), all frames."""
    content: bytes = pydicom.dcmread(frame.path, force=True).PixelData
    return content


def through_modality_lut(stored: npt.NDArray[Any], frame: Frame) -> npt.NDArray[Any]:
    """Values that stored pixels stand for by the Modality LUT of their file (DICOM PS3.3 section C.11.1)."""
    return apply_modality_lut(stored, pydicom.dcmread(frame.path, stop_before_pixels=True, force=True))
