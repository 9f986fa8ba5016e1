"""Grids: where voxels are, and whether two grids are the same."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK as sitk

from clara_ops.imaging.errors import VolumeError
from clara_ops.imaging.geometry import Grid, grid_difference, grid_of, overlaps
from clara_ops.imaging.metaimage import raw_path, read_volume, write_volume

LEAN = np.array([0.0, 0.3, 1.0]) / np.hypot(0.3, 1.0)
GRID = Grid((12, 10, 5), (0.7, 0.8, 5 / 3), (-1.1, 2.2, 1 / 3), ((0.8, 0.6, 0.0), (-0.6, 0.8, 0.0), (0.0, 0.0, 1.0)))
LEANING = replace(GRID, axes=(*GRID.axes[:2], (float(LEAN[0]), float(LEAN[1]), float(LEAN[2]))))


@pytest.mark.parametrize("grid", [GRID, LEANING], ids=["right-angled", "leaning"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int16, np.uint16, np.int32, np.uint32, np.float32, np.float64])
def test_itk_reads_what_was_written_exactly(grid: Grid, dtype: npt.DTypeLike, tmp_path: Path) -> None:
    voxels: npt.NDArray[Any] = (np.arange(600).reshape(5, 10, 12) % 120).astype(dtype)
    write_volume(tmp_path / "1.2.3.mhd", voxels, grid)
    image = read_volume(tmp_path / "1.2.3.mhd")

    assert grid_of(image) == grid
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), voxels)
    assert sitk.GetArrayFromImage(image).dtype == dtype
    for index in ((0, 0, 0), (11, 3, 4)):
        there = grid.affine() @ (*index, 1)
        np.testing.assert_allclose(image.TransformIndexToPhysicalPoint(index), there[:3], atol=1e-9)


def test_voxels_that_do_not_fit_their_grid_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(VolumeError, match="do not fit"):
        write_volume(tmp_path / "x.mhd", np.zeros((5, 12, 10)), GRID)


def test_a_volume_without_its_voxels_is_named(tmp_path: Path) -> None:
    write_volume(tmp_path / "x.mhd", np.zeros((5, 10, 12), np.uint8), GRID)
    raw_path(tmp_path / "x.mhd").write_bytes(b"abc")
    with pytest.raises(VolumeError, match=r"x\.mhd: cannot be read as a MetaImage"):
        read_volume(tmp_path / "x.mhd")
    (tmp_path / "y.mhd").write_text("nothing of the kind")
    with pytest.raises(VolumeError, match=r"y\.mhd: cannot be read as a MetaImage"):
        read_volume(tmp_path / "y.mhd")


def test_a_volume_of_vectors_is_refused(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.Image((4, 4, 4), sitk.sitkVectorUInt8, 3), str(tmp_path / "x.mhd"))
    with pytest.raises(VolumeError, match="3 values a voxel"):
        read_volume(tmp_path / "x.mhd")


def test_grids_are_compared_by_where_their_voxels_are() -> None:
    assert grid_difference(replace(GRID, origin=(-1.1, 2.2, 0.36)), GRID) is None
    assert grid_difference(replace(GRID, size=(12, 10, 6)), GRID) == "size 12 x 10 x 6 instead of 12 x 10 x 5 voxels"
    for other in (
        replace(GRID, origin=(-1.1, 2.3, 1 / 3)),
        replace(GRID, spacing=(0.71, 0.8, 5 / 3)),
        replace(GRID, axes=((-0.8, -0.6, 0.0), (0.6, -0.8, 0.0), (0.0, 0.0, 1.0))),
        LEANING,
    ):
        assert "mm away from where they should be" in str(grid_difference(other, GRID))


def test_only_grids_without_a_common_point_do_not_overlap() -> None:
    assert overlaps(GRID, GRID) and overlaps(LEANING, GRID)
    assert overlaps(replace(GRID, size=(1, 1, 1)), GRID)
    assert overlaps(GRID, replace(GRID, spacing=(100.0, 100.0, 100.0)))
    for origin in ((-100.0, 2.2, 0.3), (-1.1, 40.0, 0.3), (-1.1, 2.2, 20.0), (-1.1, 2.2, -20.0)):
        assert not overlaps(replace(GRID, origin=origin), GRID)


def test_a_leaning_grid_is_not_right_angled() -> None:
    assert GRID.is_right_angled()
    assert not LEANING.is_right_angled()
