"""Filtered back-projection: parallel-beam sinograms to a volume in Hounsfield units, on a grid in LPS millimetres.

scikit-image reconstructs a slice (`iradon`). It takes one spacing for detector and pixels, an axis of rotation in the
middle, and even angles; here a detector is brought into that form first, and a volume gets its place in the patient.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.interpolate import CubicSpline
from skimage.transform import iradon

from clara_ops.imaging.geometry import Grid
from clara_ops.imaging.sinogram import Sinogram, turn_gaps

AIR_HU = -1000.0
"""Attenuation zero; also what lies beyond the field of view."""

TRUNCATED = 0.02
"""More than this part of the largest line integral at an end of the detector: the patient reaches beyond it."""

Float = npt.NDArray[np.float64]


class Filter(StrEnum):
    """The window on the ramp filter: from the sharpest to the smoothest."""

    RAMP = "ramp"
    SHEPP_LOGAN = "shepp-logan"
    COSINE = "cosine"
    HAMMING = "hamming"
    HANN = "hann"


@dataclass(frozen=True)
class Target:
    """What to reconstruct.

    Attributes:
        pixel_spacing: mm; the detector's spacing where it is None.
        size: columns and rows; as many as cover the field of view where it is None.
    """

    window: Filter = Filter.RAMP
    pixel_spacing: float | None = None
    size: int | None = None


def volume_grid(sinogram: Sinogram, target: Target) -> Grid:
    """The grid of the volume, LPS mm: the axis of rotation goes through the centre of pixel `size // 2`."""
    pixel = target.pixel_spacing or sinogram.detector_spacing
    size = target.size or 2 * int(sinogram.reach / pixel) + 1
    columns, rows, _ = np.array(sinogram.direction)
    x, y, z = np.array(sinogram.origin) - size // 2 * pixel * (columns + rows)
    return Grid(
        size=(size, size, len(sinogram.projections)),
        spacing=(pixel, pixel, sinogram.slice_spacing),
        origin=(float(x), float(y), float(z)),
        axes=sinogram.direction,
    )


def is_truncated(sinogram: Sinogram) -> bool:
    """Whether the patient reaches beyond the detector: what is outside then adds to what is inside."""
    ends = sinogram.projections[:, :, [0, -1]]
    return bool(ends.max() > TRUNCATED * float(sinogram.projections.max()))


def reconstruct(sinogram: Sinogram, target: Target, done: Callable[[int], None]) -> npt.NDArray[Any]:
    """The volume on `volume_grid(sinogram, target)`.

    Where the detector is too short, its last elements are faded out over a quarter of its length, which takes most of
    the bright rim away, but not the shift of values near it. What is beyond the reach of the detector is air.

    Args:
        done: called after each slice with the number of slices that are done.

    Returns:
        HU (slices, rows, columns): int16 where it holds every value, else float32.
    """
    grid = volume_grid(sinogram, target)
    size, pixel = grid.size[0], grid.spacing[0]
    detector = _Detector.of(sinogram, pixel, is_truncated(sinogram))
    weights = angle_weights(sinogram.angles) * len(sinogram.angles) / np.pi
    beyond = _beyond(size, pixel, sinogram.reach)
    volume = np.empty(grid.size[::-1], np.float32)
    for index, projections in enumerate(sinogram.projections):
        lines = detector.in_pixels(projections.astype(np.float64)) * weights[:, None]
        image = iradon(lines.T, -sinogram.angles, size, target.window.value, circle=False, preserve_range=True) / pixel
        hounsfield = 1000 * (image / sinogram.water_attenuation - 1)
        hounsfield[beyond] = AIR_HU
        volume[index] = hounsfield
        done(index + 1)
    bounds = np.iinfo(np.int16)
    if volume.min() < bounds.min or volume.max() > bounds.max:
        return volume
    return np.rint(volume, out=volume).astype(np.int16)


def angle_weights(angles: Float) -> Float:
    """The part of the half turn, in radians, that each projection stands for: half way to its neighbours; pi in all."""
    gaps = turn_gaps(angles)
    weights = np.empty(len(angles))
    weights[np.argsort(np.mod(angles, 180.0))] = (gaps + np.roll(gaps, 1)) / 2
    return np.deg2rad(weights)


@dataclass(frozen=True, eq=False)
class _Detector:
    """A detector, and the one with elements of a pixel about the axis of rotation that it is brought onto.

    An element measures the mean over its width. So the sums from one end to each edge are known, a smooth curve through
    them gives the sums to any other edge, and no attenuation is lost or made.

    Attributes:
        fade: elements that are added at each end.
        edges: of the elements, mm from the axis of rotation; `pixel_edges` of the wanted ones.
    """

    fade: int
    edges: Float
    pixel_edges: Float

    @classmethod
    def of(cls, sinogram: Sinogram, pixel: float, truncated: bool) -> "_Detector":
        elements = sinogram.projections.shape[2]
        fade = elements // 4 + 1 if truncated else 0
        indices = np.arange(-fade, elements + fade + 1) - 0.5
        edges = (indices - sinogram.rotation_centre) * sinogram.detector_spacing
        half = int(np.ceil(np.abs(edges).max() / pixel))
        return cls(fade, edges, (np.arange(2 * half + 2, dtype=np.float64) - half - 0.5) * pixel)

    def in_pixels(self, projections: Float) -> Float:
        """[angle, detector] to [angle, pixel]."""
        if self.fade:
            projections = np.pad(projections, ((0, 0), (self.fade, self.fade)), mode="edge")
            ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(self.fade) + 0.5) / self.fade)
            projections[:, : self.fade] *= ramp
            projections[:, -self.fade :] *= ramp[::-1]
        sums = np.zeros((len(projections), len(self.edges)))
        np.cumsum(projections * np.diff(self.edges), axis=1, out=sums[:, 1:])
        inside = np.clip(self.pixel_edges, self.edges[0], self.edges[-1])
        means: Float = np.diff(CubicSpline(self.edges, sums, axis=1)(inside), axis=1) / np.diff(self.pixel_edges)
        return means


def _beyond(size: int, pixel: float, reach: float) -> npt.NDArray[np.bool_]:
    """Which pixels (rows, columns) some projection does not see."""
    offsets = (np.arange(size) - size // 2) * pixel
    beyond: npt.NDArray[np.bool_] = np.hypot(offsets[:, None], offsets) > reach
    return beyond
