"""Sinograms of balls, whose line integrals are known in closed form: no reconstruction code has a part in them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

WATER = 0.0193
Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Ball:
    """A ball of one attenuation, added to what else is there.

    Attributes:
        centre: LPS mm.
        radius: mm.
        attenuation: 1/mm.
    """

    centre: tuple[float, float, float]
    radius: float
    attenuation: float


@dataclass(frozen=True)
class Scanner:
    """Where the lines run; the terms are those of `clara_ops.imaging.sinogram`."""

    angles: Float
    elements: int = 121
    detector_spacing: float = 1.0
    slices: int = 3
    slice_spacing: float = 2.0
    rotation_centre: float | None = None
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    direction: Any = ((1, 0, 0), (0, 1, 0), (0, 0, 1))

    def project(self, balls: tuple[Ball, ...], samples: int = 5) -> Float:
        """Line integrals [slice, angle, detector], each the mean over the width of an element."""
        u, v, w = np.array(self.direction, float)
        centre = (self.elements - 1) / 2 if self.rotation_centre is None else self.rotation_centre
        within = (np.arange(samples) + 0.5) / samples - 0.5
        s = (np.arange(self.elements)[:, None] + within - centre) * self.detector_spacing
        found = np.zeros((self.slices, len(self.angles), self.elements))
        for ball in balls:
            to_centre = np.array(ball.centre) - self.origin
            height = np.arange(self.slices) * self.slice_spacing - to_centre @ w
            for index, angle in enumerate(np.deg2rad(self.angles)):
                across = s - to_centre @ (np.cos(angle) * u + np.sin(angle) * v)
                half = ball.radius**2 - across**2 - height[:, None, None] ** 2
                found[:, index] += ball.attenuation * 2 * np.sqrt(np.clip(half, 0, None)).mean(axis=-1)
        return found

    def save(self, path: Path, balls: tuple[Ball, ...], **changes: Any) -> Path:
        """Write a sinogram; `changes` replace its arrays, and None leaves one out."""
        arrays: dict[str, Any] = {
            "sinogram": self.project(balls).astype(np.float32),
            "angles": self.angles,
            "spacing": (self.slice_spacing, self.detector_spacing),
            "rotation_centre": self.rotation_centre,
            "origin": self.origin,
            "direction": self.direction,
        } | changes
        np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
        return path


def half_turn(count: int = 200) -> Float:
    """Even angles, degrees."""
    return np.arange(count) * 180.0 / count
