"""Makes the sample input of the workflows in `dags/workflows/samples` from `tests/data/abdomen_a`.

    .venvs/clara/bin/python -m tests.samplegen.make

24 slices through the liver, and what a parallel-beam scanner would measure of them: 180 angles, 160 elements of 3 mm,
no noise, in half precision (steps of at most 0.004 in a line integral, about 1 HU in the volume). The same data gives
the same files.
"""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import SimpleITK as sitk

from clara_ops.imaging.nifti_to_dicom import ct_series_from_nifti
from clara_ops.imaging.sinogram import WATER_ATTENUATION
from tests.samplegen.forward_projection import forward_projection

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "tests" / "data" / "abdomen_a" / "ct.nii.gz"
SAMPLES = ROOT / "dags" / "workflows" / "samples"
FIRST, COUNT = 84, 24
ANGLES, ELEMENTS = 180, 160
NAME = "abdomen-a"


def liver() -> sitk.Image:
    """The slices: axial, LPS, int16."""
    whole = sitk.DICOMOrient(sitk.ReadImage(str(SOURCE)), "LPS")
    return sitk.Cast(whole[:, :, FIRST : FIRST + COUNT], sitk.sitkInt16)


def write_volume_sample(image: sitk.Image, folder: Path) -> None:
    """The slices as a MetaImage, its voxels compressed."""
    folder.mkdir()
    sitk.WriteImage(image, str(folder / f"{NAME}.mhd"), useCompression=True)


def write_sinogram(image: sitk.Image, path: Path) -> None:
    """The projections of the slices, in the form of `clara_ops.imaging.sinogram`."""
    columns, rows, _ = image.GetSize()
    spacing, _, between_slices = image.GetSpacing()
    angles = np.arange(ANGLES) * 180.0 / ANGLES
    voxels = sitk.GetArrayFromImage(image)
    projections = forward_projection(voxels, spacing, angles, ELEMENTS, WATER_ATTENUATION)
    path.parent.mkdir(exist_ok=True)
    np.savez_compressed(
        path,
        sinogram=projections.astype(np.float16),
        angles=angles,
        spacing=(between_slices, spacing),
        origin=image.TransformContinuousIndexToPhysicalPoint([(columns - 1) / 2, (rows - 1) / 2, 0.0]),
        water_attenuation=WATER_ATTENUATION,
    )


def write_series(image: sitk.Image, folder: Path) -> str:
    """The slices as a CT series; returns the Series Instance UID."""
    with TemporaryDirectory() as work:
        nifti = Path(work) / "ct.nii"
        sitk.WriteImage(image, str(nifti))
        return ct_series_from_nifti(nifti, folder)


def main() -> None:
    """Write all samples anew."""
    for folder in ("volume", "sinogram", "series-and-sinogram"):
        shutil.rmtree(SAMPLES / folder, ignore_errors=True)
    SAMPLES.mkdir(exist_ok=True)
    image = liver()
    write_volume_sample(image, SAMPLES / "volume")
    sinogram = SAMPLES / "sinogram" / f"{NAME}.npz"
    write_sinogram(image, sinogram)
    both = SAMPLES / "series-and-sinogram"
    series_uid = write_series(image, both)
    shutil.copyfile(sinogram, both / f"{series_uid}.npz")


if __name__ == "__main__":
    main()
