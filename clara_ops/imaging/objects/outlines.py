"""The outline of a mask as closed polygons that run along the edges of its pixels.

Pixels that share an edge are one region, pixels that only share a corner are two. A region with holes is one polygon
still: a channel of no width leads to each hole (the keyhole technique of DICOM PS3.3 section C.8.8.6.3). The inside of
the polygons is exactly the pixels of the mask, and every pixel centre is half a pixel away from any edge.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Corners = npt.NDArray[np.int64]
"""Pixel corners (vertices, 2), row and column: the one before the centre of the pixel of that row and column."""

_TURNS = {"right": 1, "straight on": 0, "left": 3}
"""What may follow an edge, in this order, where edges lead to the right (0), down (1), to the left (2) and up (3)."""


def outline(mask: npt.NDArray[np.bool_]) -> list[Corners]:
    """The polygons around the regions of a mask; none where it is empty.

    Args:
        mask: (rows, columns).

    Returns:
        The vertices of each polygon, the first one not repeated; the way runs clockwise on the image, around holes the
        other way.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return []
    framed = np.pad(mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], 1)
    outer: list[Corners] = []
    holes: list[Corners] = []
    for loop in _loops(framed):
        (outer if _area(loop) > 0 else holes).append(loop)
    shift = np.array([rows[0] - 1, columns[0] - 1])
    return [_corners_only(way) + shift for way in _join(outer, holes, framed)]


def _loops(mask: npt.NDArray[np.bool_]) -> Iterator[Corners]:
    """All boundaries of a mask with an empty frame, pixel corner by pixel corner, the mask on their right-hand side."""
    width = mask.shape[1] + 1
    following = _successors(mask, width)
    while following:
        start = next(iter(following))
        edges = [start]
        while (edge := following.pop(edges[-1])) != start:
            edges.append(edge)
        yield np.stack(np.divmod(np.array(edges) // 4, width), axis=1)


def _successors(mask: npt.NDArray[np.bool_], width: int) -> dict[int, int]:
    """The edge after each boundary edge; an edge is the number of its first corner x 4 + its direction.

    At a corner where two regions touch, the way turns right, and so stays with its own region.
    """
    exists = np.zeros((mask.shape[0] + 1, width, 4), np.bool_)
    exists[1:-1, :-1, 0] = mask[1:] & ~mask[:-1]
    exists[:-1, 1:-1, 1] = mask[:, :-1] & ~mask[:, 1:]
    exists[1:-1, 1:, 2] = mask[:-1] & ~mask[1:]
    exists[1:, 1:-1, 3] = mask[:, 1:] & ~mask[:, :-1]
    flat = exists.reshape(-1)
    edges = flat.nonzero()[0]
    corners, directions = np.divmod(edges, 4)
    ends = corners + np.array([1, width, -1, -width])[directions]
    candidates = [ends * 4 + (directions + turn) % 4 for turn in _TURNS.values()]
    chosen = np.select([flat[candidate] for candidate in candidates], candidates)
    return dict(zip(edges.tolist(), chosen.tolist(), strict=True))


def _area(loop: Corners) -> int:
    """In pixels; negative for a hole."""
    rows, columns = loop.T
    return int(-(rows * (np.roll(columns, -1) - columns)).sum())


def _join(outer: list[Corners], holes: list[Corners], mask: npt.NDArray[np.bool_]) -> list[Corners]:
    """Cut a channel from the leftmost corner of each hole to the boundary on its left, which is already joined."""
    ways = list(outer)
    for hole in sorted(map(_from_leftmost, holes), key=lambda loop: int(loop[0, 1])):
        row, column = hole[0]
        gaps = ~(mask[row - 1, :column] & mask[row, :column])
        anchor = np.array([row, gaps.nonzero()[0][-1] + 1])
        places = ((number, (way == anchor).all(axis=1).nonzero()[0]) for number, way in enumerate(ways))
        number, position = next((number, found[0]) for number, found in places if found.size)
        way = ways[number]
        ways[number] = np.concatenate([way[: position + 1], hole, hole[:1], way[position:]])
    return ways


def _from_leftmost(loop: Corners) -> Corners:
    """The same loop, beginning at the topmost of its leftmost corners."""
    return np.roll(loop, -int(np.lexsort((loop[:, 0], loop[:, 1]))[0]), axis=0)


def _corners_only(way: Corners) -> Corners:
    """Without the vertices at which the way goes straight on."""
    arriving = np.sign(way - np.roll(way, 1, axis=0))
    kept: Corners = way[(arriving != np.roll(arriving, -1, axis=0)).any(axis=1)]
    return kept
