"""Candidate lesions of the liver by rules on Hounsfield units. No statement about a patient: not for diagnostic use.

The rules, in their order:

1. Holes of the liver, gaps of up to 8 mm closed, count as liver: a network leaves dark lesions out.
2. HU are smoothed inside of it (Gaussian, 2 mm). Median and standard deviation are those of the smoothed liver 5 mm
   and more below its surface; the deviation comes from the median distance to the median, which few lesions move.
3. Dark is what is there below the median by 4.5 standard deviations, at least by 25 HU, and not below -20 HU (fat).
4. A dark place counts where a ball of 4 mm radius fits in, and its median is not below 0 HU: vessels that hold less
   contrast than the liver are thinner, and what is mixed with fat is darker.
5. From there a lesion reaches, 6 mm at most, to where HU are half way between its own and the liver's median.
6. What is smaller than 0.5 ml is left out.

Lesions that are not darker than the liver are not looked for; of small or faint ones many are missed, and veins without
contrast near one may be taken for a part of it.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from clara_ops.contract.source import Vector
from clara_ops.imaging.morphology import Mask, grow, shrink

Float = npt.NDArray[np.float32]

_CLOSING_MM, _SURFACE_MM, _BALL_MM, _REACH_MM = 4.0, 5.0, 4.0, 6.0
_SMOOTHING_MM = 2.0
_DEVIATIONS, _LEAST_DROP = 4.5, 25.0
_FAT, _WATER = -20.0, 0.0
_MAD_TO_DEVIATION = 1.4826
"""Standard deviation of a normal distribution, by its median absolute deviation."""


@dataclass(frozen=True)
class LesionRules:
    """What a user may choose.

    Attributes:
        drop: HU below the liver's median; from the liver's own deviation where it is None.
        minimum_ml: volume of the smallest lesion.
    """

    drop: float | None = None
    minimum_ml: float = 0.5


@dataclass(frozen=True, eq=False)
class Lesions:
    """What was found.

    Attributes:
        liver: (slices, rows, columns), the lesions included.
        labels: (slices, rows, columns), 0 for none, else the number of the lesion, the largest first.
        volumes_ml: of the lesions, in the order of their numbers.
    """

    liver: Mask
    labels: npt.NDArray[np.uint16]
    volumes_ml: tuple[float, ...]


def find_lesions(
    hounsfield: npt.NDArray[np.generic], liver: Mask, others: Mask, spacing: Vector, rules: LesionRules
) -> Lesions:
    """Candidate lesions of a liver.

    Args:
        hounsfield: (slices, rows, columns).
        liver: of the same shape.
        others: what is another organ for certain, and never becomes liver.
        spacing: mm, of columns, rows and slices.
    """
    labels = np.zeros(liver.shape, np.uint16)
    if not liver.any():
        return Lesions(liver, labels, ())
    box = _box(liver, spacing)
    whole = liver.copy()
    whole[box] |= _closed(liver[box], spacing) & ~others[box]
    labels[box], volumes = _find(hounsfield[box].astype(np.float32), whole[box], spacing, rules)
    return Lesions(whole, labels, volumes)


def _box(mask: Mask, spacing: Vector) -> tuple[slice, ...]:
    """The part of the volume that a mask lies in, with room to close it."""
    found = []
    for axis, step in enumerate(reversed(spacing)):
        places = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        margin = int(np.ceil(_CLOSING_MM / step)) + 1
        found.append(slice(max(0, int(places[0]) - margin), int(places[-1]) + margin + 1))
    return tuple(found)


def _closed(mask: Mask, spacing: Vector) -> Mask:
    """The mask without its holes; one that is cut by the first or last slice of the volume is a hole too."""
    grown = np.pad(grow(mask, _CLOSING_MM, spacing), ((1, 1), (0, 0), (0, 0)), constant_values=True)
    filled = sitk.GetArrayFromImage(sitk.BinaryFillhole(sitk.GetImageFromArray(grown.astype(np.uint8))))
    return shrink(filled[1:-1].astype(bool), _CLOSING_MM, spacing)


def _find(
    hounsfield: Float, liver: Mask, spacing: Vector, rules: LesionRules
) -> tuple[npt.NDArray[np.uint16], tuple[float, ...]]:
    """Rules 2 to 6; numbers and volumes of the lesions."""
    inner = shrink(liver, _SURFACE_MM, spacing)
    if not inner.any():
        return np.zeros(liver.shape, np.uint16), ()
    smooth = _smoothed(hounsfield, liver, spacing)
    median = float(np.median(smooth[inner]))
    deviation = _MAD_TO_DEVIATION * float(np.median(np.abs(smooth[inner] - median)))
    drop = max(_LEAST_DROP, _DEVIATIONS * deviation) if rules.drop is None else rules.drop
    dark = inner & (smooth < median - drop) & (smooth > _FAT)
    seeds = dark & grow(shrink(dark, _BALL_MM, spacing), _BALL_MM, spacing)
    found = np.zeros_like(liver)
    for seed in _components(seeds):
        own = float(np.median(smooth[seed]))
        if own < _WATER:
            continue
        reach = grow(seed, _REACH_MM, spacing) & liver & (smooth < (median + own) / 2) & (smooth > _FAT)
        found |= seed | next(part for part in _components(reach | seed) if (part & seed).any())
    return _numbered(found, spacing, rules.minimum_ml)


def _smoothed(hounsfield: Float, inside: Mask, spacing: Vector) -> Float:
    """A Gaussian mean of what is inside; what is outside has no part in it."""
    weight = inside.astype(np.float32)
    means: Float = _gaussian(hounsfield * weight, spacing)
    means /= np.maximum(_gaussian(weight, spacing), 1e-3)
    return means


def _gaussian(values: Float, spacing: Vector) -> Float:
    image = sitk.GetImageFromArray(values)
    image.SetSpacing(spacing)
    smooth: Float = sitk.GetArrayFromImage(sitk.DiscreteGaussian(image, _SMOOTHING_MM**2, useImageSpacing=True))
    return smooth


def _components(mask: Mask) -> list[Mask]:
    """The connected parts of a mask."""
    numbers = sitk.GetArrayFromImage(sitk.ConnectedComponent(sitk.GetImageFromArray(mask.astype(np.uint8))))
    return [numbers == number for number in range(1, int(numbers.max(initial=0)) + 1)]


def _numbered(found: Mask, spacing: Vector, minimum_ml: float) -> tuple[npt.NDArray[np.uint16], tuple[float, ...]]:
    voxel_ml = float(np.prod(spacing)) / 1000
    parts = sorted(_components(found), key=np.count_nonzero, reverse=True)
    labels = np.zeros(found.shape, np.uint16)
    volumes = []
    for part in parts:
        volume = int(np.count_nonzero(part)) * voxel_ml
        if volume >= minimum_ml:
            volumes.append(volume)
            labels[part] = len(volumes)
    return labels, tuple(volumes)
