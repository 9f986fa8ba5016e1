"""dicom-reader on a real CT, against readers that were written by others: SimpleITK with GDCM, and dcm2niix."""

import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.uid import (
    UID,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from tests.dicomgen.series import Geometry, Storage, make_series, write_series
from tests.dicomgen.stage import read_volume

SIGNED = Storage(16, 16, signed=True, intercept=0)
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


ENCODED_BY_DCMTK = {
    "JPEG baseline": (["dcmcjpeg", "+eb", "+q", "100"], JPEGBaseline8Bit, Storage(8, 8, slope=8), 8),
    "JPEG extended, 12 bit": (["dcmcjpeg", "+ee", "+q", "100"], JPEGExtended12Bit, Storage(), 1),
    "JPEG lossless, process 14": (["dcmcjpeg", "+el"], JPEGLossless, Storage(), 0),
    "JPEG lossless, selection value 1": (["dcmcjpeg", "+e1"], JPEGLosslessSV1, SIGNED, 0),
    "JPEG-LS": (["dcmcjpls", "+el"], JPEGLSLossless, SIGNED, 0),
    "JPEG-LS, near-lossless": (["dcmcjpls", "+en", "+md", "2"], JPEGLSNearLossless, Storage(), 2),
    "RLE": (["dcmcrle"], RLELossless, SIGNED, 0),
}
"""Command, transfer syntax, how values are stored, and by how much they may differ."""


@pytest.mark.e2e
@pytest.mark.parametrize(("command", "syntax", "storage", "tolerance"), ENCODED_BY_DCMTK.values(), ids=ENCODED_BY_DCMTK)
def test_what_dcmtk_compresses_is_read(
    command: list[str], syntax: UID, storage: Storage, tolerance: float, tmp_path: Path
) -> None:
    paths = write_series(make_series(Geometry(rows=40, columns=48), storage), tmp_path / "plain")
    (tmp_path / "encoded").mkdir()
    for path in paths:
        encoded = tmp_path / "encoded" / path.name
        subprocess.run([*command, str(path), str(encoded)], check=True, capture_output=True)
        assert pydicom.dcmread(encoded).file_meta.TransferSyntaxUID == syntax
    expected, found = (read_volume(tmp_path / name, tmp_path / f"{name}-out") for name in ("plain", "encoded"))
    np.testing.assert_allclose(sitk.GetArrayFromImage(found), sitk.GetArrayFromImage(expected), atol=tolerance, rtol=0)
