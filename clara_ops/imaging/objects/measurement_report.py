"""Sizes of labels as a Structured Report (PS3.16 TID 1500) in a Comprehensive 3D SR object (PS3.3 section A.35.13)."""

from collections.abc import Iterator, Sequence

from highdicom.sr import (
    AlgorithmIdentification,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    MeasurementReport,
    ObservationContext,
    ObserverContext,
    ReferencedSegment,
    SourceImageForMeasurement,
    SourceSeriesForSegmentation,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from highdicom.sr import Measurement as NumericItem
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import Comprehensive3DSRStorage

from clara_ops.contract.labels import LabelTable
from clara_ops.contract.source import SourceMap, SourceSlice
from clara_ops.imaging.objects.coded import concept, tracking_uid
from clara_ops.imaging.objects.measurements import Measurement
from clara_ops.imaging.objects.result_modules import (
    DEVICE_SERIAL_NUMBER,
    MANUFACTURER,
    ResultSeries,
    add_series_modules,
    copy_source_modules,
    reference,
)
from clara_ops.imaging.objects.source_series import SourceSeries
from clara_ops.imaging.uids import derived_uid

_PROCEDURES = {
    "CT": codes.LN.CTUnspecifiedBodyRegion,
    "MR": codes.LN.MRIUnspecifiedBodyRegion,
    "PT": codes.LN.PETUnspecifiedBodyRegion,
}
"""By modality, of PS3.16 CID 100; for others `Imaging procedure`."""
_PLACES = 3


def build_measurement_report(
    measurements: Sequence[Measurement],
    table: LabelTable,
    source: SourceSeries,
    series: ResultSeries,
    segmentation: Dataset,
) -> Dataset:
    """Build a report with one measurement group for each label, whether or not it has voxels.

    A group has the volume (mm3, sum of voxels) and, where there are voxels, the largest diameter in a slice (Long Axis,
    mm, with the image that it was found in) and in space (Maximum 3D Diameter, mm).

    Args:
        measurements: of each label of the table, in its order.
        table: what the labels mean, and who made them.
        source: the series that was segmented.
        series: that the object goes into; the object's own UID follows from its UID.
        segmentation: whose segments are measured.
    """
    report = Dataset()
    report.SOPClassUID = Comprehensive3DSRStorage
    report.SOPInstanceUID = derived_uid("measurement report", series.uid)
    report.InstanceNumber = 1
    report.CompletionFlag, report.VerificationFlag = "COMPLETE", "UNVERIFIED"
    report.ContentDate, report.ContentTime = series.content_date, series.content_time
    report.PerformedProcedureCodeSequence = []
    report.ReferencedPerformedProcedureStepSequence = []
    report.CurrentRequestedProcedureEvidenceSequence = [_evidence(source, segmentation)]
    content = MeasurementReport(
        observation_context=_observation_context(series),
        procedure_reported=_PROCEDURES.get(source.map.modality, codes.SCT.ImagingProcedure),
        imaging_measurements=[
            _group(number, found, table, source, segmentation) for number, found in enumerate(measurements, start=1)
        ],
    )
    report.update(content[0])
    add_series_modules(report, series, "SR")
    copy_source_modules(report, source.header, spatial=False)
    return report


def _evidence(source: SourceSeries, segmentation: Dataset) -> Dataset:
    """Everything that the report is about: the segmentation, and the images that were segmented."""
    segments = Dataset()
    segments.SeriesInstanceUID = segmentation.SeriesInstanceUID
    segments.ReferencedSOPSequence = [Dataset()]
    segments.ReferencedSOPSequence[0].ReferencedSOPClassUID = segmentation.SOPClassUID
    segments.ReferencedSOPSequence[0].ReferencedSOPInstanceUID = segmentation.SOPInstanceUID
    study = Dataset()
    study.StudyInstanceUID = source.map.study_instance_uid
    study.ReferencedSeriesSequence = [segments] if source.is_placeholder else [_images(source.map), segments]
    return study


def _images(source: SourceMap) -> Dataset:
    instances = {piece.sop_instance_uid: piece for piece in source.slices}
    images = Dataset()
    images.SeriesInstanceUID = source.series_instance_uid
    images.ReferencedSOPSequence = [reference(piece, frame=None) for piece in instances.values()]
    return images


def _observation_context(series: ResultSeries) -> ObservationContext:
    device = DeviceObserverIdentifyingAttributes(
        uid=derived_uid("device", MANUFACTURER, *series.model),
        name=series.model[0],
        manufacturer_name=MANUFACTURER,
        model_name=series.model[0],
        serial_number=DEVICE_SERIAL_NUMBER,
    )
    return ObservationContext(observer_device_context=ObserverContext(codes.DCM.Device, device))


def _group(
    number: int, found: Measurement, table: LabelTable, source: SourceSeries, segmentation: Dataset
) -> VolumetricROIMeasurementsAndQualitativeEvaluations:
    label = found.label
    return VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(uid=tracking_uid(label, table, source.map), identifier=label.name),
        referenced_segment=_referenced_segment(number, source, segmentation),
        finding_category=concept(label.category),
        finding_type=concept(label.type),
        finding_sites=[FindingSite(concept(label.anatomy))] if label.anatomy else None,
        algorithm_id=AlgorithmIdentification(table.algorithm_name, table.algorithm_version),
        measurements=list(_items(found, source)),
    )


def _referenced_segment(number: int, source: SourceSeries, segmentation: Dataset) -> ReferencedSegment:
    """The segment and what it was made from; a placeholder's series does not exist, so nothing may refer to it."""
    series = SourceSeriesForSegmentation(source.map.series_instance_uid)
    segment = ReferencedSegment(segmentation.SOPClassUID, segmentation.SOPInstanceUID, number, source_series=series)
    if source.is_placeholder:
        del segment[1]
    return segment


def _items(found: Measurement, source: SourceSeries) -> Iterator[NumericItem]:
    yield NumericItem(
        name=codes.SCT.Volume,
        value=round(found.volume_ml * 1000, _PLACES),
        unit=codes.UCUM.CubicMillimeter,
        method=codes.DCM.SumOfSegmentedVoxelMethodForVolume,
    )
    if not found.voxels:
        return
    piece = source.map.slices[found.slice_index]
    yield NumericItem(
        name=codes.SCT.LongAxis,
        value=round(found.slice_diameter_mm, _PLACES),
        unit=codes.UCUM.Millimeter,
        referenced_images=None if source.is_placeholder else [_image(piece)],
    )
    yield NumericItem(
        name=codes.IBSI.Maximum3DDiameterOfAMesh,
        value=round(found.diameter_mm, _PLACES),
        unit=codes.UCUM.Millimeter,
    )


def _image(piece: SourceSlice) -> SourceImageForMeasurement:
    frames = None if piece.frame is None else [piece.frame]
    return SourceImageForMeasurement(piece.sop_class_uid, piece.sop_instance_uid, frames)
