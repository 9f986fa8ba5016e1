"""What a parallel-beam scanner without noise would measure of a CT volume: line integrals through its voxels."""

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

Float = npt.NDArray[np.float64]

STEP = 0.5
"""Distance of the samples along a line, as a part of the voxels' spacing."""


def forward_projection(
    hounsfield: npt.NDArray[np.int16], spacing: float, angles: Float, elements: int, water_attenuation: float
) -> Float:
    """Line integrals [slice, angle, detector], the axis of rotation through the middle of the slices.

    Every line is sampled by bilinear interpolation; what lies beyond the volume is air.

    Args:
        hounsfield: (slices, rows, columns), pixels as wide as they are high.
        spacing: of pixels and of detector elements, mm.
        angles: degrees; at 0 the detector points along the columns' index, at 90 along the rows' index.
        water_attenuation: 1/mm.
    """
    slices, rows, columns = hounsfield.shape
    attenuation = water_attenuation * np.clip(hounsfield.reshape(slices, -1) / 1000 + 1, 0, None)
    s = np.arange(elements) - (elements - 1) / 2
    along = np.arange(-np.hypot(rows, columns) / 2, np.hypot(rows, columns) / 2, STEP)
    found = np.empty((slices, len(angles), elements))
    for index, angle in enumerate(np.deg2rad(angles)):
        x = s[:, None] * np.cos(angle) - along * np.sin(angle) + (columns - 1) / 2
        y = s[:, None] * np.sin(angle) + along * np.cos(angle) + (rows - 1) / 2
        found[:, index] = (_lines(x, y, rows, columns) @ attenuation.T).T * STEP * spacing
    return found


def _lines(x: Float, y: Float, rows: int, columns: int) -> csr_array:
    """[element, pixel]: how much each pixel counts in the sum of the samples of each line."""
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    element = np.broadcast_to(np.arange(len(x))[:, None], x.shape)
    parts = []
    for right, below in ((0, 0), (0, 1), (1, 0), (1, 1)):
        column, row = left + right, top + below
        weight = (1 - np.abs(x - column)) * (1 - np.abs(y - row))
        inside = (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
        parts.append((weight[inside], element[inside], (row * columns + column)[inside]))
    weights, elements, pixels = (np.concatenate(part) for part in zip(*parts, strict=True))
    return csr_array((weights, (elements, pixels)), shape=(len(x), rows * columns))
