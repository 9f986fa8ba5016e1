"""recon: is every object where the sinogram's geometry puts it, with the HU that it has, and is nonsense refused?"""

from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from clara_ops.contract.result import StageResult
from clara_ops.driver.folders import StageFolders
from clara_ops.imaging.errors import MissingAngles, SinogramError
from clara_ops.stages import recon
from tests.dicomgen.projections import WATER, Ball, Float, Scanner, half_turn

OBLIQUE = ((0.6, 0.8, 0.0), (0.0, 0.0, -1.0), (-0.8, 0.6, 0.0))
COARSE = 100
"""Angles enough for the small objects of most tests."""


def run(source: Path, output: Path, *words: str, dicom: Path | None = None) -> StageResult:
    parser = ArgumentParser()
    recon.add_arguments(parser)
    folders = StageFolders.by_hand(source, output, dicom)
    return recon.run(folders, parser.parse_args(words), lambda _percent, _message="", /: None)


def reconstructed(folder: Path, scanner: Scanner, balls: tuple[Ball, ...], *words: str, **changes: Any) -> sitk.Image:
    source = folder / "in"
    source.mkdir()
    scanner.save(source / "1.2.3.npz", balls, **changes)
    run(source, folder / "out", *words)
    return sitk.ReadImage(str(folder / "out" / "1.2.3.mhd"))


def phantom(scanner: Scanner) -> tuple[Ball, ...]:
    """A ball of water off the axis, dense on one side and light on another: no turn or flip leaves it as it was."""
    u, v, w = np.array(scanner.direction, float)
    middle = np.array(scanner.origin) + w * (scanner.slices - 1) / 2 * scanner.slice_spacing

    def at(a: float, b: float) -> tuple[float, float, float]:
        x, y, z = middle + a * u + b * v
        return float(x), float(y), float(z)

    return (
        Ball(at(8, -5), 45, WATER),
        Ball(at(30, -5), 9, WATER),
        Ball(at(-4, 18), 9, -0.5 * WATER),
    )


EXPECTED_HU = (0.0, 1000.0, -500.0)


def hounsfield(image: sitk.Image, point: tuple[float, float, float]) -> float:
    """Mean HU of the nine voxels of the slice around a point in LPS mm."""
    x, y, z = image.TransformPhysicalPointToIndex(point)
    return float(sitk.GetArrayViewFromImage(image)[z, y - 1 : y + 2, x - 1 : x + 2].mean())


def check_phantom(image: sitk.Image, balls: tuple[Ball, ...], tolerance: float = 15) -> None:
    """Each ball has its HU at its centre, and the dense one has its centre of mass at its place."""
    body, dense, light = balls
    a_quiet_place = tuple((1.6 * np.array(body.centre) - 0.3 * (np.array(dense.centre) + light.centre)).tolist())
    found = [hounsfield(image, point) for point in (a_quiet_place, dense.centre, light.centre)]
    assert found == pytest.approx(EXPECTED_HU, abs=tolerance)
    voxels = sitk.GetArrayFromImage(image)
    middle = image.TransformPhysicalPointToIndex(dense.centre)[2]
    rows, columns = np.nonzero(voxels[middle] > 500)
    mass = image.TransformContinuousIndexToPhysicalPoint([float(columns.mean()), float(rows.mean()), float(middle)])
    assert np.allclose(mass, dense.centre, atol=0.3)


@pytest.mark.parametrize(
    "scanner",
    [
        Scanner(half_turn(COARSE)),
        Scanner(half_turn(COARSE), elements=120),
        Scanner(half_turn(COARSE), rotation_centre=57.3),
        Scanner(half_turn(COARSE), detector_spacing=0.8, elements=151, slice_spacing=3.0),
        Scanner(half_turn(COARSE), origin=(12.5, -310.0, 44.0)),
        Scanner(half_turn(COARSE), origin=(12.5, -310.0, 44.0), direction=OBLIQUE, rotation_centre=61.5),
        Scanner(half_turn(COARSE), direction=((0, 1, 0), (1, 0, 0), (0, 0, 1))),
        Scanner(half_turn(COARSE) * 2),
        Scanner(half_turn(COARSE) + 33.3),
        Scanner(-half_turn(COARSE)),
        Scanner(np.linspace(0, 180, COARSE + 1)),
    ],
    ids=[
        "odd",
        "even",
        "axis beside the middle",
        "fine",
        "elsewhere",
        "oblique",
        "mirrored",
        "whole turn",
        "turned",
        "backwards",
        "both ends",
    ],
)
def test_objects_are_at_their_places_with_their_hu(tmp_path: Path, scanner: Scanner) -> None:
    balls = phantom(scanner)
    check_phantom(reconstructed(tmp_path, scanner, balls), balls)


def test_uneven_angles_count_by_the_part_of_the_turn_that_they_stand_for(tmp_path: Path) -> None:
    dense, sparse = np.linspace(0, 60, 120, endpoint=False), np.linspace(60, 180, 80, endpoint=False)
    angles = np.random.default_rng(1).permutation(np.concatenate([dense, sparse]))
    scanner = Scanner(angles)
    balls = phantom(scanner)
    check_phantom(reconstructed(tmp_path, scanner, balls), balls, tolerance=20)


@pytest.mark.parametrize("words", [("--pixel-spacing", "0.5"), ("--pixel-spacing", "1.7"), ("--size", "112")])
def test_the_grid_is_what_was_asked_for(tmp_path: Path, words: tuple[str, str]) -> None:
    scanner = Scanner(half_turn(COARSE), rotation_centre=58.25)
    balls = phantom(scanner)
    image = reconstructed(tmp_path, scanner, balls, *words)
    wanted = float(words[1])
    assert (image.GetSpacing()[0] if "spacing" in words[0] else image.GetSize()[0]) == wanted
    assert image.GetSize()[2] == scanner.slices
    assert image.GetSpacing()[2] == scanner.slice_spacing
    check_phantom(image, balls)


def test_filters_from_sharp_to_smooth_keep_the_hu_of_what_is_large(tmp_path: Path) -> None:
    scanner = Scanner(half_turn(COARSE), slices=1)
    ball = Ball((8.0, -5.0, 0.0), 45, WATER)
    noisy = scanner.project((ball,)) + np.random.default_rng(0).normal(0, 0.02, (1, COARSE, scanner.elements))
    spreads = []
    for window in ("ramp", "shepp-logan", "cosine", "hamming", "hann"):
        (tmp_path / window).mkdir()
        image = reconstructed(tmp_path / window, scanner, (ball,), "--filter", window, sinogram=noisy)
        voxels = sitk.GetArrayFromImage(image)[0, 40:70, 55:85]
        assert voxels.mean() == pytest.approx(0, abs=15)
        spreads.append(float(voxels.std()))
    assert spreads == sorted(spreads, reverse=True)
    assert spreads[-1] < spreads[0] / 2


def test_other_energies_have_their_own_water(tmp_path: Path) -> None:
    scanner = Scanner(half_turn(COARSE))
    balls = tuple(replace(ball, attenuation=1.2 * ball.attenuation) for ball in phantom(scanner))
    check_phantom(reconstructed(tmp_path, scanner, balls, water_attenuation=1.2 * WATER), balls)


def test_beyond_the_field_of_view_is_air(tmp_path: Path) -> None:
    scanner = Scanner(half_turn(COARSE))
    voxels = sitk.GetArrayFromImage(reconstructed(tmp_path, scanner, phantom(scanner)))
    assert voxels.dtype == np.int16
    assert set(voxels[:, [0, 0, -1, -1], [0, -1, 0, -1]].ravel()) == {-1000}


def test_values_beyond_16_bits_are_neither_wrapped_nor_cut(tmp_path: Path) -> None:
    scanner = Scanner(half_turn(COARSE))
    implant = Ball((10.0, 5.0, 2.0), 6, 60 * WATER)
    image = reconstructed(tmp_path, scanner, (implant,))
    assert image.GetPixelID() == sitk.sitkFloat32
    assert hounsfield(image, implant.centre) == pytest.approx(59_000, rel=0.02)


def test_a_detector_that_is_too_short_is_told_and_the_rim_held_down(tmp_path: Path) -> None:
    whole = Scanner(half_turn(COARSE))
    body = (Ball((3.0, 0.0, 2.0), 50, WATER),)
    cut = replace(whole, elements=75)
    source = tmp_path / "in"
    source.mkdir()
    cut.save(source / "short.npz", body)
    whole.save(source / "whole.npz", body)
    result = run(source, tmp_path / "out")
    assert result.facts["truncated"] == 1
    assert result.reason == "the patient reaches beyond the detector: short.npz"
    image = sitk.ReadImage(str(tmp_path / "out" / "short.mhd"))
    assert abs(hounsfield(image, (0.0, 0.0, 2.0))) < 250
    assert abs(hounsfield(image, (0.0, 34.0, 2.0))) < 500


def test_progress_is_by_slice(tmp_path: Path) -> None:
    scanner = Scanner(half_turn(20))
    for name in ("a.npz", "b.npz"):
        scanner.save(tmp_path / name, phantom(scanner))
    parser = ArgumentParser()
    recon.add_arguments(parser)
    seen: list[float] = []
    folders = StageFolders.by_hand(tmp_path, tmp_path / "out")
    result = recon.run(folders, parser.parse_args([]), lambda percent, _message="", /: seen.append(percent))
    assert seen == pytest.approx(np.linspace(100 / 6, 100, 6))
    assert result.facts == {"volumes": 2, "slices": 6, "truncated": 0}


def test_sinograms_come_from_the_input_else_from_the_payload(tmp_path: Path) -> None:
    scanner = Scanner(half_turn(20))
    before, payload = tmp_path / "before", tmp_path / "payload"
    before.mkdir()
    payload.mkdir()
    scanner.save(payload / "of-the-payload.npz", phantom(scanner))
    run(before, tmp_path / "first", dicom=payload)
    assert [path.name for path in (tmp_path / "first").glob("*.mhd")] == ["of-the-payload.mhd"]
    scanner.save(before / "of-the-stage-before.npz", phantom(scanner))
    run(before, tmp_path / "second", dicom=payload)
    assert [path.name for path in (tmp_path / "second").glob("*.mhd")] == ["of-the-stage-before.mhd"]


def test_no_sinogram_at_all_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(recon.NoSinograms, match=r"no sinogram \(\*\.npz\)") as caught:
        run(tmp_path / "in", tmp_path / "out")
    assert caught.value.exit_code == 65


def test_one_name_twice_is_refused(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / "in" / name).mkdir(parents=True)
        (tmp_path / "in" / name / "1.2.3.npz").write_bytes(b"")
    with pytest.raises(recon.SameSinogram, match="have one name"):
        run(tmp_path / "in", tmp_path / "out")


SMALL = Scanner(half_turn(30), elements=41, slices=2)


def damaged(where: tuple[int, int, int]) -> Float:
    sinogram = SMALL.project(())
    sinogram[where] = np.nan
    return sinogram


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sinogram": damaged((1, 2, 3))}, r"sinogram\[1, 2, 3\] is nan"),
        ({"sinogram": SMALL.project(())[0]}, "sinogram is float64 with 2 dimensions"),
        ({"sinogram": SMALL.project(()).astype(complex)}, "sinogram is complex128"),
        ({"sinogram": np.zeros((2, 30, 0))}, "sinogram is float64"),
        ({"sinogram": SMALL.project(()).transpose(0, 2, 1)}, "30 for 41 projections"),
        ({"sinogram": None}, "has no array 'sinogram'"),
        ({"angles": np.full(30, np.inf)}, r"angles\[0\] is inf"),
        ({"angles": np.arange(29.0)}, "29 for 30 projections"),
        ({"spacing": None}, "has no array 'spacing'"),
        ({"spacing": (1.0, 1.0, 1.0)}, "spacing has 3 numbers; give 2"),
        ({"spacing": (2.0, 0.0)}, "spacing is 0; it has to be above zero"),
        ({"rotation_centre": 41.0}, "rotation_centre is 41, beside the detector"),
        ({"rotation_centre": (1.0, 2.0)}, "rotation_centre is float64 with 1 dimensions"),
        ({"rotation_center": 20.0}, "has an unknown array 'rotation_center'"),
        ({"direction": np.ones((3, 3))}, "not unit vectors at right angles"),
        ({"direction": np.eye(2)}, r"direction has the shape \(2, 2\)"),
        ({"origin": (1.0, 2.0)}, "origin has 2 numbers; give 3"),
        ({"water_attenuation": -0.02}, "water_attenuation is -0.02; it has to be above zero"),
        ({"angles": np.array([{}] * 30)}, "cannot be read as a NumPy archive"),
    ],
)
def test_nonsense_is_refused_by_name(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    (tmp_path / "in").mkdir()
    SMALL.save(tmp_path / "in" / "1.2.3.npz", (), **changes)
    with pytest.raises(SinogramError, match=message) as caught:
        run(tmp_path / "in", tmp_path / "out")
    assert "1.2.3.npz" in str(caught.value)
    assert caught.value.exit_code == 65


@pytest.mark.parametrize(
    "angles", [np.linspace(0, 120, 30), np.deg2rad(half_turn(30)), np.array([10.0] * 30)], ids=["120", "radians", "one"]
)
def test_less_than_half_a_turn_is_refused(tmp_path: Path, angles: Float) -> None:
    (tmp_path / "in").mkdir()
    SMALL.save(tmp_path / "in" / "1.2.3.npz", (), angles=angles)
    with pytest.raises(MissingAngles, match="half a turn is needed") as caught:
        run(tmp_path / "in", tmp_path / "out")
    assert caught.value.exit_code == 65


@pytest.mark.parametrize(
    "damage",
    [
        lambda _content: b"",
        lambda _content: b"no archive",
        lambda content: content[: len(content) // 2],
        lambda content: content[:300] + b"\0" * 400 + content[700:],
        lambda content: content.replace(b"(2, 30, 41)", b"(9, 99, 99)"),
    ],
)
def test_damaged_files_are_refused_by_name(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    (tmp_path / "in").mkdir()
    path = SMALL.save(tmp_path / "in" / "1.2.3.npz", phantom(SMALL))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(SinogramError, match=r"1\.2\.3\.npz: cannot be read as a NumPy archive"):
        run(tmp_path / "in", tmp_path / "out")


def test_a_single_array_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with (tmp_path / "in" / "1.2.3.npz").open("wb") as file:
        np.save(file, SMALL.project(()))
    with pytest.raises(SinogramError, match="is one array and no archive"):
        run(tmp_path / "in", tmp_path / "out")


@pytest.mark.parametrize("words", [("--filter", "soft"), ("--pixel-spacing", "0"), ("--size", "9999"), ("--size", "x")])
def test_options_that_make_no_sense_are_refused(words: tuple[str, str]) -> None:
    parser = ArgumentParser()
    recon.add_arguments(parser)
    with pytest.raises(SystemExit):
        parser.parse_args(words)
