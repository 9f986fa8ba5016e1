"""A grey volume as a series like its source: one object a slice, in the same study and frame of reference."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    CTImageStorage,
    MRImageStorage,
    PositronEmissionTomographyImageStorage,
    SecondaryCaptureImageStorage,
)

from clara_ops.contract.source import SourceMap
from clara_ops.imaging.objects.result_modules import (
    ResultSeries,
    add_image_series_modules,
    add_plane,
    copy_source_modules,
    decimals,
    patient_orientation,
    reference,
)
from clara_ops.imaging.objects.source_series import SourceSeries
from clara_ops.imaging.reading.frames import Frame
from clara_ops.imaging.reading.planes import values
from clara_ops.imaging.uids import derived_uid

_KEEPS_ITS_CLASS = (CTImageStorage, MRImageStorage, PositronEmissionTomographyImageStorage)
_PIXEL_GROUP = 0x0028
_OF_THE_SOURCE_OBJECT = (
    "IconImageSequence",
    "InstanceCreationDate",
    "InstanceCreationTime",
    "InstanceCreatorUID",
    "DigitalSignaturesSequence",
    "MACParametersSequence",
    "OriginalAttributesSequence",
    "ReferencedImageSequence",
    "SourceImageSequence",
    "StorageMediaFileSetUID",
    "SpecificCharacterSet",
    "TimezoneOffsetFromUTC",
)
_KEPT_OF_PIXEL_GROUP = (
    "BurnedInAnnotation",
    "RecognizableVisualFeatures",
    "CorrectedImage",
    "WindowCenter",
    "WindowWidth",
    "RescaleType",
)
_REPEATING_GROUPS = (0x5000, 0x6000)
_UINT16 = np.iinfo(np.uint16)


@dataclass(frozen=True)
class Encoding:
    """How values become 16 bit pixels: value = slope x pixel + intercept."""

    dtype: np.dtype[Any]
    slope: float
    intercept: float


def derived_images(voxels: npt.NDArray[Any], source: SourceSeries, series: ResultSeries) -> Iterator[Dataset]:
    """The slices of a volume as images of the source's SOP class.

    CT, MR and PET images keep the attributes of the source's slice. The rest become CT images, where the modality is
    CT, or 16 bit secondary captures with position and orientation.

    Args:
        voxels: (slices, rows, columns) on the grid of the source. Whole numbers within 16 bits stay as they are; others
            are scaled to 16 bits, with one slope and intercept for the volume.
        source: the series that the volume was made from.
        series: that the objects go into.

    Yields:
        One dataset a slice, Pixel Data included.
    """
    encoding = choose_encoding(voxels)
    for index, (piece, plane) in enumerate(zip(source.map.slices, voxels, strict=True)):
        keeps_class = piece.sop_class_uid in _KEEPS_ITS_CLASS
        image = Dataset()
        image.SOPInstanceUID = derived_uid("image", series.uid, str(index))
        image.InstanceNumber = index + 1
        image.DerivationDescription = " ".join(series.model)
        if not source.is_placeholder:
            image.SourceImageSequence = [reference(piece, frame=piece.frame)]
        _add_pixels(image, plane, encoding)
        add_plane(image, source.map, piece)
        is_ct = source.map.modality == "CT"
        add_image_series_modules(image, series, source.map.modality if keeps_class or is_ct else "OT", source.header)
        copy_source_modules(image, source.header)
        if keeps_class:
            _add_attributes_of_source(image, source.frames[index])
        else:
            _add_attributes_of_class(image, source.map, CTImageStorage if is_ct else SecondaryCaptureImageStorage)
        yield image


def _add_attributes_of_source(image: Dataset, frame: Frame) -> None:
    """What else the source's object says, but for its pixels, its own identity and private attributes."""
    header = pydicom.dcmread(frame.path, stop_before_pixels=True, force=True)
    image.SOPClassUID = header.SOPClassUID
    examination = "PRIMARY" if header.SOPClassUID == PositronEmissionTomographyImageStorage else "SECONDARY"
    image.ImageType = ["DERIVED", examination, *values(header.get("ImageType"))[2:]]
    for element in header:
        tag = element.tag
        is_pixel_group = tag.group == _PIXEL_GROUP and element.keyword not in _KEPT_OF_PIXEL_GROUP
        dropped = tag.is_private or is_pixel_group or tag.group & 0xFF00 in _REPEATING_GROUPS
        if tag not in image and not dropped and element.keyword not in _OF_THE_SOURCE_OBJECT:
            image.add(element)


def _add_attributes_of_class(image: Dataset, source: SourceMap, sop_class_uid: UID) -> None:
    """What the class needs beyond the modules that all results share."""
    image.SOPClassUID = sop_class_uid
    if sop_class_uid == CTImageStorage:
        image.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
        image.KVP = image.AcquisitionNumber = ""
        image.RescaleType = "HU"
        if "PatientPosition" not in image:
            image.PatientPosition = ""
    else:
        image.ImageType = ["DERIVED", "SECONDARY"]
        image.ConversionType = "WSD"
        image.PatientOrientation = patient_orientation(source)
        image.RescaleType = "US"


def _add_pixels(image: Dataset, plane: npt.NDArray[Any], encoding: Encoding) -> None:
    pixels = np.rint((plane - encoding.intercept) / encoding.slope)
    limits = np.iinfo(encoding.dtype)
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.Rows, image.Columns = plane.shape
    image.BitsAllocated, image.BitsStored, image.HighBit = 16, 16, 15
    image.PixelRepresentation = int(encoding.dtype.kind == "i")
    (image.RescaleSlope,), (image.RescaleIntercept,) = decimals(encoding.slope), decimals(encoding.intercept)
    image.add_new("PixelData", "OW", np.clip(pixels, limits.min, limits.max).astype(encoding.dtype).tobytes())


def choose_encoding(voxels: npt.NDArray[Any]) -> Encoding:
    """Whole numbers as they are, where signed or unsigned 16 bits hold them; else scaled to the whole of 16 bits."""
    low, high = float(voxels.min()), float(voxels.max())
    if np.issubdtype(voxels.dtype, np.integer) or np.array_equal(voxels, np.rint(voxels)):
        for dtype in (np.dtype("<i2"), np.dtype("<u2")):
            if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
                return Encoding(dtype, 1.0, 0.0)
    slope, intercept = decimals((high - low) / _UINT16.max or 1.0, low)
    return Encoding(np.dtype("<u2"), float(slope), float(intercept))
