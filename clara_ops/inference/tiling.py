"""Inference on volumes of any size: at once where they are small, else in overlapping tiles, in bounded memory.

Tiles and their order depend on the shape alone, so the same volume gives the same labels.
"""

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float32]
Labels = npt.NDArray[np.uint8]
Shape = tuple[int, int, int]

_OVERLAP = 32


@dataclass(frozen=True)
class TilePlan:
    """How a volume is cut.

    Attributes:
        padded: the volume's shape once every extent can hold whole tiles.
        tile: shape of every tile.
        starts: along each axis, where tiles begin.
    """

    padded: Shape
    tile: Shape
    starts: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]

    @property
    def count(self) -> int:
        """Number of tiles."""
        return math.prod(len(starts) for starts in self.starts)


def plan_tiles(shape: Shape, *, multiple_of: int, largest_tile: int) -> TilePlan:
    """Cut a volume into as few equal tiles as the memory allows: one, when it has no more voxels than the largest tile.

    Args:
        shape: (x, y, z).
        multiple_of: every extent of a tile is a multiple of this.
        largest_tile: longest edge of a tile where more than one is needed; tiles overlap by 32 voxels or more.
    """
    x, y, z = (_round_up(extent, multiple_of) for extent in shape)
    if x * y * z <= largest_tile**3:
        return TilePlan((x, y, z), (x, y, z), ((0,), (0,), (0,)))
    axes = [_plan_axis(extent, multiple_of, largest_tile) for extent in (x, y, z)]
    return TilePlan(
        padded=(x, y, z),
        tile=(axes[0][0], axes[1][0], axes[2][0]),
        starts=(axes[0][1], axes[1][1], axes[2][1]),
    )


def _plan_axis(extent: int, multiple_of: int, largest: int) -> tuple[int, tuple[int, ...]]:
    """Extent and starts of the tiles along one axis."""
    if extent <= largest:
        return extent, (0,)
    overlap = min(_OVERLAP, largest // 2)
    count = math.ceil((extent - overlap) / (largest - overlap))
    tile = min(largest, _round_up(math.ceil((extent + (count - 1) * overlap) / count), multiple_of))
    return tile, tuple(round(index * (extent - tile) / (count - 1)) for index in range(count))


def _round_up(extent: int, multiple_of: int) -> int:
    return math.ceil(extent / multiple_of) * multiple_of


def segment(
    volume: Float,
    plan: TilePlan,
    predict: Callable[[Float], Float],
    *,
    outside: float,
    done: Callable[[int], None],
) -> Labels:
    """The label of every voxel: the channel with the largest score, where tiles overlap of their weighted sum.

    Weights fall off towards the border of a tile, where a network sees least around a voxel. Only the scores of one
    layer of tiles are in memory at a time.

    Args:
        volume: (x, y, z), in the unit that the network takes.
        predict: scores [channels, x, y, z] of a tile (x, y, z).
        outside: value of the padding behind the volume's end.
        done: called after each tile with the number of tiles that are done.
    """
    padding = [(0, whole - extent) for whole, extent in zip(plan.padded, volume.shape, strict=True)]
    padded = np.pad(volume, padding, constant_values=outside)
    labels = np.zeros(plan.padded, np.uint8)
    layer_axis = int(np.argmax(plan.padded))
    layers = np.moveaxis(labels, layer_axis, 0)
    weight = _weights(plan.tile) if plan.count > 1 else None
    scores: Float | None = None
    tiles = iter(range(1, plan.count + 1))
    ends = [*plan.starts[layer_axis][1:], plan.padded[layer_axis]]
    for start, end in zip(plan.starts[layer_axis], ends, strict=True):
        for where in _tiles_of_layer(plan, layer_axis, start):
            found = predict(np.ascontiguousarray(padded[where]))
            if scores is None:
                scores = np.zeros((len(found), *_layer_shape(plan, layer_axis)), np.float32)
            inside = list(where)
            inside[layer_axis] = slice(None)
            scores[(slice(None), *inside)] += found if weight is None else found * weight
            done(next(tiles))
        assert scores is not None
        rolling = np.moveaxis(scores, layer_axis + 1, 1)
        finished = end - start
        layers[start:end] = rolling[:, :finished].argmax(0)
        _shift(rolling, finished)
    return labels[tuple(slice(extent) for extent in volume.shape)]


def _tiles_of_layer(plan: TilePlan, layer_axis: int, start: int) -> Iterator[tuple[slice, slice, slice]]:
    starts = [(start,) if axis == layer_axis else plan.starts[axis] for axis in range(3)]
    for corner in itertools.product(*starts):
        x, y, z = (slice(first, first + extent) for first, extent in zip(corner, plan.tile, strict=True))
        yield x, y, z


def _layer_shape(plan: TilePlan, layer_axis: int) -> Shape:
    x, y, z = (plan.tile[axis] if axis == layer_axis else plan.padded[axis] for axis in range(3))
    return x, y, z


def _shift(rolling: Float, by: int) -> None:
    """Move what later tiles still add to to the front, and clear the rest."""
    kept = rolling.shape[1] - by
    rolling[:, :kept] = rolling[:, by:].copy()
    rolling[:, kept:] = 0


def _weights(tile: Shape) -> Float:
    """A Gaussian about the middle of the tile, its standard deviation an eighth of the tile."""
    axes = []
    for extent in tile:
        offset = (np.arange(extent, dtype=np.float64) - (extent - 1) / 2) / (extent / 8)
        axes.append(np.exp(-0.5 * offset**2))
    x, y, z = axes
    weights: Float = (x[:, None, None] * y[:, None] * z).astype(np.float32)
    return weights
