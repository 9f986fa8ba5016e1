"""compare-labels: Dice and volumes against figures worked out by hand and SimpleITK's, and input that is wrong."""

import argparse
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK as sitk

from clara_ops.contract.errors import NothingToDo
from clara_ops.contract.labels import Code, Label, LabelTable
from clara_ops.contract.result import StageResult
from clara_ops.driver.folders import StageFolders
from clara_ops.imaging.errors import GridMismatch, LabelError
from clara_ops.imaging.geometry import Grid
from clara_ops.imaging.label_table import write_label_table
from clara_ops.imaging.metaimage import write_volume
from clara_ops.stages import compare_labels
from clara_ops.stages.command import main
from clara_ops.stages.compare_labels import UnpairedVolume, compare_volumes

GRID = Grid(size=(10, 10, 10), spacing=(2.0, 2.0, 2.5), origin=(0, 0, 0), axes=((1, 0, 0), (0, 1, 0), (0, 0, 1)))
ML_PER_VOXEL = 0.01
Voxels = npt.NDArray[np.uint8]


def write(path: Path, voxels: Voxels, names: dict[int, str], grid: Grid = GRID) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_volume(path, voxels, grid)
    code = Code("1", "99TEST", "test")
    labels = tuple(Label(value, name, (255, 0, 0), code, code) for value, name in names.items())
    write_label_table(LabelTable("test", "1", labels), path)
    return path


def box(*ranges: tuple[int, int], value: int = 1) -> Voxels:
    voxels = np.zeros((10, 10, 10), np.uint8)
    voxels[tuple(slice(*limits) for limits in ranges)] = value
    return voxels


def compare(folder: Path, **names: str) -> StageResult:
    options = argparse.Namespace(**{"main": "main", "shadow": "shadow", **names})
    folders = StageFolders(input=folder, output=folder)
    return compare_labels.run(folders, options, lambda _percent, _message="": None)


@pytest.fixture
def two_models(tmp_path: Path) -> Path:
    """Liver 400 voxels and 500, of which 300 are common; the values differ, and each model has a label of its own."""
    first = box((0, 4), (0, 10), (0, 10)) + box((8, 9), (0, 10), (0, 10), value=2)
    second = box((1, 6), (0, 10), (0, 10), value=7) + box((9, 10), (0, 10), (0, 5), value=3)
    write(tmp_path / "main" / "1.2.mhd", first, {1: "liver", 2: "spleen", 4: "kidney"})
    write(tmp_path / "shadow" / "1.2.mhd", second, {7: "liver", 3: "pancreas", 4: "kidney"})
    return tmp_path


def test_labels_are_compared_by_name(two_models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = compare(two_models)
    assert result.facts == {
        "volumes": 1,
        "mean_dice": pytest.approx((2 * 300 / 900 + 0 + 0) / 3, abs=1e-4),
        "liver_dice": pytest.approx(2 * 300 / 900, abs=1e-4),
        "liver_main_ml": 400 * ML_PER_VOXEL,
        "liver_shadow_ml": 500 * ML_PER_VOXEL,
        "liver_difference_ml": 100 * ML_PER_VOXEL,
        "spleen_dice": 0.0,
        "spleen_main_ml": 100 * ML_PER_VOXEL,
        "spleen_shadow_ml": 0.0,
        "spleen_difference_ml": -100 * ML_PER_VOXEL,
        "pancreas_dice": 0.0,
        "pancreas_main_ml": 0.0,
        "pancreas_shadow_ml": 50 * ML_PER_VOXEL,
        "pancreas_difference_ml": 50 * ML_PER_VOXEL,
        "kidney_main_ml": 0.0,
        "kidney_shadow_ml": 0.0,
        "kidney_difference_ml": 0.0,
    }
    table = capsys.readouterr().out.splitlines()
    assert table[0].split() == ["label", "Dice", "main", "ml", "shadow", "ml", "difference"]
    assert table[1].split() == ["liver", "0.667", "4.0", "5.0", "+1.0"]
    assert [line.split()[:2] for line in table if line.startswith("kidney")] == [["kidney", "-"]]
    assert table[-1] == result.reason
    assert str(result.reason).startswith("mean Dice 0.222; largest difference of volume: ")


def test_it_agrees_with_simpleitk(tmp_path: Path) -> None:
    random = np.random.default_rng(7)
    first, second = (random.integers(0, 4, (10, 10, 10), dtype=np.uint8) for _ in range(2))
    names = {1: "a", 2: "b", 3: "c"}
    found = compare_volumes(write(tmp_path / "a.mhd", first, names), write(tmp_path / "b.mhd", second, names))
    measure = sitk.LabelOverlapMeasuresImageFilter()
    measure.Execute(sitk.GetImageFromArray(first), sitk.GetImageFromArray(second))
    for value, name in names.items():
        assert found[name].dice == pytest.approx(measure.GetDiceCoefficient(value))


def test_several_volumes_are_added_up(two_models: Path) -> None:
    for folder in ("main", "shadow"):
        write(two_models / folder / "3.4.mhd", box((0, 10), (0, 10), (0, 10)), {1: "liver"})
    facts = compare(two_models).facts
    assert facts["volumes"] == 2
    assert facts["liver_dice"] == pytest.approx(2 * 1300 / 2900, abs=1e-4)


def test_another_grid_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "main" / "1.mhd", box((0, 1)), {1: "liver"})
    moved = Grid(GRID.size, GRID.spacing, (5, 0, 0), GRID.axes)
    write(tmp_path / "shadow" / "1.mhd", box((0, 1)), {1: "liver"}, moved)
    with pytest.raises(GridMismatch, match="voxels up to 5 mm away"):
        compare(tmp_path)


def test_a_volume_that_only_one_model_wrote_is_named(two_models: Path) -> None:
    write(two_models / "shadow" / "9.mhd", box((0, 1)), {1: "liver"})
    with pytest.raises(UnpairedVolume, match=r"9\.mhd: only shadow wrote it"):
        compare(two_models)


def test_a_value_that_the_table_does_not_explain_is_refused(tmp_path: Path) -> None:
    for folder in ("main", "shadow"):
        write(tmp_path / folder / "1.mhd", box((0, 1), value=5), {1: "liver"})
    with pytest.raises(LabelError, match="holds value 5"):
        compare(tmp_path)


def test_grey_values_are_nothing_to_compare(tmp_path: Path) -> None:
    (tmp_path / "main").mkdir()
    write_volume(tmp_path / "main" / "1.mhd", box((0, 1)), GRID)
    with pytest.raises(NothingToDo, match="neither of the two models wrote a label volume"):
        compare(tmp_path)


def test_by_hand(
    two_models: Path, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path_factory.mktemp("by-hand") / "output"
    assert main(["compare-labels", "--input", str(two_models), "--output", str(output)]) == 0
    assert json.loads((output / "result.json").read_text())["facts"]["liver_main_ml"] == 4.0
    assert "mean Dice 0.222" in capsys.readouterr().out
