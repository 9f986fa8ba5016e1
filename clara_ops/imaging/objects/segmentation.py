"""A label volume as a DICOM Segmentation (PS3.3 section A.51), built with highdicom."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt
from highdicom.color import CIELabColor
from highdicom.seg import Segmentation, SegmentDescription
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, RLELossless

from clara_ops.contract.labels import Label, LabelTable
from clara_ops.contract.source import SourceMap, SourceSlice
from clara_ops.imaging.objects.coded import algorithm, concept, tracking_uid
from clara_ops.imaging.objects.result_modules import (
    DEVICE_SERIAL_NUMBER,
    MANUFACTURER,
    ResultSeries,
    add_image_series_modules,
    add_plane,
    copy_source_modules,
    frame_of_reference_uid,
    reference,
)
from clara_ops.imaging.objects.segment_frames import (
    SegmentFrame,
    encoded_occupancy,
    encoded_segment_numbers,
    occupied,
    packed_bits,
    set_functional_groups,
)
from clara_ops.imaging.objects.source_series import SourceSeries
from clara_ops.imaging.uids import derived_uid


class SegmentationType(StrEnum):
    """Segmentation Type (DICOM PS3.3 section C.8.20.2)."""

    BINARY = "BINARY"
    """A frame of bits for each label of each slice."""
    FRACTIONAL = "FRACTIONAL"
    """A frame of bytes for each label of each slice, 255 where the label occupies the voxel, else 0; RLE compressed."""
    LABELMAP = "LABELMAP"
    """A frame for each slice, whose pixels are segment numbers (Supplement 243); RLE compressed."""


@dataclass(frozen=True)
class SegmentationForm:
    """How a label volume is encoded.

    Attributes:
        keep_empty_frames: also write frames in which no voxel is set.
    """

    type: SegmentationType = SegmentationType.BINARY
    keep_empty_frames: bool = False


_TRANSFER_SYNTAXES = {
    SegmentationType.BINARY: ExplicitVRLittleEndian,
    SegmentationType.FRACTIONAL: RLELossless,
    SegmentationType.LABELMAP: RLELossless,
}


_STAND_IN_VOXELS = 8
"""Of a plane, for highdicom: whole bytes in every encoding."""


def build_segmentation(
    labels: npt.NDArray[Any],
    table: LabelTable,
    source: SourceSeries,
    series: ResultSeries,
    form: SegmentationForm = SegmentationForm(),
) -> Dataset:
    """Build a Segmentation; every frame names the source instance (and frame) that it lies on.

    Args:
        labels: (slices, rows, columns) on the grid of the source; every value but 0 is in the table.
        table: one segment for each label, numbered from 1 in the table's order, whether or not it has voxels.
        source: the series that was segmented.
        series: that the object goes into; the object's own UID follows from its UID.
        form: how the labels are encoded.

    Returns:
        The dataset, Pixel Data included, in the transfer syntax of its file meta information.
    """
    planes = {_plane_uid(source.map, index): piece for index, piece in enumerate(source.map.slices)}
    values = [label.value for label in table.labels]
    is_kept = occupied(labels, values)
    if form.keep_empty_frames or not is_kept.any():
        is_kept[:] = True
    segmentation = Segmentation(
        source_images=[_plane(source.map, uid, piece) for uid, piece in planes.items()],
        pixel_array=_stand_in(is_kept),
        segmentation_type=form.type.value,
        segment_descriptions=[
            _segment(number, label, table, source.map) for number, label in enumerate(table.labels, start=1)
        ],
        series_instance_uid=series.uid,
        series_number=series.number,
        sop_instance_uid=derived_uid("segmentation", series.uid),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=series.model[0],
        software_versions=series.model[1],
        device_serial_number=DEVICE_SERIAL_NUMBER,
        content_label="SEGMENTATION",
        content_description=series.description[:64],
        content_date=series.content_date,
        content_time=series.content_time,
        transfer_syntax_uid=_TRANSFER_SYNTAXES[form.type],
        fractional_type="OCCUPANCY",
        omit_empty_frames=True,
    )
    order = _planes_of_frames(segmentation, list(planes))
    _remove_the_clock(segmentation, series)
    if source.is_placeholder:
        _remove_references(segmentation)
    else:
        _reference_source(segmentation, planes)
    _derive_dimension_organization(segmentation)
    add_image_series_modules(segmentation, series, "SEG", source.header)
    copy_source_modules(segmentation, source.header)
    segmentation.FrameOfReferenceUID = frame_of_reference_uid(source.map)
    segmentation.Rows, segmentation.Columns = labels.shape[1:]
    if form.type is SegmentationType.LABELMAP:
        dtype = np.dtype(f"u{segmentation.BitsAllocated // 8}")
        segmentation.PixelData = encoded_segment_numbers(labels, values, order, dtype)
    else:
        _add_frames_of_segments(segmentation, labels, values, is_kept, order)
    return segmentation


def _add_frames_of_segments(
    segmentation: Dataset, labels: npt.NDArray[Any], values: list[int], is_kept: npt.NDArray[Any], order: list[int]
) -> None:
    """Pixels and functional groups of the frames that are kept, segment by segment, each in the order of planes."""
    frames = [
        SegmentFrame(plane, segment)
        for segment in range(1, len(values) + 1)
        for plane in order
        if is_kept[plane, segment - 1]
    ]
    encode = packed_bits if segmentation.SegmentationType == SegmentationType.BINARY else encoded_occupancy
    segmentation.NumberOfFrames = len(frames)
    segmentation.PixelData = encode(labels, values, frames)
    if len(values) > 1:
        set_functional_groups(segmentation, order, frames)


def _stand_in(is_kept: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """A few voxels a plane for highdicom to build the header from: segment 1 on planes of which a frame is kept."""
    return np.repeat(is_kept.any(axis=1), _STAND_IN_VOXELS).astype(np.uint8).reshape(-1, 1, _STAND_IN_VOXELS)


def _planes_of_frames(segmentation: Dataset, plane_uids: Sequence[str]) -> list[int]:
    """The plane, as an index into `plane_uids`, of each frame."""
    places = {uid: index for index, uid in enumerate(plane_uids)}
    return [
        places[frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID]
        for frame in segmentation.PerFrameFunctionalGroupsSequence
    ]


def _segment(number: int, label: Label, table: LabelTable, source: SourceMap) -> SegmentDescription:
    return SegmentDescription(
        segment_number=number,
        segment_label=label.name,
        segmented_property_category=concept(label.category),
        segmented_property_type=concept(label.type),
        algorithm_type="AUTOMATIC",
        algorithm_identification=algorithm(table),
        anatomic_regions=[concept(label.anatomy)] if label.anatomy else None,
        tracking_id=label.name,
        tracking_uid=tracking_uid(label, table, source),
        display_color=CIELabColor.from_rgb(*label.color),
    )


def _plane_uid(source: SourceMap, index: int) -> str:
    """A stand-in for (instance, frame), since several planes may be frames of one instance."""
    return derived_uid("plane", source.series_instance_uid, str(index))


def _plane(source: SourceMap, uid: str, piece: SourceSlice) -> Dataset:
    """One slice as the single-frame image that highdicom takes; patient and study are copied later, untouched by it."""
    plane = Dataset()
    plane.SOPClassUID, plane.SOPInstanceUID = CTImageStorage, uid
    plane.SeriesInstanceUID, plane.StudyInstanceUID = source.series_instance_uid, source.study_instance_uid
    add_plane(plane, source, piece)
    plane.Modality = source.modality
    plane.Rows, plane.Columns = 1, _STAND_IN_VOXELS
    plane.PatientID = plane.PatientName = plane.PatientBirthDate = plane.PatientSex = ""
    plane.AccessionNumber = plane.StudyID = plane.StudyDate = plane.StudyTime = plane.ReferringPhysicianName = ""
    return plane


def _reference_source(segmentation: Dataset, planes: Mapping[str, SourceSlice]) -> None:
    """Put the true instances, and frames of multi-frame ones, in the place of the stand-ins."""
    instances = {piece.sop_instance_uid: piece for piece in planes.values()}
    whole = [reference(piece, frame=None) for piece in instances.values()]
    segmentation.ReferencedSeriesSequence[0].ReferencedInstanceSequence = whole
    segmentation.SourceImageSequence = whole
    for item in _frame_references(segmentation):
        piece = planes[str(item.ReferencedSOPInstanceUID)]
        item.update(reference(piece, frame=piece.frame))


def _remove_references(segmentation: Dataset) -> None:
    """No instance is behind the stand-ins."""
    del segmentation.ReferencedSeriesSequence, segmentation.SourceImageSequence
    for frame in segmentation.PerFrameFunctionalGroupsSequence:
        del frame.DerivationImageSequence


def _frame_references(segmentation: Dataset) -> Iterable[Dataset]:
    """Every item once: highdicom lets frames of one plane share theirs."""
    return {
        id(item): item
        for frame in segmentation.PerFrameFunctionalGroupsSequence
        for derivation in frame.DerivationImageSequence
        for item in derivation.SourceImageSequence
    }.values()


def _remove_the_clock(segmentation: Dataset, series: ResultSeries) -> None:
    """highdicom writes down when it ran; made again, an object has to be the same."""
    del segmentation.InstanceCreationDate, segmentation.InstanceCreationTime
    for equipment in segmentation.ContributingEquipmentSequence:
        equipment.ContributionDateTime = series.content_date + series.content_time


def _derive_dimension_organization(segmentation: Dataset) -> None:
    """highdicom draws this UID by lot; made again, an object has to be the same."""
    uid = derived_uid("dimension organization", str(segmentation.SOPInstanceUID))
    for item in (*segmentation.DimensionOrganizationSequence, *segmentation.DimensionIndexSequence):
        item.DimensionOrganizationUID = uid
