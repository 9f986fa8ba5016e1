"""Planes of one volume as a stack: sorted along their common normal, measured, and refused where they do not fit."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from clara_ops.contract.source import Vector
from clara_ops.imaging.errors import AmbiguousSeries, MissingGeometry, ScatteredSlices, SingleSlice
from clara_ops.imaging.geometry import Grid
from clara_ops.imaging.reading.frames import Frame

SAME_POSITION_MM = 0.01
"""Slices closer than this along the normal are at one position."""
EVEN_SPACING = 0.1
"""How far, as a part of the median, a distance between slices may be from it."""
DRIFT = 0.1
"""How far, as a part of the smallest spacing, a slice may lie off the line that the others are on."""
_RIGHT_ANGLE = 1e-3

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Slice:
    """A plane that says where it is: position and directions, LPS mm; spacing (between rows, between columns), mm."""

    frame: Frame
    position: Array
    row_direction: Array
    column_direction: Array
    pixel_spacing: tuple[float, float]


@dataclass(frozen=True)
class Gap:
    """A distance between two neighbouring slices that is not the median, mm; `after` is a slice, counted from 1."""

    after: int
    distance: float


@dataclass(frozen=True)
class Stack:
    """Planes of one volume, in order along the normal (row direction x column direction).

    Attributes:
        grid: of the planes; its third axis leans by `shear`. Where there are gaps, the planes are not all on it.
        slice_spacing: along the normal, mm; the median where there are gaps.
        shear: in-plane drift from slice to slice, LPS mm, of a tilted gantry; None for a right-angled grid.
        distances: of each plane from the first one along the normal, mm.
        gaps: where the distance between slices is not the median.
        planar: one picture, whose header says nothing of where it is; the place of its grid is made up.
    """

    frames: tuple[Frame, ...]
    grid: Grid
    slice_spacing: float
    shear: Vector | None
    distances: tuple[float, ...]
    gaps: tuple[Gap, ...]
    planar: bool = False


def place(frame: Frame) -> Slice:
    """A plane with the geometry that its header gives it.

    Raises:
        MissingGeometry: no position, orientation or pixel spacing, or one that cannot be.
    """
    position, row, column, spacing = frame.position, frame.row_direction, frame.column_direction, frame.pixel_spacing
    if position is None or row is None or column is None or spacing is None:
        attributes = {
            "Image Position (Patient)": position,
            "Image Orientation (Patient)": row,
            "Pixel Spacing": spacing,
        }
        missing = " and no ".join(name for name, value in attributes.items() if value is None)
        raise MissingGeometry(f"{frame}: has no {missing}: nobody can say where its voxels are; leave this series out")
    if min(spacing) <= 0:
        raise MissingGeometry(f"{frame}: has Pixel Spacing {spacing}, which must be more than 0; leave this series out")
    lengths = np.linalg.norm([row, column], axis=1)
    if np.abs(lengths - 1).max() > _RIGHT_ANGLE or abs(np.dot(row, column)) > _RIGHT_ANGLE:
        raise MissingGeometry(
            f"{frame}: has Image Orientation (Patient) {row} {column}, which are not two unit vectors "
            "at right angles; leave this series out"
        )
    return Slice(frame, np.array(position), np.array(row), np.array(column), spacing)


def repeats_a_position(slices: Sequence[Slice]) -> bool:
    """Whether two of several parallel planes are at one position along their normal."""
    normal = np.cross(slices[0].row_direction, slices[0].column_direction)
    distances = np.sort(_positions(slices) @ normal)
    return len(slices) > 1 and float(np.diff(distances).min()) < SAME_POSITION_MM


def stack_slices(slices: Sequence[Slice]) -> Stack:
    """Sort and measure parallel planes of one matrix.

    Raises:
        SingleSlice: there is only one.
        AmbiguousSeries: two are at one position.
        ScatteredSlices: their corners do not lie on one line.
    """
    if len(slices) < 2:
        raise SingleSlice(
            f"{slices[0].frame}: is the only slice of its volume, and a volume needs at least two; send the others too"
        )
    row, column = _right_angled(slices[0].row_direction, slices[0].column_direction)
    normal = np.cross(row, column)
    order = np.argsort(_positions(slices) @ normal, kind="stable")
    ordered = tuple(slices[index] for index in order)
    positions = _positions(ordered)
    offsets = positions - positions[0]
    distances = offsets @ normal
    steps = np.diff(distances)
    _check_repeats(ordered, steps)
    median = float(np.median(steps))
    gaps = tuple(
        Gap(index + 1, float(step)) for index, step in enumerate(steps) if abs(step - median) > EVEN_SPACING * median
    )
    spacing = median if gaps else float(distances[-1] / len(steps))
    shear = _shear(ordered, offsets, distances, normal, spacing)
    third = normal * spacing + (shear if shear is not None else 0.0)
    distance = float(np.linalg.norm(third))
    return Stack(
        frames=tuple(piece.frame for piece in ordered),
        grid=_grid(ordered[0], len(ordered), (row, column, third / distance), distance),
        slice_spacing=spacing,
        shear=_vector(shear) if shear is not None else None,
        distances=tuple(distances.tolist()),
        gaps=gaps,
    )


def _check_repeats(ordered: Sequence[Slice], steps: Array) -> None:
    if steps.min() < SAME_POSITION_MM:
        first = int(steps.argmin())
        raise AmbiguousSeries(
            f"{ordered[first].frame} and {ordered[first + 1].frame}: are at one position, "
            "and nothing in their headers tells them apart; send the series again, each slice once"
        )


def _shear(slices: Sequence[Slice], offsets: Array, distances: Array, normal: Array, spacing: float) -> Array | None:
    """In-plane drift from slice to slice, mm; None where it stays below what a voxel notices."""
    drift = offsets - np.outer(distances, normal)
    tolerance = DRIFT * min(*slices[0].pixel_spacing, spacing)
    per_mm: Array = drift[-1] / distances[-1]
    scatter = np.linalg.norm(drift - np.outer(distances, per_mm), axis=1)
    if scatter.max() > tolerance:
        worst = int(scatter.argmax())
        raise ScatteredSlices(
            f"{slices[worst].frame}: lies {scatter[worst]:.2f} mm beside the line through the other slices' "
            "corners; the slices of one volume have to be stacked in a straight line"
        )
    return per_mm * spacing if np.linalg.norm(drift, axis=1).max() > tolerance else None


def _right_angled(row: Array, column: Array) -> tuple[Array, Array]:
    """The directions freed of the rounding of the header; exact ones stay as they are."""
    if np.abs([row @ row - 1, column @ column - 1, row @ column]).max() < 1e-12:
        return row, column
    row = row / np.linalg.norm(row)
    column = column - (column @ row) * row
    return row, column / np.linalg.norm(column)


def _grid(first: Slice, count: int, axes: tuple[Array, Array, Array], slice_distance: float) -> Grid:
    between_rows, between_columns = first.pixel_spacing
    return Grid(
        size=(first.frame.columns, first.frame.rows, count),
        spacing=(between_columns, between_rows, slice_distance),
        origin=_vector(first.position),
        axes=(_vector(axes[0]), _vector(axes[1]), _vector(axes[2])),
    )


def _positions(slices: Sequence[Slice]) -> Array:
    return np.array([piece.position for piece in slices])


def _vector(array: Array) -> Vector:
    x, y, z = (float(component) + 0.0 for component in array)
    return (x, y, z)
