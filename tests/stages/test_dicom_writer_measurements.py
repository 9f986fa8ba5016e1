"""The Structured Report: one group of measurements for each label, which refers to its segment and its source."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from highdicom.sr import srread
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import Comprehensive3DSRStorage

from tests.dicomgen.case import Case, make_case
from tests.dicomgen.multiframe import make_multiframe
from tests.dicomgen.phantom import voxel_centres
from tests.dicomgen.results import TABLE, label_at, label_image
from tests.dicomgen.series import make_series


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return make_case(tmp_path, make_series())


def report_of(case: Case) -> tuple[Dataset, Dataset]:
    """The report and the segmentation."""
    segmentation, report = case.write(label_image(case.image), "--no-overlay", "--measurements")
    assert report.SOPClassUID == Comprehensive3DSRStorage
    return report, segmentation


def voxel_counts(case: Case) -> dict[int, int]:
    labels = label_at(voxel_centres(case.image))
    return {label.value: int((labels == label.value).sum()) for label in TABLE.labels}


def test_highdicom_reads_volumes_and_diameters(case: Case) -> None:
    report, segmentation = report_of(case)
    groups = srread(report.filename).content.get_volumetric_roi_measurement_groups()
    assert [group.tracking_identifier for group in groups] == ["Liver", "Left kidney", "Spleen"]
    for number, (group, label) in enumerate(zip(groups, TABLE.labels, strict=True), start=1):
        (volume,) = group.get_measurements(codes.SCT.Volume)
        assert volume.value == pytest.approx(voxel_counts(case)[label.value] * 1.5 * 0.75 * 2.5, abs=1e-3)
        assert volume.unit == codes.UCUM.CubicMillimeter
        assert group.finding_type.value == label.type.value
        assert group.finding_category.value == label.category.value
        segment = group.referenced_segment
        assert segment.referenced_sop_instance_uid == segmentation.SOPInstanceUID
        assert segment.referenced_segment_numbers == [number]
        assert group.tracking_uid == segmentation.SegmentSequence[number - 1].TrackingUID
    liver, kidney, spleen = groups
    (diameter,) = kidney.get_measurements(codes.IBSI.Maximum3DDiameterOfAMesh)
    assert diameter.value == pytest.approx(np.sqrt(2.25**2 + 6**2 + 5**2), abs=0.8)
    (long_axis,) = kidney.get_measurements(codes.SCT.LongAxis)
    assert long_axis.unit == diameter.unit == codes.UCUM.Millimeter
    assert long_axis.value <= diameter.value
    assert [site.value.meaning for site in kidney.finding_sites] == ["Left"]
    assert liver.finding_sites == []
    assert [found.name for found in spleen.get_measurements()] == [codes.SCT.Volume]


def test_the_image_of_a_long_axis_is_named(case: Case) -> None:
    report, _ = report_of(case)
    (long_axis,) = (
        srread(report.filename).content.get_volumetric_roi_measurement_groups()[0].get_measurements(codes.SCT.LongAxis)
    )
    (image,) = long_axis.referenced_images
    labels = label_at(voxel_centres(case.image))
    assert image.referenced_sop_instance_uid.startswith("1.2.826.0.1.1.1.")
    number = int(image.referenced_sop_instance_uid.rpartition(".")[2])
    assert (labels[number - 1] == 3).any()


def test_a_long_axis_in_a_multi_frame_object_names_its_frame(tmp_path: Path) -> None:
    source = make_multiframe(make_series())
    report, _ = report_of(make_case(tmp_path, [source]))
    (long_axis,) = (
        srread(report.filename).content.get_volumetric_roi_measurement_groups()[0].get_measurements(codes.SCT.LongAxis)
    )
    (image,) = long_axis.referenced_images
    assert image.referenced_sop_instance_uid == source.SOPInstanceUID
    assert image.referenced_frame_numbers in [[number] for number in range(1, 6)]


def test_segmentation_and_source_are_evidence(case: Case) -> None:
    report, segmentation = report_of(case)
    (study,) = report.CurrentRequestedProcedureEvidenceSequence
    assert study.StudyInstanceUID == "1.2.826.0.1.1"
    evidence = {
        series.SeriesInstanceUID: {item.ReferencedSOPInstanceUID for item in series.ReferencedSOPSequence}
        for series in study.ReferencedSeriesSequence
    }
    assert evidence == {
        "1.2.826.0.1.1.1": {f"1.2.826.0.1.1.1.{number}" for number in range(1, 6)},
        segmentation.SeriesInstanceUID: {segmentation.SOPInstanceUID},
    }


def test_the_algorithm_observed_and_nobody_has_verified(case: Case) -> None:
    report, _ = report_of(case)
    assert report.VerificationFlag == "UNVERIFIED"
    (observer,) = srread(report.filename).content.get_observer_contexts()
    assert observer.observer_type == codes.DCM.Device
    assert observer.observer_identifying_attributes.name == "phantom-net"


@pytest.mark.e2e
def test_dcmqi_and_dcmtk_read_the_same_measurements(case: Case, tmp_path: Path) -> None:
    report, segmentation = report_of(case)
    reader = Path(sys.executable).with_name("tid1500reader")
    answer = tmp_path / "report.json"
    command = [reader, "--inputDICOM", report.filename, "--outputMetadata", answer]
    subprocess.run(command, check=True, capture_output=True)
    groups = json.loads(answer.read_text())["Measurements"]
    assert [group["TrackingIdentifier"] for group in groups] == ["Liver", "Left kidney", "Spleen"]
    for group, label in zip(groups, TABLE.labels, strict=True):
        assert group["segmentationSOPInstanceUID"] == segmentation.SOPInstanceUID
        volume = group["measurementItems"][0]
        assert volume["quantity"]["CodeMeaning"] == "Volume"
        assert float(volume["value"]) == pytest.approx(voxel_counts(case)[label.value] * 1.5 * 0.75 * 2.5, abs=1e-3)
    text = subprocess.run(["dsrdump", report.filename], check=True, capture_output=True, text=True)
    assert text.stderr == ""
    assert text.stdout.count('"Measurement Group"') == 3
