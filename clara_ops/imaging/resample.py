"""Resampling between grids: to a spacing that a model wants, and back onto the grid of the source."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from clara_ops.contract.source import SourceMap
from clara_ops.imaging.errors import GridMismatch
from clara_ops.imaging.geometry import Grid, grid_difference, grid_of, overlaps
from clara_ops.imaging.source_map import plane_grids, source_grid

_ROUNDING = 1e-6


def resample_to_spacing(
    image: sitk.Image, spacing_mm: float | tuple[float, float, float], *, nearest: bool = False
) -> sitk.Image:
    """Resample a volume to a spacing, keeping direction and centre.

    The new grid covers the whole old one; voxels that reach beyond it take the value of the nearest border voxel.

    Args:
        image: 3D, any scalar type, LPS mm.
        spacing_mm: along x, y and z of the image's own axes; one number for all three.
        nearest: for labels; otherwise linear.

    Returns:
        An image of the same pixel type.
    """
    spacing = (spacing_mm,) * 3 if isinstance(spacing_mm, (int, float)) else spacing_mm
    extents = [count * step for count, step in zip(image.GetSize(), image.GetSpacing(), strict=True)]
    size = [max(1, math.ceil(extent / step - _ROUNDING)) for extent, step in zip(extents, spacing, strict=True)]
    first_voxel = [
        ((extent - count * step) / 2 + step / 2) / old_step - 0.5
        for extent, count, step, old_step in zip(extents, size, spacing, image.GetSpacing(), strict=True)
    ]
    grid = replace(
        grid_of(image),
        size=(size[0], size[1], size[2]),
        spacing=(spacing[0], spacing[1], spacing[2]),
        origin=image.TransformContinuousIndexToPhysicalPoint(first_voxel),
    )
    return _resample(image, grid, nearest=nearest, extrapolate=True)


def resample_like(image: sitk.Image, reference: sitk.Image, *, nearest: bool, outside: float = 0.0) -> sitk.Image:
    """Resample a volume onto the grid of another one, through physical space.

    Args:
        image: 3D, any scalar type, LPS mm.
        reference: gives size, spacing, origin and direction; its voxels are not read.
        nearest: for labels; otherwise linear.
        outside: value of voxels that `image` does not cover.

    Returns:
        An image of the same pixel type as `image`, on the grid of `reference`.
    """
    return resample_onto(image, grid_of(reference), nearest=nearest, outside=outside)


def resample_onto(image: sitk.Image, grid: Grid, *, nearest: bool, outside: float = 0.0) -> sitk.Image:
    """Resample a volume onto a grid, as `resample_like` does."""
    return _resample(image, grid, nearest=nearest, outside=outside)


def _resample(
    image: sitk.Image, grid: Grid, *, nearest: bool, outside: float = 0.0, extrapolate: bool = False
) -> sitk.Image:
    """Interpolate in float and round: ITK by itself cuts the decimals of whole numbers off, which shifts all values."""
    pixel_type = image.GetPixelID()
    rounds = not nearest and pixel_type not in (sitk.sitkFloat32, sitk.sitkFloat64)
    resampler = sitk.ResampleImageFilter()
    resampler.SetSize(grid.size)
    resampler.SetOutputSpacing(grid.spacing)
    resampler.SetOutputOrigin(grid.origin)
    resampler.SetOutputDirection(grid.direction)
    resampler.SetInterpolator(sitk.sitkNearestNeighbor if nearest else sitk.sitkLinear)
    resampler.SetDefaultPixelValue(outside)
    resampler.SetUseNearestNeighborExtrapolator(extrapolate)
    resampler.SetOutputPixelType(sitk.sitkFloat32 if rounds else pixel_type)
    resampled = resampler.Execute(image)
    return sitk.Cast(sitk.Round(resampled), pixel_type) if rounds else resampled


def fit_to_grid(image: sitk.Image, grid: Grid, *, nearest: bool, where: str) -> tuple[npt.NDArray[Any], str | None]:
    """The voxels of a result on the grid of its source: as they are where the grids are the same, else resampled.

    Args:
        image: the result, LPS mm.
        grid: of the source.
        nearest: for labels, which are 0 where the result does not reach; otherwise linear, and its lowest value there.
        where: the result's file, for the message.

    Returns:
        (slices, rows, columns), and in what the grids differed; None where they are the same.

    Raises:
        GridMismatch: the two do not even overlap.
    """
    difference = grid_difference(grid_of(image), grid)
    if difference is None:
        return sitk.GetArrayFromImage(image), None
    if not overlaps(grid_of(image), grid):
        raise GridMismatch(
            f"{where}: lies outside of the series that it was made from ({difference}); "
            "write it in LPS millimetres, with the origin and direction of its input"
        )
    outside = 0.0 if nearest else float(sitk.GetArrayViewFromImage(image).min())
    fitted = resample_onto(image, grid, nearest=nearest, outside=outside)
    return sitk.GetArrayFromImage(fitted), difference


def fit_to_source(
    image: sitk.Image, source: SourceMap, *, nearest: bool, where: str
) -> tuple[npt.NDArray[Any], str | None]:
    """The voxels of a result on the planes of its source, as `fit_to_grid` gives them.

    Where the volume was interpolated between the planes, each plane is cut out of the result at its own position.
    """
    if not source.resampled:
        return fit_to_grid(image, source_grid(source), nearest=nearest, where=where)
    planes = [fit_to_grid(image, grid, nearest=nearest, where=where)[0] for grid in plane_grids(source)]
    return np.concatenate(planes), "the volume was interpolated between the slices"
