"""Sizes of shapes whose sizes are known."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from clara_ops.contract.labels import Label, LabelTable
from clara_ops.contract.source import SourceMap, SourceSlice
from clara_ops.imaging.objects.measurements import largest_distance, measure, slice_thicknesses
from tests.dicomgen.results import ORGAN, TABLE
from tests.dicomgen.series import Array, Geometry

ONE = LabelTable("net", "1", (Label(1, "Ball", (1, 2, 3), ORGAN, ORGAN),))


def source_of(geometry: Geometry, slice_spacing: float, indices: range | list[int] | None = None) -> SourceMap:
    slices = [
        SourceSlice("1.2.3", "1.2", tuple(geometry.position(index).tolist()), 1.0, 0.0, "a.dcm")
        for index in (range(geometry.count) if indices is None else indices)
    ]
    return SourceMap(
        series_instance_uid="1.2",
        study_instance_uid="1.3",
        frame_of_reference_uid="1.4",
        modality="CT",
        rows=geometry.rows,
        columns=geometry.columns,
        row_direction=geometry.row_direction,
        column_direction=geometry.column_direction,
        pixel_spacing=geometry.pixel_spacing,
        slice_spacing=slice_spacing,
        slices=tuple(slices),
    )


def ellipsoid(geometry: Geometry, half_axes: tuple[float, float, float]) -> tuple[Array, SourceMap]:
    """An ellipsoid whose axes lie in space, not along the volume's, and its slices."""
    points = np.stack([geometry.points(index) for index in range(geometry.count)])
    centre = points.reshape(-1, 3).mean(axis=0)
    inside = (((points - centre) / half_axes) ** 2).sum(axis=-1) < 1
    assert not inside[0].any() and not inside[:, 0].any() and not inside[:, :, 0].any()
    normal = np.cross(geometry.row_direction, geometry.column_direction)
    return inside.astype(np.uint8), source_of(geometry, float(normal @ geometry.step))


AXIAL = Geometry(rows=90, columns=70, count=50, pixel_spacing=(1.0, 1.25), step=(0.0, 0.0, 2.0))
TILTED = replace(AXIAL, count=60, step=(0.0, 0.5, 2.0))
OBLIQUE = Geometry(
    rows=110, columns=90, count=80,
    row_direction=(0.8, 0.36, -0.48), column_direction=(0.0, 0.8, 0.6), step=(0.6 * 2, -0.48 * 2, 0.64 * 2),
    pixel_spacing=(1.0, 1.25),
)  # fmt: skip


@pytest.mark.parametrize("geometry", [AXIAL, TILTED, OBLIQUE], ids=["axial", "tilted gantry", "oblique"])
@pytest.mark.parametrize("half_axes", [(30.0, 20.0, 15.0), (25.0, 25.0, 25.0), (15.0, 20.0, 36.0)])
def test_an_ellipsoid_has_its_volume_and_its_diameters(
    geometry: Geometry, half_axes: tuple[float, float, float]
) -> None:
    labels, source = ellipsoid(geometry, half_axes)
    (found,) = measure(labels, ONE, source)
    assert found.voxels == labels.sum()
    assert found.volume_ml == pytest.approx(4 / 3 * np.pi * np.prod(half_axes) / 1000, rel=0.01)
    assert found.diameter_mm == pytest.approx(2 * max(half_axes), abs=2.2)
    assert found.slice_diameter_mm <= found.diameter_mm
    if geometry is not OBLIQUE:
        assert found.slice_diameter_mm == pytest.approx(2 * max(half_axes[:2]), abs=2.2)
        assert abs(found.slice_index - (geometry.count - 1) / 2) <= 2


def test_a_box_has_exactly_its_volume() -> None:
    labels = np.zeros((5, 10, 12), np.uint8)
    labels[1:4, 2:6, 3:5] = 7
    liver, kidney, spleen = measure(labels, TABLE, source_of(Geometry(), 2.5))
    assert kidney.voxels == 3 * 4 * 2
    assert kidney.volume_ml == pytest.approx(24 * 1.5 * 0.75 * 2.5 / 1000)
    assert kidney.slice_diameter_mm == pytest.approx(np.hypot(4 * 1.5, 0.75))
    assert kidney.diameter_mm == pytest.approx(np.sqrt((3 * 1.5) ** 2 + 0.75**2 + (3 * 2.5) ** 2))
    for missing in (liver, spleen):
        assert (missing.voxels, missing.volume_ml, missing.diameter_mm, missing.slice_diameter_mm) == (0, 0, 0, 0)


def test_a_missing_slice_belongs_half_to_each_neighbour() -> None:
    source = source_of(Geometry(), 2.5, [0, 1, 2, 4])
    np.testing.assert_allclose(slice_thicknesses(source), [2.5, 2.5, 3.75, 5.0])
    labels = np.zeros((4, 10, 12), np.uint8)
    labels[1:, 2, 3] = 3
    (liver, _, _) = measure(labels, TABLE, source)
    assert liver.volume_ml == pytest.approx(1.5 * 0.75 * (2.5 + 3.75 + 5.0) / 1000)


def test_a_single_slice_is_as_thick_as_its_spacing() -> None:
    source = source_of(Geometry(), 4.0, [2])
    labels = np.zeros((1, 10, 12), np.uint8)
    labels[0, 2:4, 3] = 3
    (liver, _, _) = measure(labels, TABLE, source)
    assert liver.volume_ml == pytest.approx(2 * 1.5 * 0.75 * 4 / 1000)
    assert liver.diameter_mm == pytest.approx(np.hypot(1.5, 4.0))


@given(arrays(np.float64, st.tuples(st.integers(1, 40), st.integers(2, 3)), elements=st.integers(-9, 9)))
def test_the_largest_distance_is_that_of_all_pairs(points: Array) -> None:
    everything = max((float(np.linalg.norm(a - b)) for a, b in combinations(points, 2)), default=0.0)
    assert largest_distance(points) == pytest.approx(everything)


def test_the_largest_distance_of_points_on_a_sphere() -> None:
    points = np.random.default_rng(7).normal(size=(3000, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    everything = max(float(np.linalg.norm(points[index:] - point, axis=1).max()) for index, point in enumerate(points))
    assert largest_distance(points) == everything
