"""Cleaning pixels: black boxes over text (PS3.15 section E.3.1), and no overlay left in unused bits."""

from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID

from clara_ops.deid.burned_in import Blackening, Box

Array = npt.NDArray[Any]

_OVERLAY_GROUPS = range(0x6000, 0x6020, 2)


def black_out(dataset: Dataset, blackening: Blackening) -> None:
    """Blacken pixels of every frame, in place, and say that no text is burned in any longer.

    Compressed pixels are decompressed and stay so: the transfer syntax in `file_meta` becomes explicit VR little
    endian, and YBR becomes RGB.

    Raises:
        One of clara_ops.imaging.reading.raw_header.unreadable(): the pixels cannot be decoded.
    """
    decompress(dataset)
    stored = _stored(dataset)
    frames = _by_frame(dataset, stored)
    frames[:, _black_mask(dataset, blackening)] = _black(dataset, stored)
    _store(dataset, stored)
    dataset.BurnedInAnnotation = "NO"


def holds_overlay_in_pixels(dataset: Dataset) -> bool:
    """Whether an overlay is stored in unused bits of the pixels, as was done before 2004 (PS3.5 section 8.1.2)."""
    return "PixelData" in dataset and any(
        (group, 0x0010) in dataset and (group, 0x3000) not in dataset for group in _OVERLAY_GROUPS
    )


def clear_unused_bits(dataset: Dataset) -> None:
    """Set all bits but those of the stored pixel values to zero, in place; compressed pixels are decompressed.

    Raises:
        as `black_out` does.
    """
    decompress(dataset)
    stored = _stored(dataset)
    lowest = dataset.HighBit + 1 - dataset.BitsStored
    stored &= stored.dtype.type(((1 << dataset.BitsStored) - 1) << lowest)
    _store(dataset, stored)


def decompress(dataset: Dataset) -> None:
    """Decompress the pixels of a dataset, in place, where they are compressed."""
    if UID(dataset.file_meta.TransferSyntaxUID).is_encapsulated:
        dataset.decompress(generate_instance_uid=False)
        for keyword in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
            if keyword in dataset:
                delattr(dataset, keyword)


def _stored(dataset: Dataset) -> Array:
    """The stored values as unsigned integers in the order of the dataset, one-dimensional, without padding."""
    if "422" in dataset.PhotometricInterpretation:
        decoded = pixel_array(dataset)
        dataset.PhotometricInterpretation = "RGB"
        dataset.PlanarConfiguration = 0
        return np.ascontiguousarray(decoded).ravel()
    order = "<" if dataset.file_meta.TransferSyntaxUID.is_little_endian else ">"
    dtype = np.dtype(f"{order}u{dataset.BitsAllocated // 8}")
    count = int(dataset.get("NumberOfFrames") or 1) * dataset.Rows * dataset.Columns * dataset.SamplesPerPixel
    return np.frombuffer(dataset.PixelData, dtype, count).copy()


def _store(dataset: Dataset, stored: Array) -> None:
    content = stored.tobytes()
    dataset["PixelData"].value = content + bytes(len(content) % 2)


def _by_frame(dataset: Dataset, stored: Array) -> Array:
    """A view of the stored values: (frames, rows, columns, samples)."""
    rows, columns, samples = dataset.Rows, dataset.Columns, dataset.SamplesPerPixel
    if samples > 1 and dataset.PlanarConfiguration == 1:
        return np.moveaxis(stored.reshape(-1, samples, rows, columns), 1, -1)
    return stored.reshape(-1, rows, columns, samples)


def _black_mask(dataset: Dataset, blackening: Blackening) -> npt.NDArray[np.bool_]:
    """Where pixels become black: (rows, columns)."""
    mask = np.full((dataset.Rows, dataset.Columns), bool(blackening.keep))
    for box in blackening.keep:
        mask[_slices(box)] = False
    for box in blackening.boxes:
        mask[_slices(box)] = True
    return mask


def _slices(box: Box) -> tuple[slice, slice]:
    return slice(box.top, box.bottom), slice(box.left, box.right)


def _black(dataset: Dataset, stored: Array) -> Array:
    """The stored values of a pixel that shows black: for each sample one."""
    photometric = dataset.PhotometricInterpretation
    if photometric == "PALETTE COLOR":
        lookup = np.arange(int(stored.max()) + 1, dtype=stored.dtype)
        return np.asarray([apply_color_lut(lookup.reshape(1, -1), dataset)[0].sum(axis=-1).argmin()], stored.dtype)
    if photometric.startswith("YBR"):
        middle = 1 << (dataset.BitsStored - 1)
        return np.asarray([0, middle, middle], stored.dtype)
    if dataset.SamplesPerPixel > 1:
        return np.zeros(dataset.SamplesPerPixel, stored.dtype)
    values = stored.view(stored.dtype.str.replace("u", "i")) if dataset.PixelRepresentation else stored
    darkest = values.max() if photometric == "MONOCHROME1" else values.min()
    return np.asarray([darkest]).astype(values.dtype).view(stored.dtype)
