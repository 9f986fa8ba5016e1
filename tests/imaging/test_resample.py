"""Resampling is checked against functions of space whose values are known everywhere."""

import numpy as np
import SimpleITK as sitk

from clara_ops.imaging.resample import resample_like, resample_to_spacing

OBLIQUE = (0.8, -0.6, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, -1.0)


def ramp(size: tuple[int, int, int], spacing: tuple[float, float, float]) -> sitk.Image:
    """A volume whose value is 2x - 3y + 5z of the voxel centre's LPS position."""
    image = sitk.Image(size, sitk.sitkFloat32)
    image.SetSpacing(spacing)
    image.SetOrigin((-40.0, 17.0, -300.0))
    image.SetDirection(OBLIQUE)
    values = np.empty(size[::-1], np.float32)
    for z, y, x in np.ndindex(values.shape):
        values[z, y, x] = np.dot(image.TransformIndexToPhysicalPoint((x, y, z)), (2.0, -3.0, 5.0))
    filled = sitk.GetImageFromArray(values)
    filled.CopyInformation(image)
    return filled


def test_a_linear_function_of_space_survives_and_the_centre_stays() -> None:
    image = ramp((20, 15, 9), (1.0, 1.5, 2.5))
    resampled = resample_to_spacing(image, 2.0)

    assert resampled.GetSpacing() == (2.0, 2.0, 2.0)
    assert resampled.GetSize() == (10, 12, 12)
    centre = [(count - 1) / 2 for count in image.GetSize()]
    new_centre = [(count - 1) / 2 for count in resampled.GetSize()]
    np.testing.assert_allclose(
        resampled.TransformContinuousIndexToPhysicalPoint(new_centre),
        image.TransformContinuousIndexToPhysicalPoint(centre),
        atol=1e-9,
    )
    values = sitk.GetArrayFromImage(resampled)
    for z, y, x in np.ndindex(values.shape):
        point = resampled.TransformIndexToPhysicalPoint((x, y, z))
        index = image.TransformPhysicalPointToContinuousIndex(point)
        if all(0 <= i <= count - 1 for i, count in zip(index, image.GetSize(), strict=True)):
            assert abs(values[z, y, x] - np.dot(point, (2.0, -3.0, 5.0))) < 1e-2


def test_whole_numbers_are_rounded_not_cut() -> None:
    image = sitk.GetImageFromArray(np.array([[[-10, -11]] * 2] * 2, np.int16))
    finer = sitk.Image((4, 2, 2), sitk.sitkInt16)
    finer.SetSpacing((0.25, 1.0, 1.0))
    resampled = resample_like(image, finer, nearest=False)
    assert resampled.GetPixelID() == sitk.sitkInt16
    assert sitk.GetArrayFromImage(resampled)[0, 0, [0, 1, 3]].tolist() == [-10, -10, -11]


def test_labels_come_back_onto_the_first_grid_by_position_not_by_array_order() -> None:
    labels = sitk.GetImageFromArray((np.arange(6 * 5 * 4).reshape(4, 5, 6) % 7).astype(np.uint8))
    labels.SetSpacing((1.0, 2.0, 3.0))
    flipped = sitk.Flip(labels, (True, True, False))
    assert not np.array_equal(sitk.GetArrayFromImage(flipped), sitk.GetArrayFromImage(labels))

    back = resample_like(flipped, labels, nearest=True)

    np.testing.assert_array_equal(sitk.GetArrayFromImage(back), sitk.GetArrayFromImage(labels))
    assert back.GetPixelID() == labels.GetPixelID()


def test_every_voxel_is_covered_on_the_way_there_and_back() -> None:
    ones = sitk.Image((7, 5, 3), sitk.sitkUInt8) + 1
    ones.SetSpacing((0.7, 0.9, 5.0))
    there = resample_to_spacing(ones, (3.0, 3.0, 3.0), nearest=True)
    assert sitk.GetArrayFromImage(there).min() == 1
    assert sitk.GetArrayFromImage(resample_like(there, ones, nearest=True)).min() == 1


def test_outside_of_the_image_is_filled() -> None:
    image = sitk.Image((4, 4, 4), sitk.sitkInt16)
    shifted = sitk.Image((4, 4, 4), sitk.sitkInt16)
    shifted.SetOrigin((100.0, 0.0, 0.0))
    assert set(sitk.GetArrayFromImage(resample_like(image, shifted, nearest=False, outside=-1000)).ravel()) == {-1000}
