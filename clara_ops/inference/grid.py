"""From the grid of a volume to the grid that a model was trained on, and back."""

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from clara_ops.imaging.geometry import Grid, grid_of
from clara_ops.imaging.resample import resample_to_spacing
from clara_ops.inference.description import InputDescription

Float = npt.NDArray[np.float32]
Labels = npt.NDArray[np.uint8]


def to_model_grid(image: sitk.Image, wanted: InputDescription) -> tuple[Float, Grid]:
    """A volume as the model takes it.

    Voxels are averaged in whole blocks before they are interpolated: taking every third value of a sharp CT would hand
    its noise to the model (Dice of the spleen on the sample `abdomen_b`: 0.75 without, 0.88 with).

    Args:
        image: 3D, one value a voxel, LPS mm, any orientation.

    Returns:
        The voxels (x, y, z) along the model's axes, and their grid in LPS mm.
    """
    blocks = [max(1, int(wanted.spacing_mm / spacing)) for spacing in image.GetSpacing()]
    fitting = [min(block, count) for block, count in zip(blocks, image.GetSize(), strict=True)]
    coarse = resample_to_spacing(sitk.BinShrink(image, fitting), wanted.spacing_mm)
    oriented = sitk.DICOMOrient(coarse, wanted.axes)
    voxels = sitk.GetArrayViewFromImage(oriented).astype(np.float32)
    return voxels.transpose(2, 1, 0), grid_of(oriented)


def to_source_grid(labels: Labels, grid: Grid, source: Grid) -> Labels:
    """Labels on the grid of the volume that they were made from.

    Every voxel takes the label that weighs most after linear interpolation: smoother contours than the nearest label,
    in the memory of one label volume, and as good as interpolating the scores of every class (measured).

    Args:
        labels: (x, y, z) on `grid`.

    Returns:
        (slices, rows, columns) on `source`; what lies beyond `grid` takes the nearest label.
    """
    image = sitk.GetImageFromArray(np.ascontiguousarray(labels.transpose(2, 1, 0)))
    image.SetSpacing(grid.spacing)
    image.SetOrigin(grid.origin)
    image.SetDirection(grid.direction)
    resampler = sitk.ResampleImageFilter()
    resampler.SetSize(source.size)
    resampler.SetOutputSpacing(source.spacing)
    resampler.SetOutputOrigin(source.origin)
    resampler.SetOutputDirection(source.direction)
    resampler.SetInterpolator(sitk.sitkLabelLinear)
    resampler.SetUseNearestNeighborExtrapolator(True)
    back: Labels = sitk.GetArrayFromImage(resampler.Execute(image))
    return back
