"""The overlay as pictures that any viewer shows: Secondary Capture Image objects (PS3.3 section A.8.1), one a slice.

Position, orientation and frame of reference are added to each, so that viewers stack and localise them.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from clara_ops.contract.labels import LabelTable
from clara_ops.imaging.objects.overlay import ABDOMEN_WINDOW, overlay_slice, with_notice
from clara_ops.imaging.objects.result_modules import (
    ResultSeries,
    add_image_series_modules,
    add_plane,
    copy_source_modules,
    patient_orientation,
    reference,
)
from clara_ops.imaging.objects.source_series import SourceSeries
from clara_ops.imaging.reading.pixels import frame_values
from clara_ops.imaging.reading.planes import values
from clara_ops.imaging.uids import derived_uid

_BLACK = -32768.0


def overlay_images(
    labels: npt.NDArray[Any], table: LabelTable, source: SourceSeries, series: ResultSeries
) -> Iterator[Dataset]:
    """The slices of the source, windowed, with the labels in colour.

    Args:
        labels: (slices, rows, columns) on the grid of the source.
        table: gives each label its colour.
        source: gives the grey values and the window; that of a placeholder is black.
        series: that the objects go into.

    Yields:
        One dataset a slice, 8 bit RGB. It is the same one each time: save it before asking for the next.
    """
    window = source_window(source)
    image = _common_modules(source, series)
    for index, (piece, plane) in enumerate(zip(source.map.slices, labels, strict=True)):
        picture = overlay_slice(grey_values(source, index), plane, table.labels, window=window)
        add_plane(image, source.map, piece)
        image.SOPInstanceUID = derived_uid("overlay", series.uid, str(index))
        image.InstanceNumber = index + 1
        if not source.is_placeholder:
            image.SourceImageSequence = [reference(piece, frame=piece.frame)]
        image.PixelData = with_notice(picture, series.notice).tobytes()
        yield image


def _common_modules(source: SourceSeries, series: ResultSeries) -> Dataset:
    image = Dataset()
    image.SOPClassUID = SecondaryCaptureImageStorage
    image.ImageType = ["DERIVED", "SECONDARY"]
    image.ConversionType = "WSD"
    image.DerivationDescription = "Segmentation laid over the windowed source image"
    image.DateOfSecondaryCapture, image.TimeOfSecondaryCapture = series.content_date, series.content_time
    image.BurnedInAnnotation = "NO"
    image.PatientOrientation = patient_orientation(source.map)
    image.SamplesPerPixel, image.PhotometricInterpretation, image.PlanarConfiguration = 3, "RGB", 0
    image.Rows, image.Columns = source.map.rows, source.map.columns
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 8, 8, 7, 0
    add_image_series_modules(image, series, "OT", source.header)
    copy_source_modules(image, source.header)
    return image


def source_window(source: SourceSeries) -> tuple[float, float]:
    """Centre and width: the first that the source asks for, else soft tissue for CT, else all of the middle slice."""
    centres, widths = values(source.header.get("WindowCenter")), values(source.header.get("WindowWidth"))
    if centres and widths and float(widths[0]) > 1:
        return float(centres[0]), float(widths[0])
    if source.map.modality == "CT" or source.is_placeholder:
        return ABDOMEN_WINDOW
    middle = grey_values(source, len(source.map.slices) // 2)
    low, high = float(middle.min()), float(middle.max())
    return (low + high) / 2, max(high - low, 2.0)


def grey_values(source: SourceSeries, index: int) -> npt.NDArray[Any]:
    """The values of one slice, (rows, columns), HU for CT; of a placeholder as black as any window shows."""
    if source.is_placeholder:
        return np.full((source.map.rows, source.map.columns), _BLACK, np.float32)
    return frame_values(source.frames[index], np.float32)
