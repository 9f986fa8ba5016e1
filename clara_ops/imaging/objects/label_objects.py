"""The DICOM objects that a label volume becomes: a Segmentation, and what else is wanted beside it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt
from pydicom.dataset import Dataset

from clara_ops.contract.labels import LabelTable
from clara_ops.imaging.objects.measurement_report import build_measurement_report
from clara_ops.imaging.objects.measurements import measure
from clara_ops.imaging.objects.result_modules import ResultSeries
from clara_ops.imaging.objects.secondary_capture import overlay_images
from clara_ops.imaging.objects.segmentation import SegmentationForm, build_segmentation
from clara_ops.imaging.objects.series_policy import Kind
from clara_ops.imaging.objects.source_series import SourceSeries
from clara_ops.imaging.objects.structure_set import build_structure_set


@dataclass(frozen=True)
class Wanted:
    """What is written of a label volume.

    Attributes:
        segmentation: how the Segmentation is encoded, which is always written.
        overlay: pictures with the labels in colour.
        structure_set: an RT Structure Set.
        measurements: a Structured Report of volumes and diameters.
        report: the same for people to read, as Encapsulated PDF.
        surfaces: an STL model of each label.
        surface_detail_mm: what the models smooth; 0 to follow the voxels.
    """

    segmentation: SegmentationForm = field(default_factory=SegmentationForm)
    overlay: bool = True
    structure_set: bool = False
    measurements: bool = False
    report: bool = False
    surfaces: bool = False
    surface_detail_mm: float = 0.0


def label_objects(
    labels: npt.NDArray[Any],
    table: LabelTable,
    source: SourceSeries,
    wanted: Wanted,
    series_of: Callable[[Kind], ResultSeries],
) -> Iterator[Dataset]:
    """Build the objects one after the other: save each before asking for the next.

    Args:
        labels: (slices, rows, columns) on the grid of the source; every value but 0 is in the table.
        table: what the values mean.
        source: the series that was segmented.
        wanted: what to build.
        series_of: gives each kind of object the series that it goes into.
    """
    segmentation = build_segmentation(labels, table, source, series_of(Kind.SEGMENTATION), wanted.segmentation)
    yield segmentation
    if wanted.structure_set:
        yield build_structure_set(labels, table, source, series_of(Kind.STRUCTURES), segmentation)
    measured = measure(labels, table, source.map) if wanted.measurements or wanted.report else ()
    if wanted.measurements:
        yield build_measurement_report(measured, table, source, series_of(Kind.MEASUREMENTS), segmentation)
    if wanted.report:
        from clara_ops.imaging.objects.encapsulated_report import (
            build_report,  # its PDF library takes a second to import
        )

        yield build_report(measured, labels, table, source, series_of(Kind.REPORT), segmentation)
    if wanted.surfaces:
        from clara_ops.imaging.objects.encapsulated_surface import (
            surfaces,  # its libraries take half a second to import
        )

        detail = wanted.surface_detail_mm
        yield from surfaces(labels, table, source, series_of(Kind.SURFACES), segmentation, detail)
    if wanted.overlay:
        yield from overlay_images(labels, table, source, series_of(Kind.OVERLAY))
