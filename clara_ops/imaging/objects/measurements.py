"""How large each label is: its volume, its largest diameter in a slice and in space."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from clara_ops.contract.labels import Label, LabelTable
from clara_ops.contract.source import SourceMap
from clara_ops.imaging.objects.label_regions import Region, label_regions

Points = npt.NDArray[np.float64]
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Measurement:
    """The size of one label; all zero where the volume does not hold it.

    Diameters are taken between points half way from a voxel of the label to a neighbour outside of it, as between the
    vertices of a marching-cubes surface (Image Biomarker Standardisation Initiative, "maximum 3D diameter").

    Attributes:
        voxels: how many.
        volume_ml: sum of the voxels. A slice stands for the space half way to its neighbours.
        slice_diameter_mm: largest diameter within one slice, and `slice_index` which one.
        diameter_mm: largest diameter in space.
    """

    label: Label
    voxels: int = 0
    volume_ml: float = 0.0
    slice_diameter_mm: float = 0.0
    slice_index: int = 0
    diameter_mm: float = 0.0


def measure(labels: npt.NDArray[Any], table: LabelTable, source: SourceMap) -> tuple[Measurement, ...]:
    """Measure every label of a table, in its order.

    Args:
        labels: (slices, rows, columns) on the grid of the source.
        source: gives the size of voxels and the position of slices.
    """
    thicknesses = slice_thicknesses(source)
    return tuple(
        _measure_region(label, region, source, thicknesses) if region else Measurement(label)
        for label, region in label_regions(labels, table.labels)
    )


def slice_thicknesses(source: SourceMap) -> npt.NDArray[np.float64]:
    """The space that each slice stands for, along the normal, mm: half way to its neighbours, so that gaps count."""
    if len(source.slices) == 1:
        return np.array([source.slice_spacing])
    normal = np.cross(source.row_direction, source.column_direction)
    distances = np.array([piece.position for piece in source.slices]) @ normal
    steps = np.abs(np.diff(distances))
    first, last = steps[:1], steps[-1:]
    thicknesses: npt.NDArray[np.float64] = (np.concatenate([first, steps]) + np.concatenate([steps, last])) / 2
    return thicknesses


def _measure_region(
    label: Label, region: Region, source: SourceMap, thicknesses: npt.NDArray[np.float64]
) -> Measurement:
    first = region.offset[0]
    areas = np.count_nonzero(region.mask, axis=(1, 2))
    volume = float(areas @ thicknesses[first : first + len(areas)] * np.prod(source.pixel_spacing))
    slice_diameter, index = _largest_in_a_slice(region, source)
    return Measurement(
        label=label,
        voxels=int(areas.sum()),
        volume_ml=volume / 1000,
        slice_diameter_mm=slice_diameter,
        slice_index=first + index,
        diameter_mm=largest_distance(_surface(region, source)),
    )


def _largest_in_a_slice(region: Region, source: SourceMap) -> tuple[float, int]:
    """The largest diameter, and the slice of the region that it is in; no slice is looked at that cannot hold it."""
    points = [_in_plane(_rim(plane), source) for plane in region.mask]
    bounds = [float(np.linalg.norm(np.ptp(rim, axis=0))) if len(rim) else 0.0 for rim in points]
    largest, index = 0.0, 0
    for candidate in sorted(range(len(points)), key=lambda number: -bounds[number]):
        if bounds[candidate] <= largest:
            break
        distance = largest_distance(points[candidate])
        if distance > largest:
            largest, index = distance, candidate
    return largest, index


def _rim(plane: npt.NDArray[np.bool_]) -> Points:
    """Row and column half way between the outermost pixels of each row and column and what lies beyond."""
    points = []
    for mask, order in ((plane, [0, 1]), (plane.T, [1, 0])):
        lines = np.flatnonzero(mask.any(axis=1))
        first = mask[lines].argmax(axis=1) - 0.5
        last = mask.shape[1] - 0.5 - mask[lines, ::-1].argmax(axis=1)
        points += [np.stack([lines, end], axis=1)[:, order] for end in (first, last)]
    return np.concatenate(points)


def _in_plane(indices: Points, source: SourceMap) -> Points:
    points: Points = indices * np.array(source.pixel_spacing)
    return points


def _surface(region: Region, source: SourceMap) -> Points:
    """Points on the surface of a region that hold those furthest apart, (points, 3), LPS mm from any origin."""
    axes = np.stack([source.column_direction, source.row_direction])
    positions = _positions(source)[2 * region.offset[0] :]
    rims = [_in_plane(_rim(plane), source) @ axes + positions[2 * index + 1] for index, plane in enumerate(region.mask)]
    rows, columns = np.nonzero(region.mask.any(axis=0))
    within = _in_plane(np.stack([rows, columns], axis=1).astype(float), source) @ axes
    lowest = region.mask[:, rows, columns].argmax(axis=0)
    highest = len(region.mask) - region.mask[::-1, rows, columns].argmax(axis=0)
    return np.concatenate([*rims, within + positions[2 * lowest], within + positions[2 * highest]])


def _positions(source: SourceMap) -> Points:
    """Where slices begin and are: before the first, the first, half way to the second, ..., after the last; LPS mm."""
    centres = np.array([piece.position for piece in source.slices])
    if len(centres) == 1:
        step = np.cross(source.row_direction, source.column_direction) * source.slice_spacing
        return np.concatenate([centres - step / 2, centres, centres + step / 2])
    between = (centres[1:] + centres[:-1]) / 2
    before, after = centres[:1] * 2 - between[:1], centres[-1:] * 2 - between[-1:]
    positions = np.empty((2 * len(centres) + 1, 3))
    positions[1::2] = centres
    positions[0::2] = np.concatenate([before, between, after])
    return positions


def largest_distance(points: Points) -> float:
    """The largest distance between two points, exactly.

    Args:
        points: (points, dimensions), at least one.
    """
    start, end = _far_apart(points)
    found = float(np.linalg.norm(points[start] - points[end]))
    from_middle = np.linalg.norm(points - (points[start] + points[end]) / 2, axis=1)
    candidates = points[from_middle >= found - from_middle.max()]
    outside = points[from_middle > found / 2 * (1 + 1e-12)]
    rows = max(1, _CHUNK // len(candidates))
    for chunk in (outside[index : index + rows] for index in range(0, len(outside), rows)):
        distances = np.linalg.norm(chunk[:, np.newaxis] - candidates, axis=2)
        found = max(found, float(distances.max()))
    return found


def _far_apart(points: Points) -> tuple[int, int]:
    """Two points, each the furthest from the other: often the furthest of all."""
    start, end, found = 0, 0, -1.0
    while True:
        distances = np.linalg.norm(points - points[start], axis=1)
        furthest = int(distances.argmax())
        if distances[furthest] <= found:
            return start, end
        start, end, found = furthest, start, float(distances[furthest])
