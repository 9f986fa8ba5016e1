"""Surfaces by identities of geometry: closed, outward, of the known volume, at the known place."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from clara_ops.contract.source import SourceMap, SourceSlice
from clara_ops.imaging.objects.label_regions import Region
from clara_ops.imaging.objects.stl import stl_bytes
from clara_ops.imaging.objects.surfaces import Surface, label_surface

SPACING = (0.8, 0.7)


def source_map(count: int, *, step: float = 1.5, drop: tuple[int, ...] = ()) -> SourceMap:
    """Oblique slices, `step` mm apart; those of `drop` are missing."""
    row, column = np.array([0.8, 0.36, -0.48]), np.array([0.0, 0.8, 0.6])
    normal = np.cross(row, column)
    kept = [index for index in range(count + len(drop)) if index not in drop]
    slices = [SourceSlice("1", "2", tuple((np.array([10.0, -20, 30]) + index * step * normal).tolist()), 1, 0, "f")
              for index in kept]  # fmt: skip
    return SourceMap(
        series_instance_uid="3", study_instance_uid="4", frame_of_reference_uid="5", modality="CT", rows=60, columns=60,
        row_direction=(0.8, 0.36, -0.48), column_direction=(0.0, 0.8, 0.6), pixel_spacing=SPACING, slice_spacing=step,
        slices=tuple(slices),
    )  # fmt: skip


def ellipsoid(radius_mm: float, step: float = 1.5) -> Region:
    size = 2 * int(radius_mm / min(*SPACING, step)) + 5
    middle = size // 2
    index = np.moveaxis(np.indices((size,) * 3), 0, -1) - middle
    return Region(np.linalg.norm(index * (step, *SPACING), axis=-1) <= radius_mm, (1, 2, 3))


def assert_closed_and_outward(surface: Surface) -> None:
    edges = Counter(
        (int(triangle[corner]), int(triangle[(corner + 1) % 3]))
        for triangle in surface.triangles
        for corner in range(3)
    )
    assert max(edges.values()) == 1
    assert all(edges[end, start] == 1 for start, end in edges), "every edge is shared by two triangles, once each way"
    assert surface.volume_ml > 0
    flat = surface.vertices[surface.triangles]
    areas = np.cross(flat[:, 1] - flat[:, 0], flat[:, 2] - flat[:, 0])
    np.testing.assert_allclose(areas.sum(axis=0), 0, atol=1e-6 * len(flat))


@pytest.mark.parametrize("detail", [0.0, 2.0, 4.0])
def test_an_ellipsoid_is_closed_and_keeps_its_volume(detail: float) -> None:
    region = ellipsoid(18.0)
    surface = label_surface(region, source_map(60), detail)
    assert_closed_and_outward(surface)
    voxels = region.mask.sum() * 1.5 * SPACING[0] * SPACING[1] / 1000
    assert surface.volume_ml == pytest.approx(voxels, rel=0.02)


def test_normals_of_a_ball_lead_away_from_its_middle() -> None:
    region, source = ellipsoid(15.0), source_map(60)
    surface = label_surface(region, source)
    middle = surface.vertices.mean(axis=0)
    corners = surface.vertices[surface.triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert (np.einsum("ij,ij->i", normals, corners.mean(axis=1) - middle) > 0).all()
    index = np.array(region.offset) + region.mask.shape[0] // 2
    expected = (
        np.array(source.slices[index[0]].position)
        + index[1] * SPACING[0] * np.array(source.column_direction)
        + index[2] * SPACING[1] * np.array(source.row_direction)
    )
    np.testing.assert_allclose(middle, expected, atol=1e-3)
    radii = np.linalg.norm(surface.vertices - middle, axis=1)
    assert radii.min() > 14.0 and radii.max() < 16.0


def test_detail_takes_fewer_triangles_and_smooths_the_steps() -> None:
    region, source = ellipsoid(18.0), source_map(60)
    exact, smooth = label_surface(region, source), label_surface(region, source, 3.0)
    assert len(smooth.triangles) < len(exact.triangles) / 5
    spread = [np.linalg.norm(found.vertices - found.vertices.mean(axis=0), axis=1).std() for found in (exact, smooth)]
    assert spread[1] < 0.7 * spread[0]


def test_a_hole_and_a_second_piece_are_closed_too() -> None:
    mask = np.zeros((12, 12, 12), np.bool_)
    mask[1:8, 1:8, 1:8] = True
    mask[3:5, 3:5, 3:5] = False
    mask[9:11, 9:11, 9:11] = True
    assert_closed_and_outward(label_surface(Region(mask, (0, 0, 0)), source_map(20)))


@pytest.mark.parametrize("detail", [0.0, 5.0])
def test_a_voxel_in_the_corner_of_the_volume_has_a_surface(detail: float) -> None:
    surface = label_surface(Region(np.ones((1, 1, 1), np.bool_), (0, 0, 0)), source_map(1), detail)
    assert_closed_and_outward(surface)


def test_a_gap_between_slices_is_bridged() -> None:
    region = Region(np.ones((4, 10, 10), np.bool_), (0, 0, 0))
    whole = label_surface(region, source_map(4))
    gap = label_surface(region, source_map(4, drop=(2,)))
    assert_closed_and_outward(gap)
    assert gap.volume_ml > 1.2 * whole.volume_ml


def test_stl_is_fifty_bytes_a_triangle_after_eighty_four() -> None:
    surface = label_surface(ellipsoid(6.0), source_map(20))
    content = stl_bytes(surface, "Überschrift" + "x" * 100)
    assert len(content) == 84 + 50 * len(surface.triangles)
    assert content[:80].startswith(b"?berschrift") and not content.startswith(b"solid")
    assert int.from_bytes(content[80:84], "little") == len(surface.triangles)
    assert content == stl_bytes(replace(surface), "Überschrift" + "x" * 100)
