"""Tiles: every voxel covered, memory bounded, and the same labels as without tiles."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clara_ops.inference.tiling import Float, plan_tiles, segment

extents = st.integers(1, 400)


@given(st.tuples(extents, extents, extents), st.sampled_from([8, 16]), st.sampled_from([32, 64, 128]))
def test_tiles_cover_the_volume_and_stay_small(shape: tuple[int, int, int], multiple_of: int, largest: int) -> None:
    plan = plan_tiles(shape, multiple_of=multiple_of, largest_tile=largest)
    assert np.prod(plan.tile) <= largest**3
    for extent, padded, tile, starts in zip(shape, plan.padded, plan.tile, plan.starts, strict=True):
        assert tile % multiple_of == 0
        assert extent <= padded < extent + multiple_of
        assert starts[0] == 0
        assert starts[-1] + tile == padded
        overlaps = [first + tile - second for first, second in itertools.pairwise(starts)]
        assert all(overlap >= min(32, largest // 2) for overlap in overlaps)


def test_a_volume_of_few_voxels_is_one_tile_however_long() -> None:
    assert plan_tiles((168, 168, 16), multiple_of=8, largest_tile=128).count == 1


def test_a_whole_body_needs_few_tiles() -> None:
    plan = plan_tiles((170, 170, 600), multiple_of=8, largest_tile=128)
    assert plan.count == 24
    assert plan.tile == (104, 104, 128)


def bands(tile: Float) -> Float:
    """A network that sees single voxels: below -0.5, between, above 0.5."""
    return np.stack([-0.5 - tile, 0.5 - np.abs(tile) * 0.999, tile - 0.5]).astype(np.float32)


@settings(max_examples=25, deadline=None)
@given(st.tuples(*(st.integers(1, 70) for _ in range(3))), st.integers(0, 2**32 - 1))
def test_tiles_give_the_labels_of_the_whole(shape: tuple[int, int, int], seed: int) -> None:
    volume = np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)
    plan = plan_tiles(shape, multiple_of=8, largest_tile=32)
    done: list[int] = []
    labels = segment(volume, plan, bands, outside=-1.0, done=done.append)
    assert np.array_equal(labels, bands(volume).argmax(0))
    assert done == list(range(1, plan.count + 1))


def test_padding_is_what_the_model_was_trained_with() -> None:
    seen: list[Float] = []

    def watch(tile: Float) -> Float:
        seen.append(tile)
        return bands(tile)

    plan = plan_tiles((5, 8, 8), multiple_of=8, largest_tile=128)
    labels = segment(np.zeros((5, 8, 8), np.float32), plan, watch, outside=-1000.0, done=lambda _count: None)
    assert labels.shape == (5, 8, 8)
    assert (seen[0][5:] == -1000).all()
    assert (seen[0][:5] == 0).all()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_where_tiles_overlap_the_one_that_sees_more_wins(axis: int) -> None:
    """A network that is wrong at the border of every tile is right everywhere but at the border of the volume."""

    def wrong_at_borders(tile: Float) -> Float:
        inside = np.zeros(tile.shape, bool)
        inside[2:-2, 2:-2, 2:-2] = True
        return np.stack([np.where(inside, 0, 1), np.where(inside, 1, 0)]).astype(np.float32)

    shape = [40, 40, 40]
    shape[axis] = 104
    plan = plan_tiles((shape[0], shape[1], shape[2]), multiple_of=8, largest_tile=48)
    assert plan.count > 1
    labels = segment(np.zeros(shape, np.float32), plan, wrong_at_borders, outside=0.0, done=lambda _count: None)
    assert labels[2:-2, 2:-2, 2:-2].all()
    assert not labels[:2].any()
