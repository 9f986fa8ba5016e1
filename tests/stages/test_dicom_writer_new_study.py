"""Without DICOM input dicom-writer makes a study up, says so, and puts every voxel where its volume says it is."""

import logging
from pathlib import Path

import highdicom
import numpy as np
import pytest
import SimpleITK as sitk
from highdicom.sr import srread
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import CTImageStorage, SecondaryCaptureImageStorage

from clara_ops.imaging.errors import MissingSource
from clara_ops.imaging.label_table import write_label_table
from tests.dicomgen.case import manifest, objects_in
from tests.dicomgen.dciodvfy import errors
from tests.dicomgen.phantom import assert_is_the_body, value_at, voxel_centres
from tests.dicomgen.results import TABLE, label_at
from tests.dicomgen.series import make_series, write_series
from tests.dicomgen.stage import read_volume, run_writer

OBLIQUE = (0.8, 0.0, 0.6, 0.36, 0.8, -0.48, -0.48, 0.6, 0.64)
EVERYTHING = ("--structure-set", "--measurements", "--surfaces", "--report")
DIRECTIONS = {
    "LPS": (1, 0, 0, 0, 1, 0, 0, 0, 1),
    "RAS": (-1, 0, 0, 0, -1, 0, 0, 0, 1),
    "left-handed": (1, 0, 0, 0, 1, 0, 0, 0, -1),
    "oblique": OBLIQUE,
}


def volume(direction: tuple[float, ...] = OBLIQUE) -> sitk.Image:
    image = sitk.Image(12, 10, 5, sitk.sitkInt16)
    image.SetSpacing((0.75, 1.5, 2.5))
    image.SetOrigin((-20, -30, -100))
    image.SetDirection(direction)
    values = sitk.GetImageFromArray(np.rint(value_at(voxel_centres(image))).astype(np.int16))
    values.CopyInformation(image)
    return values


def labels_of(image: sitk.Image) -> sitk.Image:
    labels = sitk.GetImageFromArray(label_at(voxel_centres(image)))
    labels.CopyInformation(image)
    return labels


def write_input(folder: Path, grey: sitk.Image | None = None, labels: sitk.Image | None = None) -> None:
    folder.mkdir(exist_ok=True)
    if grey:
        sitk.WriteImage(grey, str(folder / "grey.mhd"))
    if labels:
        sitk.WriteImage(labels, str(folder / "organs.mhd"))
        write_label_table(TABLE, folder / "organs.mhd")


def write(folder: Path, *arguments: str, dicom: Path | None = None, run: Path | None = None) -> list[Dataset]:
    run_writer(folder / "in", dicom, folder / "results", *arguments, manifest=run)
    return objects_in(folder / "results")


@pytest.mark.parametrize("direction", DIRECTIONS.values(), ids=DIRECTIONS)
def test_grey_values_are_where_the_volume_has_them(direction: tuple[float, ...], tmp_path: Path) -> None:
    write_input(tmp_path / "in", volume(direction))
    images = write(tmp_path, "--modality", "CT")
    assert {image.SOPClassUID for image in images} == {CTImageStorage}
    assert_is_the_body(read_volume(tmp_path / "results", tmp_path / "again"))


@pytest.mark.parametrize("direction", DIRECTIONS.values(), ids=DIRECTIONS)
def test_labels_are_where_the_volume_has_them(direction: tuple[float, ...], tmp_path: Path) -> None:
    write_input(tmp_path / "in", labels=labels_of(volume(direction)))
    *overlay, segmentation = write(tmp_path)
    found = highdicom.seg.segread(segmentation.filename).get_volume(combine_segments=True)
    indices = np.stack(np.meshgrid(*map(np.arange, found.spatial_shape), indexing="ij"), axis=-1)
    points = found.map_indices_to_reference(indices.reshape(-1, 3)).reshape(*found.spatial_shape, 3)
    wanted = label_at(points)
    np.testing.assert_array_equal(found.array, np.select([wanted == 3, wanted == 7], [1, 2]))
    assert len(overlay) == 5
    assert int((found.array > 0).sum()) == int((label_at(voxel_centres(volume(direction))) > 0).sum())
    colours = sum(int(image.pixel_array.any(axis=-1).sum()) for image in overlay)
    assert colours == int((found.array > 0).sum())


def test_nothing_refers_to_an_instance_that_does_not_exist(tmp_path: Path) -> None:
    write_input(tmp_path / "in", volume(), labels_of(volume()))
    objects = write(tmp_path, "--structure-set", "--measurements", "--surfaces")
    ours = {str(found.SOPInstanceUID) for found in objects}
    assert {found.Modality for found in objects} == {"SEG", "OT", "RTSTRUCT", "SR", "M3D"}
    for found in objects:
        references = {
            str(element.value) for element in found.iterall() if element.keyword == "ReferencedSOPInstanceUID"
        }
        assert references <= ours
        series = {str(element.value) for element in found.iterall() if element.keyword == "SeriesInstanceUID"}
        assert series <= {str(other.SeriesInstanceUID) for other in objects}


def test_measurements_without_a_source_are_read_all_the_same(tmp_path: Path) -> None:
    write_input(tmp_path / "in", labels=labels_of(volume()))
    segmentation, report = write(tmp_path, "--no-overlay", "--measurements")
    groups = srread(report.filename).content.get_volumetric_roi_measurement_groups()
    counts = np.bincount(label_at(voxel_centres(volume())).ravel(), minlength=10)
    assert [group.get_measurements(codes.SCT.Volume)[0].value for group in groups] == pytest.approx(
        [float(counts[label.value]) * 0.75 * 1.5 * 2.5 for label in TABLE.labels]
    )
    (evidence,) = report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
    assert evidence.SeriesInstanceUID == segmentation.SeriesInstanceUID


def test_patient_and_study_are_placeholders_that_say_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_input(tmp_path / "in", volume(), labels_of(volume()))
    with caplog.at_level(logging.WARNING):
        result = run_writer(tmp_path / "in", None, tmp_path / "results")
    assert result.facts["new_study"] is True
    assert result.reason == "no DICOM input: written into a new study of a placeholder patient"
    assert "new study of a placeholder patient: grey.mhd, organs.mhd" in caplog.text
    objects = objects_in(tmp_path / "results")
    assert len(objects) == 11
    for found in objects:
        assert found.PatientName == "NO DICOM SOURCE"
        assert found.StudyDescription == "Made without DICOM source"
        assert found.PatientID.startswith("NO-SOURCE-")
        assert found.PatientComments.startswith("Placeholder:")
        assert (found.PatientBirthDate, found.PatientSex, found.StudyDate, found.AccessionNumber) == ("", "", "", "")
    for keyword in ("StudyInstanceUID", "PatientID", "FrameOfReferenceUID"):
        assert len({found[keyword].value for found in objects}) == 1


def test_made_again_it_is_the_same_study_and_other_volumes_are_another_one(tmp_path: Path) -> None:
    write_input(tmp_path / "in", volume(), labels_of(volume()))
    contents = []
    for attempt in ("first", "second"):
        run_writer(tmp_path / "in", None, tmp_path / attempt)
        contents.append({path.name: path.read_bytes() for path in (tmp_path / attempt).glob("*.dcm")})
    assert contents[0] == contents[1]
    write_input(tmp_path / "in", volume() + 1)
    others = write(tmp_path)
    assert {path.name for path in (tmp_path / "results").glob("*.dcm")}.isdisjoint(contents[0])
    assert {found.StudyInstanceUID for found in others}.isdisjoint(
        {found.StudyInstanceUID for found in objects_in(tmp_path / "first")}
    )


def test_generations_of_a_run_share_the_study(tmp_path: Path) -> None:
    write_input(tmp_path / "in", volume())
    first = write(tmp_path, run=manifest(tmp_path, "w-0123456789abcdef0123-g1"))
    second = write(tmp_path, run=manifest(tmp_path, "w-0123456789abcdef0123-g2"))
    studies = {(found.StudyInstanceUID, found.PatientID) for found in (*first, *second)}
    assert len(studies) == 1
    assert len({found.SeriesInstanceUID for found in (*first, *second)}) == 2


def test_a_folder_without_images_is_no_dicom_input(tmp_path: Path) -> None:
    write_input(tmp_path / "in", volume())
    images = write(tmp_path, dicom=tmp_path / "in")
    assert {image.SOPClassUID for image in images} == {SecondaryCaptureImageStorage}
    assert {image.Modality for image in images} == {"OT"}


def test_dicom_input_without_the_volumes_series_is_refused(tmp_path: Path) -> None:
    write_input(tmp_path / "in", volume())
    write_series(make_series(), tmp_path / "dicom")
    with pytest.raises(MissingSource, match=r"grey\.mhd: has no source map beside it"):
        write(tmp_path, dicom=tmp_path / "dicom")


@pytest.mark.e2e
@pytest.mark.parametrize("modality", ["CT", "OT"])
def test_dciodvfy_finds_no_error(modality: str, tmp_path: Path) -> None:
    write_input(tmp_path / "in", volume(), labels_of(volume()))
    for found in write(tmp_path, "--modality", modality, *EVERYTHING):
        assert errors(found.filename) == []
