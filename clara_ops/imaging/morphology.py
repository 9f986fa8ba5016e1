"""Growing and shrinking of masks by millimetres, whatever the spacing of the voxels."""

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from clara_ops.contract.source import Vector

Mask = npt.NDArray[np.bool_]


def grow(mask: Mask, distance_mm: float, spacing: Vector) -> Mask:
    """All voxels no further than a distance from the mask.

    Args:
        mask: (slices, rows, columns).
        spacing: mm, of columns, rows and slices.
    """
    if not mask.any():
        return mask
    near: Mask = _distances(mask, spacing) <= distance_mm
    return near


def shrink(mask: Mask, distance_mm: float, spacing: Vector) -> Mask:
    """The voxels of the mask further than a distance from what is outside of it; beyond the volume nothing is outside.

    Args:
        mask: (slices, rows, columns).
        spacing: mm, of columns, rows and slices.
    """
    if mask.all():
        return mask
    far: Mask = _distances(~mask, spacing) > distance_mm
    return far


def _distances(mask: Mask, spacing: Vector) -> npt.NDArray[np.float32]:
    """Distance of every voxel from the mask, mm; 0 in it."""
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    image.SetSpacing(spacing)
    signed = sitk.SignedMaurerDistanceMap(image, squaredDistance=False, useImageSpacing=True)
    distances: npt.NDArray[np.float32] = sitk.GetArrayFromImage(signed)
    distances[mask] = 0
    return distances
