"""dicom-writer on inputs damaged at random: objects, or a named error; nothing else."""

from itertools import islice
from pathlib import Path

import pytest

from clara_ops.imaging.errors import BrokenFile
from tests.dicomgen.case import make_case
from tests.dicomgen.case import manifest as write_manifest
from tests.dicomgen.damage import damaged_runs, long_run
from tests.dicomgen.results import label_image, write_labels
from tests.dicomgen.series import Geometry, make_series
from tests.dicomgen.stage import run_writer


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labels of three slices with table and source map, their DICOM series, and a manifest."""
    folder = tmp_path_factory.mktemp("result")
    case = make_case(folder, make_series(Geometry(count=3)))
    write_labels(case.volume, folder / "labels", label_image(case.image))
    write_manifest(folder)
    return folder


def files_of(folder: Path) -> list[Path]:
    return [*sorted((folder / "labels").iterdir()), *sorted((folder / "dicom").iterdir()), folder / "payload.json"]


def write(damaged: Path) -> None:
    folder = damaged.parent if damaged.name == "payload.json" else damaged.parents[1]
    arguments = ("--structure-set", "--measurements")
    run_writer(folder / "labels", folder / "dicom", folder / "out", *arguments, manifest=folder / "payload.json")


@pytest.mark.filterwarnings("ignore")
def test_damage_ends_in_a_named_error(folder: Path) -> None:
    ends = set(islice(damaged_runs(files_of(folder), write, seed=1), 30))
    assert {"done", "DocumentError"} <= ends


@pytest.mark.e2e
@pytest.mark.filterwarnings("ignore")
def test_damage_ends_in_a_named_error_in_the_long_run(folder: Path) -> None:
    assert long_run(files_of(folder), write) > 1


def test_an_attribute_that_only_results_need_names_the_file(tmp_path: Path) -> None:
    case = make_case(tmp_path, make_series(Geometry(count=3)))
    write_labels(case.volume, tmp_path / "labels", label_image(case.image))
    write_manifest(tmp_path)
    for file in (tmp_path / "dicom").iterdir():
        content = file.read_bytes()
        name = content.index(b"\x10\x00\x10\x00PN")
        file.write_bytes(content[: name + 4] + b"P~" + content[name + 6 :])
    with pytest.raises(BrokenFile, match=r"dicom/.*: its header is damaged: .*\(0010,0010\)"):
        write(tmp_path / "payload.json")
