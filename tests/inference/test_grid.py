"""To the model's grid and back: the same place in the patient, whatever the orientation of the volume."""

import numpy as np
import pytest
import SimpleITK as sitk

from clara_ops.imaging.geometry import Grid, grid_of
from clara_ops.inference.description import InputDescription
from clara_ops.inference.grid import Labels, to_model_grid, to_source_grid

MODEL = InputDescription(modality="CT", axes="RAS", spacing_mm=3.0, multiple_of=8, outside=-1000.0, largest_tile=128)
SMOOTH_OBLIQUE = np.linalg.qr(np.array([[1.0, 0.1, 0.05], [-0.1, 1.0, 0.1], [-0.05, -0.1, 1.0]]))[0]


def positions(grid: Grid) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """LPS mm of every voxel, (x, y, z, 3)."""
    indices = np.stack(np.meshgrid(*(np.arange(count) for count in grid.size), indexing="ij"), -1)
    affine = grid.affine()
    placed: np.ndarray[tuple[int, ...], np.dtype[np.float64]] = indices @ affine[:3, :3].T + affine[:3, 3]
    return placed


def ramp_volume(direction: tuple[float, ...], spacing: tuple[float, float, float] = (1.0, 1.2, 2.5)) -> sitk.Image:
    """A volume whose value is 2 x + 5 y + 11 z of the place in the patient (LPS mm)."""
    image = sitk.Image([60, 50, 25], sitk.sitkFloat32)
    image.SetSpacing(spacing)
    image.SetOrigin((-31.0, 17.0, 103.0))
    image.SetDirection(direction)
    values = positions(grid_of(image)) @ np.array([2.0, 5.0, 11.0])
    filled = sitk.GetImageFromArray(values.transpose(2, 1, 0).astype(np.float32))
    filled.CopyInformation(image)
    return filled


AXIAL = (1.0, 0, 0, 0, 1, 0, 0, 0, 1)
CORONAL = (1.0, 0, 0, 0, 0, 1, 0, -1, 0)
SAGITTAL_FLIPPED = (0.0, 0, -1, -1, 0, 0, 0, 1, 0)
OBLIQUE = tuple(float(value) for value in (SMOOTH_OBLIQUE * np.sign(np.diag(SMOOTH_OBLIQUE))).ravel())


@pytest.mark.parametrize("direction", [AXIAL, CORONAL, SAGITTAL_FLIPPED, OBLIQUE])
def test_values_stay_at_their_place_in_the_patient(direction: tuple[float, ...]) -> None:
    voxels, grid = to_model_grid(ramp_volume(direction), MODEL)
    assert voxels.shape == grid.size
    assert voxels.dtype == np.float32
    expected = positions(grid) @ np.array([2.0, 5.0, 11.0])
    inside = (slice(2, -2),) * 3
    assert np.abs(voxels[inside] - expected[inside]).max() < 0.1
    assert np.allclose(grid.spacing, 3.0)


@pytest.mark.parametrize("direction", [AXIAL, CORONAL, SAGITTAL_FLIPPED, OBLIQUE])
def test_the_axes_point_right_anterior_superior(direction: tuple[float, ...]) -> None:
    _, grid = to_model_grid(ramp_volume(direction), MODEL)
    towards_ras = np.array(grid.axes) @ np.diag([-1.0, -1.0, 1.0])
    assert (np.diag(towards_ras) > 0.9).all()


def ball(grid: Grid, centre: tuple[float, float, float], radius: float) -> Labels:
    inside: Labels = (np.linalg.norm(positions(grid) - centre, axis=-1) < radius).astype(np.uint8)
    return inside


@pytest.mark.parametrize("direction", [AXIAL, CORONAL, SAGITTAL_FLIPPED, OBLIQUE])
def test_labels_return_to_their_place(direction: tuple[float, ...]) -> None:
    image = ramp_volume(direction)
    source = grid_of(image)
    middle = tuple(positions(source)[30, 25, 12])
    _, grid = to_model_grid(image, MODEL)
    back = to_source_grid(ball(grid, middle, 15.0) * 7, grid, source)
    assert back.shape == source.size[::-1]
    assert set(np.unique(back)) == {0, 7}
    truth = ball(source, middle, 15.0).transpose(2, 1, 0)
    dice = 2 * np.sum((back == 7) & (truth == 1)) / (np.sum(back == 7) + np.sum(truth == 1))
    assert dice > 0.95


@pytest.mark.parametrize("spacing", [(0.7, 0.7, 0.7), (1.4, 1.4, 1.4), (0.5, 3.0, 5.0), (1.0, 1.0, 1.25)])
def test_labels_reach_the_last_voxel(spacing: tuple[float, float, float]) -> None:
    image = ramp_volume(AXIAL, spacing)
    voxels, grid = to_model_grid(image, MODEL)
    assert to_source_grid(np.ones(voxels.shape, np.uint8), grid, grid_of(image)).all()


def test_noise_is_averaged_before_every_third_voxel_is_taken() -> None:
    noise = sitk.GetImageFromArray(np.random.default_rng(1).normal(0, 100, (40, 60, 60)).astype(np.float32))
    voxels, _ = to_model_grid(noise, MODEL)
    assert voxels.std() < 100 / np.sqrt(27) * 1.1


def test_a_volume_thinner_than_a_block_is_taken() -> None:
    image = sitk.GetImageFromArray(np.zeros((1, 60, 60), np.int16))
    voxels, _ = to_model_grid(image, MODEL)
    assert voxels.shape[2] == 1
