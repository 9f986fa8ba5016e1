"""What one plane of an image object shows, and where: single-frame attributes and functional groups as one."""

import math
from collections.abc import Callable, Iterator, MutableSequence, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from clara_ops.contract.source import Vector

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

Names = tuple[tuple[str, str], ...]

_FRAME_TYPES = (
    ("CTImageFrameTypeSequence", "FrameType"),
    ("MRImageFrameTypeSequence", "FrameType"),
    ("PETFrameTypeSequence", "FrameType"),
)
_GROUPS_OF_TRAITS: Names = (
    ("FrameContentSequence", "StackID"),
    ("FrameContentSequence", "TemporalPositionIndex"),
    ("MREchoSequence", "EffectiveEchoTime"),
    ("MRDiffusionSequence", "DiffusionBValue"),
    ("MRImageFrameTypeSequence", "ComplexImageComponent"),
    ("CardiacSynchronizationSequence", "NominalPercentageOfCardiacPhase"),
    ("CTXRayDetailsSequence", "KVP"),
    ("CTReconstructionSequence", "ConvolutionKernel"),
)
_GROUPS_OF_MOMENTS: Names = (
    ("FrameContentSequence", "FrameAcquisitionNumber"),
    ("CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime"),
    ("FrameContentSequence", "FrameReferenceDateTime"),
    ("FrameContentSequence", "FrameAcquisitionDateTime"),
)
_TRAITS = (
    "EchoTime",
    "EchoNumbers",
    "DiffusionBValue",
    "DiffusionGradientOrientation",
    "TemporalPositionIdentifier",
    "NominalPercentageOfCardiacPhase",
    "KVP",
    "ConvolutionKernel",
)
_MOMENTS = ("AcquisitionNumber", "TriggerTime", "SequenceName", "AcquisitionTime", "ContentTime")
_PLANE = (
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "ImagerPixelSpacing",
    "RescaleSlope",
    "RescaleIntercept",
    "ImageType",
    "NumberOfFrames",
)

KEYWORDS = (*_PLANE, *_TRAITS, *_MOMENTS, "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
"""The attributes that `planes` reads."""


@dataclass(frozen=True)
class Plane:
    """One plane; the fields are those of `clara_ops.imaging.reading.frames.Frame`."""

    number: int | None
    position: Vector | None
    row_direction: Vector | None
    column_direction: Vector | None
    pixel_spacing: tuple[float, float] | None
    imager_pixel_spacing: tuple[float, float] | None
    slope: float
    intercept: float
    image_type: tuple[str, ...]
    traits: Names
    moments: Names


class Attributes(Protocol):
    """Values by keyword, as a pydicom Dataset and a plain dict both have them."""

    def get(self, keyword: str, default: Any = None, /) -> Any: ...


_Lookup = Callable[[str, str], Any]


def planes(dataset: Attributes) -> Iterator[Plane]:
    """The planes of an image object, in stored order.

    Frames of a multi-frame object without functional groups (DICOM PS3.3 section C.7.6.16) have no geometry.

    Raises:
        ValueError: an attribute holds something other than its kind of value.
    """
    count = int(dataset.get("NumberOfFrames") or 1)
    per_frame: Sequence[Dataset] = dataset.get("PerFrameFunctionalGroupsSequence") or ()
    shared: Sequence[Dataset] = dataset.get("SharedFunctionalGroupsSequence") or ()
    if per_frame or shared:
        if per_frame and len(per_frame) != count:
            raise ValueError(f"{count} frames, but functional groups for {len(per_frame)}")
        for index in range(count):
            groups = [*per_frame[index : index + 1], *shared[:1]]
            yield _functional_plane(index + 1, dataset, _functional_lookup(groups))
    elif count == 1:
        yield _plane(None, lambda _, keyword: dataset.get(keyword), values(dataset.get("ImageType")), *_names(dataset))
    else:
        for index in range(count):
            yield _plane(index + 1, lambda _, __: None, values(dataset.get("ImageType")), (), ())


def values(found: Any) -> tuple[str, ...]:
    """The values of an attribute as text; none where it is missing or empty."""
    if found is None or found == "":
        return ()
    many = found if isinstance(found, (MutableSequence, tuple)) else [found]
    return tuple(str(value).strip() for value in many)


def _functional_lookup(groups: "Sequence[Dataset]") -> _Lookup:
    def lookup(group: str, keyword: str) -> Any:
        for functional in groups:
            items = functional.get(group)
            if items and keyword in items[0]:
                return items[0].get(keyword)
        return None

    return lookup


def _functional_plane(number: int, dataset: Attributes, lookup: _Lookup) -> Plane:
    frame_types = (values(lookup(*name)) for name in _FRAME_TYPES)
    image_type = next((found for found in frame_types if found), values(dataset.get("ImageType")))
    gradient = lookup("MRDiffusionSequence", "DiffusionGradientDirectionSequence")
    direction = gradient[0].get("DiffusionGradientOrientation") if gradient else None
    traits = (*_found(_GROUPS_OF_TRAITS, lookup), *_present("DiffusionGradientOrientation", direction))
    return _plane(number, lookup, image_type, traits, _found(_GROUPS_OF_MOMENTS, lookup))


def _names(dataset: Attributes) -> tuple[Names, Names]:
    def lookup(_: str, keyword: str) -> Any:
        return dataset.get(keyword)

    return _found([("", name) for name in _TRAITS], lookup), _found([("", name) for name in _MOMENTS], lookup)


def _found(names: Sequence[tuple[str, str]], lookup: _Lookup) -> Names:
    return tuple(pair for group, keyword in names for pair in _present(keyword, lookup(group, keyword)))


def _present(keyword: str, value: Any) -> Names:
    text = "\\".join(values(value))
    return ((keyword, text),) if text else ()


def _plane(number: int | None, lookup: _Lookup, image_type: tuple[str, ...], traits: Names, moments: Names) -> Plane:
    orientation = _numbers(lookup("PlaneOrientationSequence", "ImageOrientationPatient"), 6)
    position = _numbers(lookup("PlanePositionSequence", "ImagePositionPatient"), 3)
    spacing = _numbers(lookup("PixelMeasuresSequence", "PixelSpacing"), 2)
    imager_spacing = _numbers(lookup("PixelMeasuresSequence", "ImagerPixelSpacing"), 2)
    slope = _numbers(lookup("PixelValueTransformationSequence", "RescaleSlope"), 1)
    intercept = _numbers(lookup("PixelValueTransformationSequence", "RescaleIntercept"), 1)
    return Plane(
        number=number,
        position=(position[0], position[1], position[2]) if position else None,
        row_direction=(orientation[0], orientation[1], orientation[2]) if orientation else None,
        column_direction=(orientation[3], orientation[4], orientation[5]) if orientation else None,
        pixel_spacing=(spacing[0], spacing[1]) if spacing else None,
        imager_pixel_spacing=(imager_spacing[0], imager_spacing[1]) if imager_spacing else None,
        slope=slope[0] if slope else 1.0,
        intercept=intercept[0] if intercept else 0.0,
        image_type=image_type,
        traits=traits,
        moments=moments,
    )


def _numbers(found: Any, count: int) -> tuple[float, ...] | None:
    """The numbers of an attribute; None where it is missing or empty."""
    texts = values(found)
    if not texts:
        return None
    numbers = tuple(float(text) for text in texts)
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        raise ValueError(f"{len(numbers)} numbers, or not finite ones, where {count} belong: {texts}")
    return numbers
