"""ai-livertumor: are lesions of known size found at their places in a real liver, and none where there is none?"""

import argparse
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK as sitk

from clara_ops.contract.labels import Code, Label, LabelTable
from clara_ops.driver.folders import StageFolders
from clara_ops.imaging.geometry import Grid, grid_difference, grid_of
from clara_ops.imaging.label_table import check_labels, read_label_table
from clara_ops.imaging.lesions import LesionRules, Lesions, find_lesions
from clara_ops.imaging.metaimage import read_volume, write_volume
from clara_ops.imaging.morphology import Mask, grow, shrink
from clara_ops.inference.description import InputDescription, ModelDescription
from clara_ops.inference.tiling import Float
from clara_ops.stages import ai_livertumor

DATA = Path(__file__).resolve().parents[1] / "data" / "abdomen_a"
LIVER_IN_DATA = 5
SPACING = (3.0, 3.0, 3.0)
Voxels = npt.NDArray[np.int16]


@pytest.fixture(scope="module")
def ct() -> Voxels:
    """A real CT without contrast: (slices, rows, columns) of 3 mm; median of the liver 47 HU."""
    voxels: Voxels = sitk.GetArrayFromImage(sitk.ReadImage(str(DATA / "ct.nii.gz"))).astype(np.int16)
    return voxels


@pytest.fixture(scope="module")
def organs() -> npt.NDArray[np.uint8]:
    """TotalSegmentator's labels of it."""
    labels: npt.NDArray[np.uint8] = sitk.GetArrayFromImage(sitk.ReadImage(str(DATA / "labels.nii.gz"))).astype(np.uint8)
    return labels


def search(ct: Voxels, organs: npt.NDArray[np.uint8], rules: LesionRules | None = None) -> Lesions:
    liver = organs == LIVER_IN_DATA
    return find_lesions(ct, liver, (organs != 0) & ~liver, SPACING, rules or LesionRules())


def ball(shape: tuple[int, ...], centre: npt.NDArray[np.int_], radius_mm: float) -> Mask:
    distance = np.linalg.norm((np.indices(shape).T - centre).T * SPACING[0], axis=0)
    inside: Mask = distance < radius_mm
    return inside


def places(organs: npt.NDArray[np.uint8], count: int) -> npt.NDArray[np.int_]:
    """Voxels deep in the liver, far from each other."""
    deep = np.argwhere(shrink(organs == LIVER_IN_DATA, 20, SPACING))
    chosen = [deep[0]]
    while len(chosen) < count:
        chosen.append(deep[np.linalg.norm(deep[:, None] - chosen, axis=-1).min(axis=1).argmax()])
    return np.array(chosen)


def test_a_real_liver_without_lesions_has_none(ct: Voxels, organs: npt.NDArray[np.uint8]) -> None:
    found = search(ct, organs)
    assert found.volumes_ml == ()
    assert not found.labels.any()


@pytest.mark.parametrize("left_out", [False, True], ids=["in the network's liver", "left out by the network"])
def test_lesions_are_found_at_their_places_with_their_volumes(
    ct: Voxels, organs: npt.NDArray[np.uint8], left_out: bool
) -> None:
    darker, labels = ct.copy(), organs.copy()
    lesions = [ball(ct.shape, place, radius) for place, radius in zip(places(organs, 3), (16, 13, 10), strict=True)]
    for lesion in lesions:
        darker[lesion] += round(8 - float(ct[lesion].mean()))  # as a cyst has, with the noise of the scan
        if left_out:
            labels[lesion] = 0
    found = search(darker, labels)
    assert len(found.volumes_ml) == 3
    for number, lesion in enumerate(lesions, start=1):
        there = found.labels == number
        assert 2 * np.count_nonzero(there & lesion) / (np.count_nonzero(there) + np.count_nonzero(lesion)) > 0.85
        assert found.volumes_ml[number - 1] == pytest.approx(np.count_nonzero(lesion) * 0.027, rel=0.2)
    assert found.liver[np.any(lesions, axis=0)].all()


def test_what_is_too_small_too_faint_or_fat_is_left_out(ct: Voxels, organs: npt.NDArray[np.uint8]) -> None:
    (place,) = places(organs, 1)
    lesion = ball(ct.shape, place, 13)
    by_drop = {}
    for drop in (15, 40, 150):
        changed = ct.copy()
        changed[lesion] -= drop
        by_drop[drop] = len(search(changed, organs).volumes_ml)
    assert by_drop == {15: 0, 40: 1, 150: 0}
    changed = ct.copy()
    changed[lesion] -= 40
    assert search(changed, organs, LesionRules(minimum_ml=30)).volumes_ml == ()
    assert search(changed, organs, LesionRules(drop=60)).volumes_ml == ()


def test_another_organ_never_becomes_liver(ct: Voxels, organs: npt.NDArray[np.uint8]) -> None:
    (place,) = places(organs, 1)
    changed = organs.copy()
    vessel = ball(ct.shape, place, 10)
    changed[vessel] = 63
    assert not search(ct, changed).liver[vessel].any()


def test_no_liver_has_no_lesions(ct: Voxels) -> None:
    found = search(ct, np.zeros(ct.shape, np.uint8))
    assert found.volumes_ml == ()
    assert not found.liver.any()


def test_masks_grow_and_shrink_by_millimetres() -> None:
    mask = np.zeros((9, 21, 41), bool)
    mask[4, 10, 20] = True
    grown = grow(mask, 6, (1.0, 2.0, 3.0))
    assert [np.ptp(places) for places in np.nonzero(grown)] == [4, 6, 12]
    assert np.array_equal(np.argwhere(shrink(grown, 5.4, (1.0, 2.0, 3.0))), [[4, 10, 20]])
    assert shrink(np.ones((3, 3, 3), bool), 9, SPACING).all()
    assert not grow(np.zeros((3, 3, 3), bool), 9, SPACING).any()


ORGAN = Code("91723000", "SCT", "Anatomical Structure")
LIVER = Label(1, "liver", (221, 130, 101), ORGAN, Code("10200004", "SCT", "Liver"))
SPLEEN = Label(1, "spleen", (157, 108, 162), ORGAN, Code("78961009", "SCT", "Spleen"))
GRID = Grid(
    size=(60, 60, 30),
    spacing=(2.0, 2.0, 3.0),
    origin=(-30.0, -200.0, 55.0),
    axes=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
)


def model(label: Label) -> ModelDescription:
    wanted = InputDescription("CT", "RAS", 3.0, 8, -1000.0, 128)
    return ModelDescription("threshold", "hu", "scores", 2, wanted, LabelTable("threshold", "1", (label,)))


class Threshold:
    """Stands in Triton's place: liver is what has more than -200 HU."""

    known = LIVER

    def __init__(self, address: str, *, patience: float) -> None:
        self.address, self.patience = address, patience

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing to close."""

    def describe(self, _model: str) -> ModelDescription:
        return model(self.known)

    def scores(self, _model: ModelDescription, tile: Float) -> Float:
        return np.stack([np.full_like(tile, -200), tile])


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StageFolders:
    """A ball of liver, 45 mm wide, with a lesion of 12 mm beside its middle."""
    monkeypatch.setattr(ai_livertumor, "TritonClient", Threshold)
    monkeypatch.setenv("CLARA_TRITON_GRPC", "triton:8001")
    z, y, x = np.indices(GRID.size[::-1])
    noise = np.random.default_rng(0).normal(0, 8, GRID.size[::-1])
    away = np.hypot(np.hypot((x - 30) * 2.0, (y - 30) * 2.0), (z - 15) * 3.0)
    lesion = np.hypot(np.hypot((x - 36) * 2.0, (y - 30) * 2.0), (z - 15) * 3.0) < 12
    (tmp_path / "in").mkdir()
    voxels = np.where(away < 42, 100 + noise - 60 * lesion, -1000)
    write_volume(tmp_path / "in" / "1.2.3.mhd", voxels.astype(np.int16), GRID)
    return StageFolders.by_hand(tmp_path / "in", tmp_path / "out")


def options(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    ai_livertumor.add_arguments(parser)
    return parser.parse_args(words)


def silent(_percent: float, _message: str = "", /) -> None:
    """Nobody looks at the progress."""


def test_liver_and_lesions_are_written_with_codes_and_the_warning(folders: StageFolders) -> None:
    result = ai_livertumor.run(folders, options(), silent)
    path = folders.output / "1.2.3.mhd"
    image = read_volume(path)
    assert grid_difference(grid_of(image), GRID) is None
    labels = sitk.GetArrayFromImage(image)
    table = read_label_table(path)
    assert table is not None
    check_labels(labels, table, path)
    liver, lesion = table.labels
    assert (liver.type.value, lesion.category.value, lesion.type.value) == ("10200004", "49755003", "52988006")
    assert lesion.anatomy == liver.type
    assert table.algorithm_name == "HU rules, not for diagnostic use"
    assert labels[15, 30, 36] == lesion.value
    assert labels[15, 30, 20] == liver.value
    assert labels[0, 0, 0] == 0
    expected_ml = 4 / 3 * np.pi * 12**3 / 1000
    assert result.reason == "candidate lesions by HU rules, not for diagnostic use"
    assert result.facts["lesions"] == 1
    assert result.facts["lesion_1_ml"] == pytest.approx(expected_ml, rel=0.15)
    assert result.facts["lesions_ml"] == pytest.approx(result.facts["lesion_1_ml"], abs=0.05)
    assert result.facts["liver_ml"] == pytest.approx(4 / 3 * np.pi * 42**3 / 1000, rel=0.1)


def test_a_model_without_liver_is_refused(folders: StageFolders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Threshold, "known", SPLEEN)
    with pytest.raises(ai_livertumor.NoLiver, match="no label of type 10200004") as caught:
        ai_livertumor.run(folders, options(), silent)
    assert caught.value.exit_code == 65


@pytest.mark.parametrize("words", [("--drop", "0"), ("--minimum-ml", "-1"), ("--drop", "nan")])
def test_options_that_make_no_sense_are_refused(words: tuple[str, str]) -> None:
    with pytest.raises(SystemExit):
        options(*words)
