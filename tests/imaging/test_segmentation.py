"""A Segmentation of ours is the one that highdicom builds by itself, attribute by attribute and byte by byte."""

import datetime
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from highdicom.color import CIELabColor
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from clara_ops.contract.labels import Code, Label, LabelTable
from clara_ops.contract.source import SourceMap
from clara_ops.imaging.dicom_file import save_dicom
from clara_ops.imaging.objects.coded import algorithm, concept, tracking_uid
from clara_ops.imaging.objects.result_modules import ResultSeries
from clara_ops.imaging.objects.segment_frames import Labels
from clara_ops.imaging.objects.segmentation import SegmentationForm, SegmentationType, build_segmentation
from clara_ops.imaging.objects.source_series import open_source
from clara_ops.imaging.source_map import read_source_map
from tests.dicomgen.case import Case, make_case
from tests.dicomgen.results import ORGAN
from tests.dicomgen.series import Geometry, make_series

SERIES = ResultSeries("1.2.826.0.1.5", 1007, "Segmentation net", "20260301", "040506", ("net", "1"))
OURS = {
    "ContributingEquipmentSequence",
    "DimensionIndexSequence",
    "DimensionOrganizationSequence",
    "InstanceCreationDate",
    "InstanceCreationTime",
    "SOPInstanceUID",
}
"""What holds the clock or a UID drawn by lot in highdicom's, and what is known before in ours."""
SYNTAXES = {
    SegmentationType.BINARY: ExplicitVRLittleEndian,
    SegmentationType.FRACTIONAL: RLELossless,
    SegmentationType.LABELMAP: RLELossless,
}


ODD = Geometry(rows=7, columns=9)
"""Frames of bits that do not end with a byte."""


def table_of(count: int) -> LabelTable:
    """Labels of values 2, 5, 8, ...; with blood vessels for type, so that a code has something to differ in."""
    labels = tuple(
        Label(3 * number - 1, f"Organ {number}", (9 * number % 256, 100, 60), ORGAN, Code("59820001", "SCT", "Vessel"))
        for number in range(1, count + 1)
    )
    return LabelTable(algorithm_name="net", algorithm_version="1", labels=labels)


def random_labels(shape: tuple[int, ...], table: LabelTable, *, empty: bool = False) -> Labels:
    """Blobs and single voxels of some labels, on all planes but one; the last label is nowhere."""
    chance = np.random.default_rng(len(table.labels))
    values = np.array([0, *(label.value for label in table.labels[: max(1, len(table.labels) - 1)])])
    labels = values[chance.integers(0, len(values), shape)].astype(np.uint16)
    labels[:, 2:5, 1:9] = values[-1]
    labels[1] = 0
    labels[2][labels[2] == values[-1]] = 0
    return np.zeros_like(labels) if empty else labels


def of_highdicom(
    case: Case, labels: Labels, table: LabelTable, source: SourceMap, form: SegmentationForm
) -> highdicom.seg.Segmentation:
    """What highdicom makes of the same labels and the files of the source."""
    numbers = np.zeros(labels.max() + 1, np.uint8)
    values = [label.value for label in table.labels]
    for number, value in enumerate(values, start=1):
        if value < len(numbers):
            numbers[value] = number
    return highdicom.seg.Segmentation(
        source_images=[pydicom.dcmread(case.dicom / piece.file) for piece in source.slices],
        pixel_array=numbers[labels],
        segmentation_type=form.type.value,
        segment_descriptions=[
            highdicom.seg.SegmentDescription(
                number,
                label.name,
                concept(label.category),
                concept(label.type),
                "AUTOMATIC",
                algorithm_identification=algorithm(table),
                tracking_id=label.name,
                tracking_uid=tracking_uid(label, table, source),
                display_color=CIELabColor.from_rgb(*label.color),
            )
            for number, label in enumerate(table.labels, start=1)
        ],
        series_instance_uid=SERIES.uid,
        series_number=SERIES.number,
        sop_instance_uid="1.2.826.0.1.6",
        instance_number=1,
        manufacturer="clara-workflows",
        manufacturer_model_name="net",
        software_versions="1",
        device_serial_number="1",
        content_label="SEGMENTATION",
        content_description=SERIES.description,
        content_date=datetime.date(2026, 3, 1),
        content_time=datetime.time(4, 5, 6),
        transfer_syntax_uid=SYNTAXES[form.type],
        fractional_type="OCCUPANCY",
        omit_empty_frames=not form.keep_empty_frames,
    )


def read_back(segmentation: Dataset, folder: Path) -> Dataset:
    folder.mkdir()
    return pydicom.dcmread(save_dicom(segmentation, folder))


@pytest.mark.parametrize("segment_type", SegmentationType)
@pytest.mark.parametrize(
    ("count", "keep_empty", "empty", "geometry"),
    [
        (5, False, False, Geometry(rows=6, columns=150)),
        (5, True, False, ODD),
        (1, False, False, ODD),
        (3, False, True, ODD),
    ],
    ids=["runs beyond 128", "empty frames kept", "one segment", "nothing found"],
)
@pytest.mark.filterwarnings("ignore:Encoding an empty segmentation", "ignore:The number of bytes of compressed")
def test_it_is_what_highdicom_builds(
    segment_type: SegmentationType, count: int, keep_empty: bool, empty: bool, geometry: Geometry, tmp_path: Path
) -> None:
    case = make_case(tmp_path, make_series(geometry))
    source = read_source_map(case.volume)
    assert source
    table, form = table_of(count), SegmentationForm(segment_type, keep_empty)
    labels = random_labels((geometry.count, geometry.rows, geometry.columns), table, empty=empty)
    theirs = read_back(of_highdicom(case, labels, table, source, form), tmp_path / "theirs")
    ours = read_back(
        build_segmentation(labels, table, open_source(source, case.dicom), SERIES, form), tmp_path / "ours"
    )
    for element in theirs:
        if element.keyword == "PixelData":
            bits = theirs.NumberOfFrames * theirs.Rows * theirs.Columns * theirs.BitsAllocated
            length = -(-bits // 8) if segment_type is SegmentationType.BINARY else len(element.value)
            assert ours.PixelData[:length] == element.value[:length]
            assert len(ours.PixelData) == len(element.value)
        elif element.keyword not in OURS:
            assert ours[element.tag] == element, element.keyword
    for keyword in ("DimensionIndexPointer", "FunctionalGroupPointer", "DimensionDescriptionLabel"):
        assert [item.get(keyword) for item in ours.DimensionIndexSequence] == [
            item.get(keyword) for item in theirs.DimensionIndexSequence
        ]
