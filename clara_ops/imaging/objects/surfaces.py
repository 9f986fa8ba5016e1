"""The closed surface of a label, LPS mm: marching cubes over its voxels, each slice at its own position."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.measure import marching_cubes

from clara_ops.contract.source import SourceMap
from clara_ops.imaging.objects.label_regions import Region

Points = npt.NDArray[np.float64]
_SIGMAS = 4.0


@dataclass(frozen=True, eq=False)
class Surface:
    """Triangles around a label; every edge belongs to two of them, and their normals point outwards.

    Attributes:
        vertices: (vertices, 3), LPS mm.
        triangles: (triangles, 3), numbers of vertices, counter-clockwise as seen from outside.
    """

    vertices: Points
    triangles: npt.NDArray[np.int64]

    @property
    def volume_ml(self) -> float:
        """What the surface encloses, by the divergence theorem."""
        return _signed_volume(self.vertices, self.triangles) / 1000


def label_surface(region: Region, source: SourceMap, detail_mm: float = 0.0) -> Surface:
    """The surface of one label.

    Args:
        region: its voxels.
        source: says where they are.
        detail_mm: 0 follows the voxels; more smooths what is finer and takes triangles of about this size, while the
            volume stays that of the voxels.
    """
    spacing = np.array([source.slice_spacing, *source.pixel_spacing])
    if detail_mm > 0:
        field, first, steps = _smoothed(region.mask, detail_mm / spacing)
        level = _level(field, float(region.mask.sum() / steps.prod()))
    else:
        field, first, steps, level = np.pad(region.mask, 1).astype(np.float32), -np.ones(3), np.ones(3), 0.5
    corners, triangles, _, _ = marching_cubes(field, level)
    vertices = _places(corners * steps + first + region.offset, source)
    triangles = triangles.astype(np.int64)
    if _signed_volume(vertices, triangles) < 0:
        triangles = triangles[:, ::-1]
    return Surface(vertices, triangles)


def _smoothed(
    mask: npt.NDArray[np.bool_], detail: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The mask without what is finer than `detail` voxels, sampled no further apart; index of the first sample, steps.

    Samples reach so far beyond the mask that the outermost are empty.
    """
    sigma = detail / 2
    steps = np.maximum(np.floor(detail), 1).astype(int)
    margin = np.ceil(_SIGMAS * sigma).astype(int) + 2 * steps
    padded = np.pad(mask, [(width, width) for width in margin]).astype(np.float32)
    blurred = ndimage.gaussian_filter(padded, sigma, mode="constant", truncate=_SIGMAS)
    every = tuple(slice(None, None, step) for step in steps)
    return np.pad(blurred[every], 1), -(margin + steps).astype(float), steps.astype(float)


def _level(field: npt.NDArray[np.float32], inside: float) -> float:
    """The value above which as many samples lie as the volume has cells."""
    count = min(max(round(inside), 1), field.size - 1)
    around = np.partition(field, (field.size - count - 1, field.size - count), axis=None)
    level, highest = float(around[-count] + around[-count - 1]) / 2, float(field.max())
    return level if 0 < level < highest else highest / 2


def _places(indices: Points, source: SourceMap) -> Points:
    """Where (slice, row, column) are, fractions included; beyond the first and last slice the spacing goes on."""
    positions = np.array([piece.position for piece in source.slices])
    if len(positions) == 1:
        step = np.cross(source.row_direction, source.column_direction) * source.slice_spacing
        positions = np.concatenate([positions, positions + step])
    before = np.clip(np.floor(indices[:, 0]).astype(int), 0, len(positions) - 2)
    part = indices[:, :1] - before[:, np.newaxis]
    axes = np.array([source.column_direction, source.row_direction])
    along = positions[before] * (1 - part) + positions[before + 1] * part
    places: Points = along + indices[:, 1:] * np.array(source.pixel_spacing) @ axes
    return places


def _signed_volume(vertices: Points, triangles: npt.NDArray[Any]) -> float:
    a, b, c = (vertices[triangles[:, corner]] - vertices.mean(axis=0) for corner in range(3))
    return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)
