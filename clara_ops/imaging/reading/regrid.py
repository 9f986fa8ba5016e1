"""Volumes from stacks that lie on no right-angled grid: gaps are filled, tilts straightened, when asked for."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from clara_ops.contract.source import Vector
from clara_ops.imaging.geometry import Grid, grid_of
from clara_ops.imaging.metaimage import raw_path, read_volume, write_header, write_volume
from clara_ops.imaging.reading.stacks import Stack
from clara_ops.imaging.resample import resample_onto


def fill_gaps(path: Path, stack: Stack, dtype: npt.DTypeLike) -> None:
    """Replace a volume by one with evenly spaced slices, interpolated linearly between the planes of its stack.

    First and last plane stay where they are.

    Args:
        path: the .mhd file that `write_stack` wrote from `stack`.
        stack: with gaps.
        dtype: of its voxels.
    """
    columns, rows, planes = stack.grid.size
    total = stack.distances[-1]
    count = max(2, round(total / stack.slice_spacing) + 1)
    raw = raw_path(path)
    found = np.memmap(raw, np.dtype(dtype).newbyteorder("<"), "r", shape=(planes, rows, columns))
    temporary = raw.with_suffix(".part")
    with temporary.open("wb") as file:
        for distance in np.linspace(0.0, total, count):
            file.write(_between(found, stack.distances, float(distance)).data)
    temporary.replace(raw)
    lean = stack.grid.spacing[2] / stack.slice_spacing
    spacing = (*stack.grid.spacing[:2], total / (count - 1) * lean)
    write_header(path, replace(stack.grid, size=(columns, rows, count), spacing=spacing), dtype)


def _between(planes: npt.NDArray[np.generic], distances: tuple[float, ...], distance: float) -> npt.NDArray[np.generic]:
    """The plane at a distance, from the two planes around it."""
    after = min(max(int(np.searchsorted(distances, distance)), 1), len(distances) - 1)
    part = (distance - distances[after - 1]) / (distances[after] - distances[after - 1])
    mixed = planes[after - 1] * (1 - part) + planes[after] * part
    rounded = np.rint(mixed) if np.issubdtype(planes.dtype, np.integer) else mixed
    return np.ascontiguousarray(rounded.astype(planes.dtype))


def straighten(path: Path, outside: float) -> None:
    """Replace a volume whose third axis leans by one on a right-angled grid that holds all of it.

    Args:
        path: the .mhd file.
        outside: value of voxels that the leaning volume does not cover.
    """
    image = read_volume(path)
    grid = _upright(grid_of(image))
    straight = resample_onto(image, grid, nearest=False, outside=outside)
    write_volume(path, sitk.GetArrayViewFromImage(straight), grid)


def _upright(leaning: Grid) -> Grid:
    """The right-angled grid with the same rows, columns and slices that covers a leaning one."""
    row, column, third = (np.array(axis) for axis in leaning.axes)
    normal = np.cross(row, column)
    step = third * leaning.spacing[2]
    drift = np.array([step @ row, step @ column]) / leaning.spacing[:2] * (leaning.size[2] - 1)
    before = np.ceil(np.maximum(-drift, 0) - 1e-6).astype(int)
    after = np.ceil(np.maximum(drift, 0) - 1e-6).astype(int)
    origin = np.array(leaning.origin) - before[0] * leaning.spacing[0] * row - before[1] * leaning.spacing[1] * column
    x, y, z = normal.tolist()
    upright: Vector = (x, y, z)
    return Grid(
        size=(
            leaning.size[0] + int(before[0] + after[0]),
            leaning.size[1] + int(before[1] + after[1]),
            leaning.size[2],
        ),
        spacing=(leaning.spacing[0], leaning.spacing[1], float(step @ normal)),
        origin=(float(origin[0]), float(origin[1]), float(origin[2])),
        axes=(leaning.axes[0], leaning.axes[1], upright),
    )
