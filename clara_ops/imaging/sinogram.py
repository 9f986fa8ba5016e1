"""Parallel-beam sinograms, `<id>.npz`: what a file has to hold, read and checked.

The file is a NumPy archive without pickles. Its arrays:

| name | shape | unit | meaning |
|---|---|---|---|
| `sinogram` | [slice, angle, detector] | 1 | line integrals of the attenuation coefficient, -ln(I / I0) |
| `angles` | [angle] | degrees | where the detector points: from `direction[0]` (0) towards `direction[1]` (90) |
| `spacing` | [2] | mm | distance of slices, distance of detector elements |
| `rotation_centre` | scalar | elements | optional: index of the detector element, as a fraction, that the axis of rotation is projected on; the middle, (detectors - 1) / 2, by default |
| `origin` | [3] | mm, LPS | optional: where the axis of rotation meets the first slice; 0, 0, 0 by default |
| `direction` | [3, 3] | LPS | optional: unit vectors, one a row: of the detector at 0 degrees, of the detector at 90 degrees, from slice to slice; patient left, posterior, superior by default |
| `water_attenuation` | scalar | 1/mm | optional: attenuation coefficient of water at the energy of the scan; 0.0193 by default, which is that at 70 keV |

Element `k` of the projection at angle `a` is the integral along the line of all points `p` in the plane of the slice with
`(p - origin) . (cos(a) direction[0] + sin(a) direction[1]) = (k - rotation_centre) * spacing[1]`.
"""  # noqa: E501

import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from clara_ops.contract.source import Vector
from clara_ops.imaging.errors import MissingAngles, SinogramError

WATER_ATTENUATION = 0.0193
"""Linear attenuation coefficient of water at 70 keV, 1/mm."""

LARGEST_GAP = 10.0
"""Degrees: with a larger gap between neighbouring angles a volume would be streaks."""

_NEEDED = ("sinogram", "angles", "spacing")
_OPTIONAL = ("rotation_centre", "origin", "direction", "water_attenuation")
_EXPECTED = "write it with numpy.savez, with the arrays " + ", ".join(_NEEDED)

Float = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Sinogram:
    """The projections of a stack of slices; see the table above.

    Attributes:
        projections: line integrals [slice, angle, detector], finite.
        angles: degrees, as they were given.
        slice_spacing: mm, and `detector_spacing` likewise.
        rotation_centre: index of a detector element, from 0.
        origin: LPS mm.
        direction: three unit vectors in LPS at right angles to each other.
        water_attenuation: 1/mm.
    """

    projections: npt.NDArray[Any]
    angles: Float
    slice_spacing: float
    detector_spacing: float
    rotation_centre: float
    origin: Vector
    direction: tuple[Vector, Vector, Vector]
    water_attenuation: float

    @property
    def reach(self) -> float:
        """Distance from the axis of rotation to the nearer end of the detector, mm."""
        elements = int(self.projections.shape[2])
        nearer = min(self.rotation_centre, elements - 1 - self.rotation_centre) + 0.5
        return nearer * self.detector_spacing


def read_sinogram(path: Path) -> Sinogram:
    """Read a sinogram.

    Raises:
        SinogramError: the file is not of the form above, or a value is not finite.
        MissingAngles: the angles leave a gap of more than 10 degrees in the half turn.
    """
    arrays = _Arrays(path, _load(path))
    projections = arrays.numbers("sinogram", 3)
    if min(projections.shape) < 1 or projections.shape[2] < 2:
        raise SinogramError(f"{path}: sinogram has the shape {projections.shape}; it needs at least two elements")
    angles = arrays.numbers("angles", 1).astype(np.float64)
    if len(angles) != projections.shape[1]:
        raise SinogramError(
            f"{path}: angles: {len(angles)} for {projections.shape[1]} projections; give one for each, "
            "and the sinogram as [slice, angle, detector]"
        )
    _check_angles(angles, path)
    slice_spacing, detector_spacing = (arrays.positive(float(step), "spacing") for step in arrays.vector("spacing", 2))
    return Sinogram(
        projections=projections,
        angles=angles,
        slice_spacing=slice_spacing,
        detector_spacing=detector_spacing,
        rotation_centre=_rotation_centre(arrays, projections.shape[2]),
        origin=_vector(arrays.vector("origin", 3, (0.0, 0.0, 0.0))),
        direction=_direction(arrays),
        water_attenuation=arrays.positive(arrays.scalar("water_attenuation", WATER_ATTENUATION), "water_attenuation"),
    )


def turn_gaps(angles: Float) -> Float:
    """Degrees from each direction to the next one within the half turn, sorted; a line has no sense of direction."""
    lines = np.sort(np.mod(angles, 180.0))
    gaps: Float = np.diff(lines, append=lines[0] + 180.0)
    return gaps


def _load(path: Path) -> dict[str, npt.NDArray[Any]]:
    try:
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise SinogramError(f"{path}: is one array and no archive of arrays; {_EXPECTED}")
            names = archive.files
            missing = [name for name in _NEEDED if name not in names]
            unknown = [name for name in names if name not in (*_NEEDED, *_OPTIONAL)]
            if missing or unknown:
                what = f"has no array {missing[0]!r}" if missing else f"has an unknown array {unknown[0]!r}"
                raise SinogramError(f"{path}: {what}; known are {', '.join((*_NEEDED, *_OPTIONAL))}")
            return {name: archive[name] for name in names}
    except (OSError, ValueError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        raise SinogramError(f"{path}: cannot be read as a NumPy archive ({error}); {_EXPECTED}") from error


class _Arrays:
    """The arrays of a file, each taken out by what it should be."""

    def __init__(self, path: Path, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        self._path = path
        self._arrays = arrays

    def numbers(self, name: str, dimensions: int) -> npt.NDArray[Any]:
        """An array of finite real numbers."""
        array = self._arrays[name]
        if array.dtype.kind not in "fiu" or array.ndim != dimensions or array.size == 0:
            raise SinogramError(
                f"{self._path}: {name} is {array.dtype} with {array.ndim} dimensions {array.shape}; "
                f"write real numbers with {dimensions}"
            )
        if not np.isfinite(array).all():
            where = tuple(map(int, np.argwhere(~np.isfinite(array))[0]))
            raise SinogramError(
                f"{self._path}: {name}{list(where)} is {array[where]}; correct dead elements and logarithms of zero"
            )
        return array

    def vector(self, name: str, count: int, default: Vector | None = None) -> Float:
        """That many numbers."""
        if default is not None and name not in self._arrays:
            return np.array(default)
        vector: Float = self.numbers(name, 1).astype(np.float64)
        if len(vector) != count:
            raise SinogramError(f"{self._path}: {name} has {len(vector)} numbers; give {count}")
        return vector

    def matrix(self, name: str, default: Float) -> Float:
        """Three by three numbers."""
        if name not in self._arrays:
            return default
        matrix: Float = self.numbers(name, 2).astype(np.float64)
        if matrix.shape != (3, 3):
            raise SinogramError(f"{self._path}: {name} has the shape {matrix.shape}; give three vectors, one a row")
        return matrix

    def scalar(self, name: str, default: float) -> float:
        """One number."""
        return float(self.numbers(name, 0)) if name in self._arrays else default

    def positive(self, value: float, name: str) -> float:
        """The value, when it is above zero."""
        if value <= 0:
            raise SinogramError(f"{self._path}: {name} is {value:g}; it has to be above zero")
        return value

    def refuse(self, message: str) -> SinogramError:
        """An error about this file."""
        return SinogramError(f"{self._path}: {message}")


def _check_angles(angles: Float, path: Path) -> None:
    gap = float(turn_gaps(angles).max())
    if gap > LARGEST_GAP:
        raise MissingAngles(
            f"{path}: {len(angles)} angles from {angles.min():g} to {angles.max():g} degrees leave a gap of {gap:.4g}; "
            f"half a turn is needed, in steps of at most {LARGEST_GAP:g}, and in degrees"
        )


def _rotation_centre(arrays: _Arrays, elements: int) -> float:
    centre = arrays.scalar("rotation_centre", (elements - 1) / 2)
    if not 0 <= centre <= elements - 1:
        raise arrays.refuse(
            f"rotation_centre is {centre:g}, beside the detector; it counts elements, from 0 to {elements - 1}"
        )
    return centre


def _direction(arrays: _Arrays) -> tuple[Vector, Vector, Vector]:
    matrix = arrays.matrix("direction", np.eye(3))
    if not np.allclose(matrix @ matrix.T, np.eye(3), atol=1e-4):
        raise arrays.refuse("direction: its rows are not unit vectors at right angles to each other; correct them")
    first, second, third = (_vector(row) for row in matrix)
    return first, second, third


def _vector(values: Float) -> Vector:
    x, y, z = map(float, values)
    return x, y, z
