"""Where the voxels of a volume are: index to LPS millimetres, and whether two grids are the same."""

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from clara_ops.contract.source import Vector

if TYPE_CHECKING:
    import SimpleITK as sitk

SAME_GRID_TOLERANCE = 0.1
"""Two grids are the same when no voxel centre is further apart than this part of the smallest spacing."""


@dataclass(frozen=True)
class Grid:
    """The grid of a volume.

    Attributes:
        size: columns, rows, slices.
        spacing: mm along the three axes.
        origin: LPS mm, centre of the first voxel.
        axes: directions of increasing column index, row index and slice index, unit vectors in LPS. The third one is
            not at right angles to the others where the gantry was tilted.
    """

    size: tuple[int, int, int]
    spacing: Vector
    origin: Vector
    axes: tuple[Vector, Vector, Vector]

    @property
    def direction(self) -> tuple[float, ...]:
        """The axes as the columns of a matrix, flattened row by row: what SimpleITK calls direction."""
        return tuple(axis[row] for row in range(3) for axis in self.axes)

    def affine(self) -> npt.NDArray[np.float64]:
        """The 4 x 4 matrix from (column, row, slice, 1) to (x, y, z, 1) in LPS mm."""
        affine = np.eye(4)
        affine[:3, :3] = np.array(self.axes).T * self.spacing
        affine[:3, 3] = self.origin
        return affine

    def corners(self) -> npt.NDArray[np.float64]:
        """Centres of the eight corner voxels, (8, 3), LPS mm."""
        indices = np.array(list(itertools.product(*((0, count - 1) for count in self.size))), dtype=float)
        affine = self.affine()
        corners: npt.NDArray[np.float64] = indices @ affine[:3, :3].T + affine[:3, 3]
        return corners

    def is_right_angled(self) -> bool:
        """Whether the slices are stacked along their normal."""
        matrix = np.array(self.axes)
        return bool(np.allclose(matrix @ matrix.T, np.eye(3), atol=1e-4))


def grid_of(image: "sitk.Image") -> Grid:
    """The grid of a 3D SimpleITK image."""
    direction = image.GetDirection()
    axes = (direction[0::3], direction[1::3], direction[2::3])
    return Grid(size=image.GetSize(), spacing=image.GetSpacing(), origin=image.GetOrigin(), axes=axes)


def grid_difference(found: Grid, wanted: Grid, tolerance: float = SAME_GRID_TOLERANCE) -> str | None:
    """In what two grids differ, as words for a message; None when they are the same.

    Args:
        found: the grid to judge.
        wanted: the grid that it should be.
        tolerance: largest distance of corresponding voxel centres, as a part of the smallest spacing of `wanted`.
    """
    if found.size != wanted.size:
        return f"size {_by(found.size)} instead of {_by(wanted.size)} voxels"
    distance = float(np.linalg.norm(found.corners() - wanted.corners(), axis=1).max())
    if distance > tolerance * min(wanted.spacing):
        return f"voxels up to {distance:.4g} mm away from where they should be"
    return None


def overlaps(first: Grid, second: Grid) -> bool:
    """Whether two grids may share a point: neither lies on one side of the other along one of its axes."""
    return _reaches_into(first, second) and _reaches_into(second, first)


def _reaches_into(first: Grid, second: Grid) -> bool:
    affine = second.affine()
    indices = np.linalg.solve(affine[:3, :3], (first.corners() - affine[:3, 3]).T).T
    half = 0.5 + 1e-6
    return bool(
        (indices.max(axis=0) >= -half).all() and (indices.min(axis=0) <= np.array(second.size) - 1 + half).all()
    )


def _by(size: tuple[int, int, int]) -> str:
    return " x ".join(map(str, size))
