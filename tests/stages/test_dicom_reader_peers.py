"""dicom-reader on a real CT, against readers that were written by others: SimpleITK with GDCM, and dcm2niix."""

import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from tests.dicomgen.stage import read_volume

ABDOMEN_B = Path(__file__).parents[1] / "data" / "abdomen_b"


@pytest.fixture(scope="module", params=["JPEG 2000", "uncompressed"])
def real_ct(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if request.param == "JPEG 2000":
        return ABDOMEN_B
    folder = tmp_path_factory.mktemp("uncompressed")
    for path in ABDOMEN_B.glob("*.dcm"):
        image = pydicom.dcmread(path)
        image.decompress()
        image.save_as(folder / path.name)
    return folder


def test_voxels_and_geometry_are_those_of_simpleitk(real_ct: Path, tmp_path: Path) -> None:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(real_ct)))
    expected = reader.Execute()

    found = read_volume(real_ct, tmp_path)

    np.testing.assert_array_equal(sitk.GetArrayFromImage(found), sitk.GetArrayFromImage(expected))
    assert found.GetPixelID() == expected.GetPixelID() == sitk.sitkInt16
    assert found.GetSize() == (512, 512, 20)
    for corner in ((0, 0, 0), (511, 0, 0), (0, 511, 0), (511, 511, 19)):
        there = expected.TransformIndexToPhysicalPoint(corner)
        np.testing.assert_allclose(found.TransformIndexToPhysicalPoint(corner), there, atol=1e-6)


@pytest.mark.e2e
def test_voxels_and_geometry_are_those_of_dcm2niix(real_ct: Path, tmp_path: Path) -> None:
    (tmp_path / "peer").mkdir()
    subprocess.run(
        ["dcm2niix", "-o", str(tmp_path / "peer"), "-f", "peer", "-z", "n", str(real_ct)],
        check=True,
        capture_output=True,
    )
    expected = sitk.DICOMOrient(sitk.ReadImage(str(tmp_path / "peer" / "peer.nii")), "LPS")

    found = read_volume(real_ct, tmp_path / "out")

    np.testing.assert_array_equal(sitk.GetArrayFromImage(found), sitk.GetArrayFromImage(expected))
    assert found.GetSpacing() == pytest.approx(expected.GetSpacing())
    for corner in ((0, 0, 0), (511, 0, 0), (0, 511, 0), (511, 511, 19)):
        there = expected.TransformIndexToPhysicalPoint(corner)
        np.testing.assert_allclose(found.TransformIndexToPhysicalPoint(corner), there, atol=1e-3)
