"""Surfaces of labels as Encapsulated STL (DICOM PS3.3 section A.85.1): one object for each label that has voxels."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import numpy.typing as npt
from highdicom.color import CIELabColor
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import EncapsulatedSTLStorage

from clara_ops.contract.labels import Label, LabelTable
from clara_ops.imaging.objects.coded import algorithm
from clara_ops.imaging.objects.encapsulated import Document, encapsulate, source_items
from clara_ops.imaging.objects.label_regions import label_regions
from clara_ops.imaging.objects.result_modules import (
    ResultSeries,
    concept_item,
    copy_source_modules,
    frame_of_reference_uid,
)
from clara_ops.imaging.objects.source_series import SourceSeries
from clara_ops.imaging.objects.stl import stl_bytes
from clara_ops.imaging.objects.surfaces import label_surface
from clara_ops.imaging.uids import derived_uid

COORDINATES = "LPS millimetres"
_TITLES: Mapping[str, Code] = MappingProxyType({"CT": codes.LN.CT3DCAMModel, "MR": codes.LN.MR3DCAMModel})
"""By modality, of PS3.16 CID 7061; of others the models have no coded title."""


def surfaces(
    labels: npt.NDArray[Any],
    table: LabelTable,
    source: SourceSeries,
    series: ResultSeries,
    segmentation: Dataset,
    detail_mm: float,
) -> Iterator[Dataset]:
    """Build an object for each label: its closed surface, in millimetres of the source's frame of reference (LPS).

    Args:
        labels: (slices, rows, columns) on the grid of the source; every value but 0 is in the table.
        table: what the labels mean, and who made them; Instance Numbers count in its order.
        source: the series that was segmented.
        series: that the objects go into; their own UIDs follow from its UID.
        segmentation: with the same labels as its segments.
        detail_mm: what is finer is smoothed, as for `label_surface`.
    """
    model_group = derived_uid("model group", series.uid)
    for number, (label, region) in enumerate(label_regions(labels, table.labels), start=1):
        if region is None:
            continue
        surface = label_surface(region, source.map, detail_mm)
        document = Document(
            sop_class_uid=EncapsulatedSTLStorage,
            sop_instance_uid=derived_uid("surface", series.uid, str(label.value)),
            number=number,
            modality="M3D",
            mime_type="model/stl",
            title=label.name,
            concept=_TITLES.get(source.map.modality),
            content=stl_bytes(surface, f"{COORDINATES}, segment {number}"),
            identifies_patient=False,
        )
        result = encapsulate(document, source, series, segmentation)
        _add_model(result, label, table, series)
        result.ReferencedSeriesSequence = _referenced_series(source, segmentation)
        result.ModelGroupUID = model_group
        copy_source_modules(result, source.header)
        result.FrameOfReferenceUID = frame_of_reference_uid(source.map)
        yield result


def _referenced_series(source: SourceSeries, segmentation: Dataset) -> list[Dataset]:
    """Common Instance Reference Module (DICOM PS3.3 section C.12.2): all that is referred to lies in the same study."""
    made_from, *images = source_items(source, segmentation)
    referenced = [(segmentation.SeriesInstanceUID, [made_from]), (source.map.series_instance_uid, images)]
    items = []
    for uid, instances in referenced:
        if instances:
            item = Dataset()
            item.SeriesInstanceUID = uid
            item.ReferencedInstanceSequence = instances
            items.append(item)
    return items


def _add_model(result: Dataset, label: Label, table: LabelTable, series: ResultSeries) -> None:
    """Manufacturing 3D Model Module (DICOM PS3.3 section C.35.1)."""
    result.MeasurementUnitsCodeSequence = [concept_item(codes.UCUM.Millimeter)]
    result.DerivationAlgorithmSequence = algorithm(table)
    result.RecommendedDisplayCIELabValue = list(CIELabColor.from_rgb(*label.color).value)
    result.ModelModification = result.ModelMirroring = "NO"
    result.ContentDescription = ", ".join(filter(None, (COORDINATES, series.notice)))
