"""A body whose value is known at every point of space, so that a voxel can be checked wherever it claims to be."""

from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

SLOPE = np.array([3.0, -2.0, 5.0])
"""Change of the value for each millimetre to the left, to the back and to the head."""


def value_at(points: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """The body's value at points (..., 3) in LPS mm, unrounded."""
    values: npt.NDArray[np.float64] = points @ SLOPE
    return values


def voxel_centres(image: sitk.Image) -> npt.NDArray[np.float64]:
    """Centres of an image's voxels, (slices, rows, columns, 3), LPS mm, by the image's own geometry."""
    indices = np.stack(np.meshgrid(*(np.arange(count) for count in image.GetSize()[::-1]), indexing="ij"), axis=-1)
    direction = np.array(image.GetDirection()).reshape(3, 3)
    centres: npt.NDArray[np.float64] = indices[..., ::-1] * image.GetSpacing() @ direction.T + image.GetOrigin()
    return centres


def assert_is_the_body(image: sitk.Image, tolerance: float = 0.51) -> None:
    """Every voxel has the body's value at the place where the image says the voxel is."""
    expected = value_at(voxel_centres(image))
    np.testing.assert_allclose(sitk.GetArrayFromImage(image), expected, atol=tolerance, rtol=0)
