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
from clara_ops.contract.source import Vector
from clara_ops.imaging.overlay import ABDOMEN_WINDOW, overlay_slice
from clara_ops.imaging.pixels import frame_values
from clara_ops.imaging.planes import values
from clara_ops.imaging.result_modules import (
    ResultSeries,
    add_image_series_modules,
    add_plane,
    copy_source_modules,
    reference,
)
from clara_ops.imaging.source_series import SourceSeries
from clara_ops.imaging.uids import derived_uid

_AXIS_LETTERS = (("L", "R"), ("P", "A"), ("H", "F"))


def overlay_images(
    labels: npt.NDArray[Any], table: LabelTable, source: SourceSeries, series: ResultSeries
) -> Iterator[Dataset]:
    """The slices of the source, windowed, with the labels in colour.

    Args:
        labels: (slices, rows, columns) on the grid of the source.
        table: gives each label its colour.
        source: gives the grey values and the window.
        series: that the objects go into.

    Yields:
        One dataset a slice, 8 bit RGB. It is the same one each time: save it before asking for the next.
    """
    window = source_window(source)
    image = _common_modules(source, series)
    for index, (piece, frame, plane) in enumerate(zip(source.map.slices, source.frames, labels, strict=True)):
        picture = overlay_slice(frame_values(frame, np.float32), plane, table.labels, window=window)
        add_plane(image, source.map, piece)
        image.SOPInstanceUID = derived_uid("overlay", series.uid, str(index))
        image.InstanceNumber = index + 1
        image.SourceImageSequence = [reference(piece, frame=piece.frame)]
        image.PixelData = picture.tobytes()
        yield image


def _common_modules(source: SourceSeries, series: ResultSeries) -> Dataset:
    image = Dataset()
    image.SOPClassUID = SecondaryCaptureImageStorage
    image.ImageType = ["DERIVED", "SECONDARY"]
    image.ConversionType = "WSD"
    image.DerivationDescription = "Segmentation laid over the windowed source image"
    image.DateOfSecondaryCapture, image.TimeOfSecondaryCapture = series.content_date, series.content_time
    image.BurnedInAnnotation = "NO"
    image.PatientOrientation = [_letter(source.map.row_direction), _letter(source.map.column_direction)]
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
    if source.map.modality == "CT":
        return ABDOMEN_WINDOW
    middle = frame_values(source.frames[len(source.frames) // 2], np.float32)
    low, high = float(middle.min()), float(middle.max())
    return (low + high) / 2, max(high - low, 2.0)


def _letter(direction: Vector) -> str:
    """The side of the patient that a direction points to most (DICOM PS3.3 section C.7.6.1.1.1)."""
    axis = int(np.argmax(np.abs(direction)))
    return _AXIS_LETTERS[axis][direction[axis] < 0]
