"""ai-vnet around its network: what it takes, writes, refuses and reports. The network is a threshold on HU."""

import argparse
from pathlib import Path
from typing import Self

import numpy as np
import pytest
import SimpleITK as sitk

from clara_ops.contract.labels import Code, Label, LabelTable
from clara_ops.contract.source import SourceMap
from clara_ops.driver.folders import StageFolders
from clara_ops.imaging.geometry import Grid, grid_difference, grid_of
from clara_ops.imaging.label_table import check_labels, read_label_table
from clara_ops.imaging.metaimage import read_volume, write_volume
from clara_ops.imaging.source_map import write_source_map
from clara_ops.inference.description import InputDescription, ModelDescription
from clara_ops.inference.tiling import Float
from clara_ops.stages import ai_vnet, network

TISSUE = Code("85756007", "SCT", "Tissue")
BONE = Label(1, "dense bone", (241, 214, 145), TISSUE, Code("3138006", "SCT", "Bone"))
MODEL = ModelDescription(
    name="threshold",
    input_name="hu",
    output_name="scores",
    channels=2,
    input=InputDescription(modality="CT", axes="RAS", spacing_mm=3.0, multiple_of=8, outside=-1000.0, largest_tile=128),
    labels=LabelTable("threshold", "1", (BONE,)),
)
AXIAL = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
GRID = Grid(size=(60, 48, 30), spacing=(0.97, 0.97, 1.9), origin=(-30.0, -200.0, 55.0), axes=AXIAL)

BALL_ML = 4 / 3 * np.pi * 17**3 / 1000


class Threshold:
    """Stands in Triton's place: label 1 above 0 HU, half way from air to bone."""

    def __init__(self, address: str, *, patience: float) -> None:
        self.address, self.patience = address, patience

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing to close."""

    def describe(self, _model: str) -> ModelDescription:
        return MODEL

    def scores(self, _model: ModelDescription, tile: Float) -> Float:
        return np.stack([np.zeros_like(tile), tile])


@pytest.fixture(autouse=True)
def no_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ai_vnet, "TritonClient", Threshold)
    monkeypatch.setenv("CLARA_TRITON_GRPC", "triton:8001")


@pytest.fixture
def folders(tmp_path: Path) -> StageFolders:
    for name in ("input", "output"):
        (tmp_path / name).mkdir()
    return StageFolders(input=tmp_path / "input", output=tmp_path / "output")


def options(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    ai_vnet.add_arguments(parser)
    return parser.parse_args(words)


def silent(_percent: float, _message: str = "", /) -> None:
    """Nobody looks at the progress."""


def put_ball(path: Path, grid: Grid = GRID) -> None:
    """A CT of air with a ball of bone in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_volume(path, np.where(ball(grid), 1000, -1000).astype(np.int16), grid)


def ball(grid: Grid) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Which voxels (slices, rows, columns) lie within 17 mm of the middle of the volume."""
    z, y, x = np.indices(grid.size[::-1])
    steps = [
        (index - (count - 1) / 2) * step for index, count, step in zip((x, y, z), grid.size, grid.spacing, strict=True)
    ]
    inside: np.ndarray[tuple[int, ...], np.dtype[np.bool_]] = sum(step**2 for step in steps) < 17**2
    return inside


def put_source(path: Path, modality: str) -> None:
    series = SourceMap("1.2", "1.3", "1.4", modality, 48, 60, AXIAL[0], AXIAL[1], (1.0, 1.0), 2.0, ())
    write_source_map(series, path)


def test_labels_lie_on_the_grid_of_the_input(folders: StageFolders) -> None:
    put_ball(folders.input / "1.2.3.mhd")
    percents: list[float] = []
    result = ai_vnet.run(folders, options(), lambda percent, _message="", /: percents.append(percent))
    written = read_volume(folders.output / "1.2.3.mhd")
    assert grid_difference(grid_of(written), GRID) is None
    table = read_label_table(folders.output / "1.2.3.mhd")
    assert table == MODEL.labels
    labels = sitk.GetArrayFromImage(written)
    assert labels.dtype == np.uint8
    check_labels(labels, table, folders.output / "1.2.3.mhd")
    assert np.mean(labels != ball(GRID)) < 0.02
    assert result.facts["dense_bone_ml"] == pytest.approx(BALL_ML, rel=0.08)
    assert result.facts["dense_bone_voxels"] == np.count_nonzero(labels)
    assert percents == sorted(percents)
    assert percents[-1] <= 100


def test_volumes_of_all_input_folders_are_done_and_added_up(folders: StageFolders) -> None:
    put_ball(folders.input / "dicom-reader" / "1.2.3.mhd")
    put_ball(folders.input / "other-reader" / "1.2.4.mhd")
    result = ai_vnet.run(folders, options(), silent)
    assert sorted(path.name for path in folders.output.glob("*.mhd")) == ["1.2.3.mhd", "1.2.4.mhd"]
    assert result.facts["volumes"] == 2
    assert result.facts["dense_bone_ml"] == pytest.approx(2 * BALL_ML, rel=0.08)


def test_a_ct_is_taken_and_an_mr_refused(folders: StageFolders) -> None:
    put_ball(folders.input / "1.2.3.mhd")
    put_source(folders.input / "1.2.3.mhd", "CT")
    ai_vnet.run(folders, options(), silent)
    put_source(folders.input / "1.2.3.mhd", "MR")
    with pytest.raises(network.WrongModality, match=r"1\.2\.3\.mhd: is MR.*made for CT") as caught:
        ai_vnet.run(folders, options(), silent)
    assert caught.value.exit_code == 65


def test_one_name_twice_is_refused(folders: StageFolders) -> None:
    put_ball(folders.input / "a" / "1.2.3.mhd")
    put_ball(folders.input / "b" / "1.2.3.mhd")
    with pytest.raises(network.SameName, match="have one name"):
        ai_vnet.run(folders, options(), silent)
    assert not list(folders.output.iterdir())


def test_the_same_input_gives_the_same_bytes(folders: StageFolders) -> None:
    put_ball(folders.input / "1.2.3.mhd")
    written = []
    for _ in range(2):
        ai_vnet.run(folders, options(), silent)
        written.append((folders.output / "1.2.3.raw").read_bytes())
    assert written[0] == written[1]


def test_options_are_those_of_the_catalogue() -> None:
    given = options("--model", "lesions", "--triton", "host:1", "--timeout", "5")
    assert (given.model, given.triton, given.timeout) == ("lesions", "host:1", 5.0)
