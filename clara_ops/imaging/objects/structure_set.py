"""A label volume as an RT Structure Set (PS3.3 section A.19): outlines of each label on the slices of its source."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import ImplicitVRLittleEndian, RTStructureSetStorage

from clara_ops.contract.labels import Label, LabelTable
from clara_ops.contract.source import SourceMap, SourceSlice
from clara_ops.imaging.objects.coded import algorithm, concept
from clara_ops.imaging.objects.label_regions import Region, label_regions
from clara_ops.imaging.objects.outlines import Corners, outline
from clara_ops.imaging.objects.result_modules import (
    ResultSeries,
    add_series_modules,
    copy_source_modules,
    frame_of_reference_uid,
    reference,
)
from clara_ops.imaging.objects.source_series import SourceSeries
from clara_ops.imaging.uids import derived_uid

_STUDY_CLASS = "1.2.840.10008.3.1.2.3.1"
"""Detached Study Management, retired: what RT Referenced Study Sequence names for lack of a class of studies."""
_ANATOMICAL_STRUCTURE = ("91723000", "123037004", "T-D000A")
"""Segmented Property Category of organs (PS3.16 CID 7150): SNOMED CT, its wider Body structure, SNOMED RT."""
_CONTOUR_DATA = Tag("ContourData")


def build_structure_set(
    labels: npt.NDArray[Any],
    table: LabelTable,
    source: SourceSeries,
    series: ResultSeries,
    segmentation: Dataset,
) -> Dataset:
    """Build a structure set with one ROI for each label, whether or not it has voxels.

    Contours follow the edges of the source's pixels: the pixels whose centres they hold are exactly the label's. A
    region with holes is one contour, by the keyhole technique of DICOM PS3.3 section C.8.8.6.3.

    Args:
        labels: (slices, rows, columns) on the grid of the source; every value but 0 is in the table.
        table: one ROI for each label, numbered from 1 in the table's order.
        source: the series that was segmented; contours lie on its slices and name their instances.
        series: that the object goes into; the object's own UID follows from its UID.
        segmentation: with the same labels as its segments.

    Returns:
        The dataset, for implicit VR little endian: explicit VR cannot hold contours of more than 65534 bytes.
    """
    result = Dataset()
    result.ensure_file_meta()
    result.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    result.SOPClassUID = RTStructureSetStorage
    result.SOPInstanceUID = derived_uid("structure set", series.uid)
    result.InstanceNumber = 1
    result.StructureSetLabel = series.model[0][:16]
    result.StructureSetName = series.description[:64]
    if series.notice:
        result.StructureSetDescription = series.notice
    result.StructureSetDate, result.StructureSetTime = series.content_date, series.content_time
    result.ReferencedFrameOfReferenceSequence = [_referenced_frame_of_reference(source)]
    rois = [_Roi(number, label, region) for number, (label, region) in _numbered(labels, table)]
    frame_of_reference = frame_of_reference_uid(source.map)
    result.StructureSetROISequence = [_roi(roi, table, frame_of_reference, segmentation) for roi in rois]
    result.ROIContourSequence = [_roi_contour(roi, source) for roi in rois]
    result.RTROIObservationsSequence = [_observation(roi) for roi in rois]
    result.ApprovalStatus = "UNAPPROVED"
    result.OperatorsName = ""
    add_series_modules(result, series, "RTSTRUCT")
    copy_source_modules(result, source.header)
    result.FrameOfReferenceUID = frame_of_reference
    return result


@dataclass(frozen=True, eq=False)
class _Roi:
    """One label; `region` is None where the volume does not hold it."""

    number: int
    label: Label
    region: Region | None


def _numbered(labels: npt.NDArray[Any], table: LabelTable) -> enumerate[tuple[Label, Region | None]]:
    return enumerate(label_regions(labels, table.labels), start=1)


def _referenced_frame_of_reference(source: SourceSeries) -> Dataset:
    """Every image that contours may lie on."""
    item = Dataset()
    item.FrameOfReferenceUID = frame_of_reference_uid(source.map)
    if not source.is_placeholder:
        item.RTReferencedStudySequence = [_referenced_study(source.map)]
    return item


def _referenced_study(source: SourceMap) -> Dataset:
    series = Dataset()
    series.SeriesInstanceUID = source.series_instance_uid
    instances = {piece.sop_instance_uid: piece for piece in source.slices}
    series.ContourImageSequence = [reference(piece, frame=None) for piece in instances.values()]
    study = Dataset()
    study.ReferencedSOPClassUID, study.ReferencedSOPInstanceUID = _STUDY_CLASS, source.study_instance_uid
    study.RTReferencedSeriesSequence = [series]
    return study


def _roi(roi: _Roi, table: LabelTable, frame_of_reference: str, segmentation: Dataset) -> Dataset:
    """An item of Structure Set ROI Sequence (DICOM PS3.3 section C.8.8.5)."""
    item = Dataset()
    item.ROINumber = roi.number
    item.ReferencedFrameOfReferenceUID = frame_of_reference
    item.ROIName = roi.label.name
    item.ROIGenerationAlgorithm = "AUTOMATIC"
    item.ROIGenerationDescription = f"{table.algorithm_name} {table.algorithm_version}"[:64]
    item.ROIDerivationAlgorithmIdentificationSequence = algorithm(table)
    definition = Dataset()
    definition.ReferencedSOPClassUID = segmentation.SOPClassUID
    definition.ReferencedSOPInstanceUID = segmentation.SOPInstanceUID
    definition.ReferencedSegmentNumber = roi.number
    item.DefinitionSourceSequence = [definition]
    return item


def _roi_contour(roi: _Roi, source: SourceSeries) -> Dataset:
    """An item of ROI Contour Sequence (DICOM PS3.3 section C.8.8.6)."""
    item = Dataset()
    item.ReferencedROINumber = roi.number
    item.ROIDisplayColor = list(roi.label.color)
    if roi.region:
        item.ContourSequence = _contours(roi.region, source)
    return item


def _contours(region: Region, source: SourceSeries) -> list[Dataset]:
    first_slice, *corner = region.offset
    contours: list[Dataset] = []
    for piece, plane in zip(source.map.slices[first_slice:], region.mask, strict=False):
        image = reference(piece, frame=piece.frame)
        for polygon in outline(plane):
            contour = Dataset()
            if not source.is_placeholder:
                contour.ContourImageSequence = [image]
            contour.ContourGeometricType = "CLOSED_PLANAR"
            contour.NumberOfContourPoints = len(polygon)
            contour.ContourNumber = len(contours) + 1
            contour.add(_contour_data(_points(polygon + corner, source.map, piece)))
            contours.append(contour)
    return contours


def _points(corners: Corners, source: SourceMap, piece: SourceSlice) -> npt.NDArray[np.float64]:
    """Where pixel corners are, (vertices, 3), LPS mm; a slice's position is the centre of its first pixel."""
    axes = np.array([source.column_direction, source.row_direction])
    points: npt.NDArray[np.float64] = (corners - 0.5) * np.array(source.pixel_spacing) @ axes + piece.position
    return points


def _contour_data(points: npt.NDArray[np.float64]) -> DataElement:
    """Coordinates to a tenth of a micrometre; as one text, since pydicom makes an object of each number."""
    numbers: Sequence[float] = points.ravel().tolist()
    return DataElement(_CONTOUR_DATA, "DS", "\\".join(["%.4f"] * len(numbers)) % tuple(numbers), already_converted=True)


def _observation(roi: _Roi) -> Dataset:
    """An item of RT ROI Observations Sequence (DICOM PS3.3 section C.8.8.8)."""
    item = Dataset()
    item.ObservationNumber = item.ReferencedROINumber = roi.number
    item.SegmentedPropertyCategoryCodeSequence = [concept(roi.label.category)]
    item.RTROIIdentificationCodeSequence = [concept(roi.label.type)]
    if roi.label.anatomy:
        item.AnatomicRegionSequence = [concept(roi.label.anatomy)]
    item.RTROIInterpretedType = "ORGAN" if roi.label.category.value in _ANATOMICAL_STRUCTURE else ""
    item.ROIInterpreter = ""
    return item
