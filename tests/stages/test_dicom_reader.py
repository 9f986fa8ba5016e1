"""dicom-reader: geometry, order and selection of slices. Every voxel is checked where the volume says it is."""

import math
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from clara_ops.imaging.errors import (
    AmbiguousSeries,
    ConflictingDuplicates,
    MissingGeometry,
    MissingSlices,
    MixedMatrix,
    MixedOrientation,
    NoImages,
    ScatteredSlices,
    SingleSlice,
)
from clara_ops.imaging.source_map import read_source_map, source_grid
from tests.dicomgen.phantom import assert_is_the_body, value_at, voxel_centres
from tests.dicomgen.series import Geometry, Identity, make_series, write_series
from tests.dicomgen.stage import read_volume, read_volumes, run_reader

SERIES = "1.2.826.0.1.1.1"
OBLIQUE = Geometry(
    row_direction=(0.8, 0.36, -0.48), column_direction=(0.0, 0.8, 0.6), step=(0.6 * 3, -0.48 * 3, 0.64 * 3)
)
STACKS = {
    "axial": Geometry(),
    "axial from head to feet": Geometry(step=(0.0, 0.0, -2.5)),
    "feet first": Geometry(row_direction=(-1.0, 0.0, 0.0), step=(0.0, 0.0, 2.5)),
    "prone": Geometry(row_direction=(-1.0, 0.0, 0.0), column_direction=(0.0, -1.0, 0.0)),
    "sagittal": Geometry(row_direction=(0.0, 1.0, 0.0), column_direction=(0.0, 0.0, -1.0), step=(3.0, 0.0, 0.0)),
    "coronal": Geometry(row_direction=(1.0, 0.0, 0.0), column_direction=(0.0, 0.0, -1.0), step=(0.0, -4.0, 0.0)),
    "oblique": OBLIQUE,
    "non-square pixels": Geometry(pixel_spacing=(0.5, 2.0)),
    "two slices": Geometry(count=2),
}


@pytest.mark.parametrize("geometry", STACKS.values(), ids=STACKS)
def test_every_stack_is_read_rightly(geometry: Geometry, tmp_path: Path) -> None:
    images = make_series(geometry)
    random.Random(0).shuffle(images)
    write_series(images, tmp_path / "dicom")

    volume = read_volume(tmp_path / "dicom", tmp_path / "out")

    assert volume.GetSize() == (12, 10, geometry.count)
    assert volume.GetPixelID() == sitk.sitkInt16
    assert_is_the_body(volume)


def test_names_of_files_and_folders_and_instance_numbers_say_nothing(tmp_path: Path) -> None:
    images = make_series()
    for number, image in enumerate(images):
        image.InstanceNumber = 100 - 7 * number % 5
    names = ["z", "A/b/IM0001", "A/c.jpg", "00001.txt", "..odd"[1:].replace(".", "dot")]
    write_series(images, tmp_path / "dicom", name=names.__getitem__)

    volumes = read_volumes(tmp_path / "dicom", tmp_path / "out")

    assert list(volumes) == [SERIES]
    assert_is_the_body(volumes[SERIES])


def test_the_source_map_names_the_instance_of_every_slice(tmp_path: Path) -> None:
    images = make_series(Geometry(step=(0.0, 0.0, -2.5)))
    write_series(images, tmp_path / "dicom")
    run_reader(tmp_path / "dicom", tmp_path / "out")

    source = read_source_map(tmp_path / "out" / f"{SERIES}.mhd")

    assert source is not None
    assert [piece.sop_instance_uid for piece in source.slices] == [f"{SERIES}.{n}" for n in (5, 4, 3, 2, 1)]
    assert [piece.position[2] for piece in source.slices] == [-110.0, -107.5, -105.0, -102.5, -100.0]
    assert [piece.file for piece in source.slices] == [f"{n}.dcm" for n in (4, 3, 2, 1, 0)]
    assert (source.pixel_spacing, source.slice_spacing, source.shear) == ((1.5, 0.75), 2.5, None)
    assert (source.rows, source.columns, source.modality) == (10, 12, "CT")


def test_every_series_gets_a_volume(tmp_path: Path) -> None:
    write_series(make_series(), tmp_path / "dicom" / "one")
    other = make_series(OBLIQUE, identity=Identity(series_uid="1.2.826.0.1.1.2"))
    write_series(other, tmp_path / "dicom" / "one" / "two")

    volumes = read_volumes(tmp_path / "dicom", tmp_path / "out")

    assert list(volumes) == ["1.2.826.0.1.1.1", "1.2.826.0.1.1.2"]
    for volume in volumes.values():
        assert_is_the_body(volume)


def test_a_tilted_gantry_is_kept_and_reported(tmp_path: Path) -> None:
    tilt = math.radians(15)
    tilted = Geometry(
        column_direction=(0.0, math.cos(tilt), -math.sin(tilt)), step=(0.0, 0.0, 3.0), origin=(-20.0, -30.0, -90.0)
    )
    write_series(make_series(tilted), tmp_path / "dicom")

    volume = read_volume(tmp_path / "dicom", tmp_path / "out")

    assert_is_the_body(volume)
    source = read_source_map(tmp_path / "out" / f"{SERIES}.mhd")
    assert source is not None and source.shear is not None
    assert source.slice_spacing == pytest.approx(3 * math.cos(tilt))
    assert math.hypot(*source.shear) == pytest.approx(3 * math.sin(tilt), rel=1e-6)
    assert source_grid(source).direction == pytest.approx(volume.GetDirection())
    reason = run_reader(tmp_path / "dicom", tmp_path / "out").reason
    assert reason == f"series {SERIES}: the gantry was tilted, slices drift by 0.776 mm each: keep"


@pytest.mark.parametrize("missing", [[2], [2, 3], [1, 4]])
def test_missing_slices_are_refused_with_the_list(missing: list[int], tmp_path: Path) -> None:
    write_series(make_series(indices=[i for i in range(8) if i not in missing]), tmp_path / "dicom")
    with pytest.raises(MissingSlices, match=r"2\.50 mm apart \(median\), but (5|7\.5)") as error:
        run_reader(tmp_path / "dicom", tmp_path / "out")
    assert str(error.value).count(" mm between ") == len({index - missing.index(index) for index in missing})


@pytest.mark.parametrize("indices", [[0, 1, 2, 5, 6], [0, 3, 4, 5, 7, 8], [0, 1, 2.4, 3, 4.3, 5]])
@pytest.mark.parametrize("geometry", ["axial", "oblique"])
def test_gaps_are_filled_when_asked_for(indices: list[float], geometry: str, tmp_path: Path) -> None:
    write_series(make_series(STACKS[geometry], indices=indices), tmp_path / "dicom")
    volume = read_volume(tmp_path / "dicom", tmp_path / "out", "--gaps", "resample")
    assert_is_the_body(volume, tolerance=1.1)
    step = {"axial": 2.5, "oblique": 3.0}[geometry]
    last = volume.TransformIndexToPhysicalPoint((0, 0, volume.GetSize()[2] - 1))
    assert math.dist(last, volume.GetOrigin()) == pytest.approx(step * indices[-1])
    assert volume.GetSpacing()[2] == pytest.approx(step, rel=0.15)
    source = read_source_map(tmp_path / "out" / f"{SERIES}.mhd")
    assert source is not None and source.resampled
    assert len(source.slices) == len(indices)


def test_gaps_are_kept_when_asked_for(tmp_path: Path) -> None:
    images = make_series(indices=[0, 1, 2, 5, 6])
    write_series(images, tmp_path / "dicom")
    volume = read_volume(tmp_path / "dicom", tmp_path / "out", "--gaps", "keep")
    assert (volume.GetSize()[2], volume.GetSpacing()[2]) == (5, 2.5)
    result = run_reader(tmp_path / "dicom", tmp_path / "out", "--gaps", "keep")
    assert result.reason == f"series {SERIES}: slices are missing at 1 places: keep"
    source = read_source_map(tmp_path / "out" / f"{SERIES}.mhd")
    assert source is not None and not source.resampled
    assert [piece.position[2] for piece in source.slices] == [-100.0, -97.5, -95.0, -87.5, -85.0]
    for index, image in enumerate(images):
        stored = np.frombuffer(image.PixelData, "<u2").reshape(10, 12)
        np.testing.assert_array_equal(sitk.GetArrayFromImage(volume)[index], stored - 1024.0)


@pytest.mark.parametrize("degrees", [15, -20])
def test_a_tilted_gantry_is_straightened_when_asked_for(degrees: int, tmp_path: Path) -> None:
    tilt = math.radians(degrees)
    tilted = Geometry(column_direction=(0.0, math.cos(tilt), -math.sin(tilt)), step=(0.0, 0.0, 3.0), count=8)
    write_series(make_series(tilted), tmp_path / "dicom")

    volume = read_volume(tmp_path / "dicom", tmp_path / "out", "--tilt", "resample")

    axes = np.array(volume.GetDirection()).reshape(3, 3)
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-9)
    voxels, centres = sitk.GetArrayFromImage(volume), voxel_centres(volume)
    leaning = np.column_stack([[0.75, 0, 0], 1.5 * np.array(tilted.column_direction), tilted.step])
    indices = (centres - tilted.origin) @ np.linalg.inv(leaning).T
    inside = ((indices >= -1e-6) & (indices <= np.array([11, 9, 7]) + 1e-6)).all(axis=-1)
    assert np.count_nonzero(inside) > 8 * 12 * 8
    np.testing.assert_allclose(voxels[inside], value_at(centres)[inside], atol=1.01)
    far = ((indices < -1) | (indices > np.array([12, 10, 8]))).any(axis=-1)
    assert (voxels[far] == -1024).all()
    corners = [tilted.points(index)[row, column] for index in (0, 7) for row in (0, 9) for column in (0, 11)]
    for corner in corners:
        index = volume.TransformPhysicalPointToContinuousIndex(corner.tolist())
        assert all(-0.01 <= i <= count - 0.99 for i, count in zip(index, volume.GetSize(), strict=True))
    source = read_source_map(tmp_path / "out" / f"{SERIES}.mhd")
    assert source is not None and source.resampled and source.shear is not None


def test_uneven_spacing_is_refused(tmp_path: Path) -> None:
    write_series(make_series(indices=[0, 1, 2, 3.3, 4, 5]), tmp_path / "dicom")
    with pytest.raises(MissingSlices, match=r"3\.25 mm between .*1\.75 mm between"):
        run_reader(tmp_path / "dicom", tmp_path / "out")


def test_positions_rounded_by_the_scanner_are_even(tmp_path: Path) -> None:
    images = make_series(Geometry(step=(0.0, 0.0, 1.25), count=9))
    for image in images:
        image.ImagePositionPatient = [*image.ImagePositionPatient[:2], f"{image.ImagePositionPatient[2]:.1f}"]
    write_series(images, tmp_path / "dicom")
    assert_is_the_body(read_volume(tmp_path / "dicom", tmp_path / "out"), tolerance=1.0)


def test_an_instance_sent_twice_counts_once(tmp_path: Path) -> None:
    images = make_series()
    write_series([*images, images[2], images[2]], tmp_path / "dicom")
    volume = read_volume(tmp_path / "dicom", tmp_path / "out")
    assert_is_the_body(volume)
    result = run_reader(tmp_path / "dicom", tmp_path / "out")
    assert result.reason == "2 set aside: the same instance as 2.dcm"


def test_one_uid_with_two_contents_is_refused(tmp_path: Path) -> None:
    images = make_series()
    twin = make_series()[2]
    twin.PixelData = images[3].PixelData
    write_series([*images, twin], tmp_path / "dicom")
    with pytest.raises(ConflictingDuplicates, match=r"2\.dcm and .*5\.dcm"):
        run_reader(tmp_path / "dicom", tmp_path / "out")


def test_two_slices_at_nearly_one_position_are_refused(tmp_path: Path) -> None:
    write_series(make_series(indices=[0, 1, 2, 2.001, 3, 4]), tmp_path / "dicom")
    with pytest.raises(AmbiguousSeries, match=r"2\.dcm and .*3\.dcm: are at one position"):
        run_reader(tmp_path / "dicom", tmp_path / "out")


def test_a_slice_beside_the_line_is_refused(tmp_path: Path) -> None:
    images = make_series()
    images[2].ImagePositionPatient = [-17, -30, -95]
    write_series(images, tmp_path / "dicom")
    with pytest.raises(ScatteredSlices, match=r"2\.dcm: lies 3\.00 mm beside"):
        run_reader(tmp_path / "dicom", tmp_path / "out")


def test_one_slice_is_no_volume(tmp_path: Path) -> None:
    write_series(make_series()[:1], tmp_path / "dicom")
    with pytest.raises(SingleSlice, match=r"0\.dcm: is the only slice"):
        run_reader(tmp_path / "dicom", tmp_path / "out")


def test_scouts_are_set_aside(tmp_path: Path) -> None:
    images = make_series()
    (scout,) = make_series(STACKS["coronal"], indices=[0], first=99)
    scout.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    write_series([scout, *images], tmp_path / "dicom")

    assert_is_the_body(read_volume(tmp_path / "dicom", tmp_path / "out"))
    assert run_reader(tmp_path / "dicom", tmp_path / "out").reason == "1 set aside: scout image (Image Type LOCALIZER)"


def test_a_folder_of_scouts_only_holds_nothing_to_read(tmp_path: Path) -> None:
    images = make_series()
    for image in images:
        image.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    write_series(images, tmp_path / "dicom")
    with pytest.raises(NoImages, match="5 set aside: scout"):
        run_reader(tmp_path / "dicom", tmp_path / "out")


def test_two_orientations_are_refused_or_split(tmp_path: Path) -> None:
    write_series([*make_series(), *make_series(STACKS["sagittal"], first=11)], tmp_path / "dicom")

    with pytest.raises(MixedOrientation, match=r"2 orientations: row .* \(5 slices\); row .* \(5 slices\)"):
        run_reader(tmp_path / "dicom", tmp_path / "refused")
    volumes = read_volumes(tmp_path / "dicom", tmp_path / "out", "--split")

    assert list(volumes) == [f"{SERIES}_1", f"{SERIES}_2"]
    for volume in volumes.values():
        assert_is_the_body(volume)


@pytest.mark.parametrize(
    "geometry",
    [replace(Geometry(), rows=8), replace(Geometry(), columns=14), replace(Geometry(), pixel_spacing=(1.5, 0.8))],
    ids=["rows", "columns", "spacing"],
)
def test_two_matrices_are_refused(geometry: Geometry, tmp_path: Path) -> None:
    images = [*make_series(indices=[0, 1, 2]), *make_series(geometry, indices=[3, 4], first=4)]
    write_series(images, tmp_path / "dicom")
    with pytest.raises(MixedMatrix, match=r"2 matrices: .* \(3 slices\); .* \(2 slices\)"):
        run_reader(tmp_path / "dicom", tmp_path / "out")


SEVERAL_VOLUMES = {
    "echoes": ("EchoTime", ["4.6", "9.2"]),
    "b-values": ("DiffusionBValue", [0, 800]),
    "gradient directions": ("DiffusionGradientOrientation", [[1, 0, 0], [0, 1, 0]]),
    "time points": ("TemporalPositionIdentifier", [1, 2]),
    "cardiac phases": ("NominalPercentageOfCardiacPhase", [30, 70]),
    "energies": ("KVP", ["80", "140"]),
    "magnitude and phase": ("ImageType", [["ORIGINAL", "PRIMARY", "M"], ["ORIGINAL", "PRIMARY", "P"]]),
    "acquisitions": ("AcquisitionNumber", [1, 2]),
    "trigger delays": ("TriggerTime", ["120", "640"]),
    "frames of reference": ("FrameOfReferenceUID", ["1.2.3.1", "1.2.3.2"]),
}


@pytest.mark.parametrize(("keyword", "values"), SEVERAL_VOLUMES.values(), ids=SEVERAL_VOLUMES)
def test_several_volumes_in_a_series_are_refused_or_split(keyword: str, values: list[object], tmp_path: Path) -> None:
    images = [*make_series(), *make_series(first=11)]
    for number, image in enumerate(images):
        setattr(image, keyword, values[number // 5])
    random.Random(1).shuffle(images)
    write_series(images, tmp_path / "dicom")

    with pytest.raises(AmbiguousSeries, match=rf"holds 2 volumes: {keyword} .*\(5 slices\); {keyword} .*\(5 slices\)"):
        run_reader(tmp_path / "dicom", tmp_path / "refused")
    volumes = read_volumes(tmp_path / "dicom", tmp_path / "out", "--split")

    assert list(volumes) == [f"{SERIES}_1", f"{SERIES}_2"]
    for name, volume in volumes.items():
        assert_is_the_body(volume)
        source = read_source_map(tmp_path / "out" / f"{name}.mhd")
        assert source is not None
        numbers = {int(piece.sop_instance_uid.rpartition(".")[2]) for piece in source.slices}
        assert numbers in ({1, 2, 3, 4, 5}, {11, 12, 13, 14, 15})


def test_halves_of_two_echoes_are_never_one_volume(tmp_path: Path) -> None:
    images = make_series()
    for number, image in enumerate(images):
        image.EchoTime = "4.6" if number % 2 else "9.2"
    write_series(images, tmp_path / "dicom")
    with pytest.raises(AmbiguousSeries, match=r"EchoTime 9\.2 \(3 slices\); EchoTime 4\.6 \(2 slices\)"):
        run_reader(tmp_path / "dicom", tmp_path / "out")


def test_the_acquisition_may_change_along_one_volume(tmp_path: Path) -> None:
    images = make_series()
    for number, image in enumerate(images):
        image.AcquisitionNumber, image.TriggerTime, image.AcquisitionTime = number // 2, str(number), f"10111{number}"
    write_series(images, tmp_path / "dicom")
    assert_is_the_body(read_volume(tmp_path / "dicom", tmp_path / "out"))


@pytest.mark.parametrize("keyword", ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"])
def test_an_image_that_does_not_say_where_it_is_is_refused(keyword: str, tmp_path: Path) -> None:
    images = make_series()
    delattr(images[3], keyword)
    write_series(images, tmp_path / "dicom")
    with pytest.raises(MissingGeometry, match=r"3\.dcm: has no "):
        run_reader(tmp_path / "dicom", tmp_path / "out")


def test_directions_that_are_not_at_right_angles_are_refused(tmp_path: Path) -> None:
    images = make_series()
    for image in images:
        image.ImageOrientationPatient = [1, 0, 0, 0.5, 0.5, 0]
    write_series(images, tmp_path / "dicom")
    with pytest.raises(MissingGeometry, match="right angles"):
        run_reader(tmp_path / "dicom", tmp_path / "out")


def test_rounded_directions_give_right_angles(tmp_path: Path) -> None:
    images = make_series(OBLIQUE)
    for image in images:
        image.ImageOrientationPatient = [f"{float(x) + 0.0004:.4f}" for x in image.ImageOrientationPatient]
    write_series(images, tmp_path / "dicom")
    volume = read_volume(tmp_path / "dicom", tmp_path / "out")
    axes = [volume.GetDirection()[start::3] for start in range(3)]
    for first, second in ((0, 1), (0, 2), (1, 2)):
        assert np.dot(axes[first], axes[second]) == pytest.approx(0, abs=1e-9)
