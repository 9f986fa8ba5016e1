"""Volumes in the formats of other tools, beside the MetaImage file."""

from pathlib import Path

import SimpleITK as sitk

from clara_ops.imaging.errors import VolumeError
from clara_ops.imaging.geometry import grid_of
from clara_ops.imaging.metaimage import read_volume

NIFTI = ".nii.gz"


def write_copy(path: Path, suffix: str) -> None:
    """Write the volume of a .mhd file again, beside it, in the format that SimpleITK knows by the suffix.

    Raises:
        VolumeError: the format has no place for the volume's grid.
    """
    image = read_volume(path)
    if suffix == NIFTI and not grid_of(image).is_right_angled():
        raise VolumeError(f"{path}: NIfTI has no place for the leaning grid of a tilted gantry; choose --tilt resample")
    sitk.WriteImage(image, f"{path.with_suffix('')}{suffix}")
