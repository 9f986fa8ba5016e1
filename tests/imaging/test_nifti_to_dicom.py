"""The CT series made from the NIfTI sample says in DICOM what the NIfTI file says."""

import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from clara_ops.imaging.errors import VolumeError
from clara_ops.imaging.nifti_to_dicom import ct_series_from_nifti

ABDOMEN_A = Path(__file__).parents[1] / "data" / "abdomen_a" / "ct.nii.gz"


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("abdomen_a")
    ct_series_from_nifti(ABDOMEN_A, folder)
    return folder


def test_simpleitk_reads_the_same_voxels_at_the_same_places(series: Path) -> None:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(series)))
    found = reader.Execute()
    wanted = sitk.DICOMOrient(sitk.ReadImage(str(ABDOMEN_A)), "LPS")

    assert found.GetSize() == wanted.GetSize() == (122, 101, 112)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(found), sitk.GetArrayFromImage(wanted))
    for corner in ((0, 0, 0), (121, 100, 111)):
        there = wanted.TransformIndexToPhysicalPoint(corner)
        np.testing.assert_allclose(found.TransformIndexToPhysicalPoint(corner), there, atol=1e-3)


def test_made_again_it_is_the_same_byte_for_byte(series: Path, tmp_path: Path) -> None:
    ct_series_from_nifti(ABDOMEN_A, tmp_path)
    assert len(list(tmp_path.iterdir())) == 112
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (series / path.name).read_bytes()


def test_the_study_can_be_another_one(tmp_path: Path) -> None:
    series_uid = ct_series_from_nifti(
        ABDOMEN_A, tmp_path, study_uid="1.2.3", patient_name="Probe^Zwei", patient_id="P2"
    )
    instance = pydicom.dcmread(next(tmp_path.iterdir()))
    assert instance.StudyInstanceUID == "1.2.3"
    assert instance.SeriesInstanceUID == series_uid
    assert (instance.PatientName, instance.PatientID) == ("Probe^Zwei", "P2")


def test_an_oblique_volume_is_refused(tmp_path: Path) -> None:
    image = sitk.Image((4, 4, 4), sitk.sitkInt16)
    image.SetDirection((0.8, -0.6, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, 1.0))
    sitk.WriteImage(image, str(tmp_path / "oblique.nii.gz"))
    with pytest.raises(VolumeError, match="oblique"):
        ct_series_from_nifti(tmp_path / "oblique.nii.gz", tmp_path)


@pytest.mark.e2e
def test_dciodvfy_finds_no_error(series: Path) -> None:
    path = sorted(series.iterdir())[0]
    answer = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
    assert [line for line in answer.stderr.splitlines() if line.startswith("Error")] == []
    assert "CTImage" in answer.stderr
