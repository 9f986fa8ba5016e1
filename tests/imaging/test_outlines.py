"""Outlines hold exactly the pixels of their mask, whatever its shape."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from clara_ops.imaging.objects.outlines import Corners, outline

Mask = npt.NDArray[np.bool_]

MASKS = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.booleans())
"""Random pixels: every way in which regions and holes can touch."""


def filled(polygon: Corners, shape: tuple[int, ...]) -> Mask:
    """The pixels whose centres lie inside a polygon, by counting the edges to their left."""
    inside = np.zeros(shape, np.bool_)
    for (row, column), (next_row, next_column) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        assert (row == next_row) != (column == next_column), "an edge that is not along pixel edges"
        inside[min(row, next_row) : max(row, next_row), column:] ^= True
    return inside


@given(MASKS)
def test_polygons_hold_exactly_the_mask_and_never_overlap(mask: Mask) -> None:
    polygons = outline(mask)
    covered = np.sum([filled(polygon, mask.shape) for polygon in polygons], axis=0, dtype=int)
    np.testing.assert_array_equal(covered, mask.astype(int))


@given(MASKS)
def test_every_region_is_one_polygon_without_needless_vertices(mask: Mask) -> None:
    for polygon in outline(mask):
        steps = np.sign(np.roll(polygon, -1, axis=0) - polygon)
        assert (steps != np.roll(steps, -1, axis=0)).any(axis=1).all()
        pixels = filled(polygon, mask.shape)
        assert reached_from_one(pixels) == pixels.sum(), "two regions in one polygon"


def reached_from_one(pixels: Mask) -> int:
    """How many pixels hang together with the first one, edge to edge."""
    pending, seen = [tuple(np.argwhere(pixels)[0])], set()
    while pending:
        row, column = pending.pop()
        if 0 <= row < pixels.shape[0] and 0 <= column < pixels.shape[1] and pixels[row, column]:
            if (row, column) in seen:
                continue
            seen.add((row, column))
            pending += [(row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)]
    return len(seen)


@given(MASKS)
def test_channels_to_holes_stay_inside(mask: Mask) -> None:
    """Where no boundary is, an edge has the region on both sides; it is walked there and back."""
    framed = np.pad(mask, 1)
    for polygon in outline(mask):
        walked: dict[tuple[int, int, int], int] = {}
        for start, end in zip(polygon + 1, np.roll(polygon, -1, axis=0) + 1, strict=True):
            (row, column), (last_row, last_column) = np.minimum(start, end), np.maximum(start, end)
            for step in range(max(last_row - row, last_column - column)):
                down = row != last_row
                at = (row + step, column) if down else (row, column + step)
                sides = (framed[at], framed[at[0], at[1] - 1] if down else framed[at[0] - 1, at[1]])
                key = (int(at[0]), int(at[1]), int(down))
                walked[key] = walked.get(key, 0) + 1
                assert any(sides)
                if all(sides):
                    assert not down
                else:
                    assert walked[key] == 1
        assert set(walked.values()) <= {1, 2}


def test_a_ring_is_one_polygon_with_a_channel() -> None:
    mask = np.ones((5, 5), np.bool_)
    mask[2, 2] = False
    (polygon,) = outline(mask)
    assert polygon.tolist() == [
        [0, 0], [0, 5], [5, 5], [5, 0], [2, 0], [2, 2], [3, 2], [3, 3], [2, 3], [2, 0]
    ]  # fmt: skip


def test_an_island_in_a_hole_and_pixels_that_touch_at_a_corner_are_regions_of_their_own() -> None:
    mask = np.ones((7, 7), np.bool_)
    mask[1:6, 1:6] = False
    mask[3, 3] = True
    assert len(outline(mask)) == 2
    assert len(outline(np.eye(3, dtype=np.bool_))) == 3


def test_the_way_runs_clockwise_on_the_image() -> None:
    (polygon,) = outline(np.pad(np.ones((1, 2), np.bool_), 3))
    assert polygon.tolist() == [[3, 3], [3, 5], [4, 5], [4, 3]]


@pytest.mark.parametrize("shape", [(0, 0), (4, 5)])
def test_an_empty_mask_has_no_outline(shape: tuple[int, int]) -> None:
    assert outline(np.zeros(shape, np.bool_)) == []
