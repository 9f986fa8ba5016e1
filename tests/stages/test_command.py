"""`clara-stage`, on a stage of a few lines that is added for the test."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from clara_ops import stages
from clara_ops.stages.command import main
from clara_ops.stages.finder import UnknownStage, load_stage, stage_descriptions

COPY = '''
"""Copies volumes."""
import argparse, shutil
from clara_ops.contract.errors import NothingToDo
from clara_ops.contract.result import StageResult

DESCRIPTION: str = "Copies volumes, for a test."

def add_arguments(parser):
    parser.add_argument("--suffix", default="copy")

def run(folders, options, progress):
    if options.suffix == "none":
        raise NothingToDo("no suffix")
    for path in folders.volumes():
        shutil.copy(path, folders.output / f"{path.stem}.{options.suffix}.mhd")
    progress(100, "copied")
    return StageResult(facts={"volumes": len(folders.volumes())})
'''


@pytest.fixture(autouse=True)
def test_copy_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (folder := tmp_path / "more_stages").mkdir()
    (folder / "test_copy.py").write_text(COPY)
    (folder / "helper.py").write_text("VALUE = 1\n")
    monkeypatch.setattr(stages, "__path__", [*stages.__path__, str(folder)])
    yield
    sys.modules.pop("clara_ops.stages.test_copy", None)


@pytest.fixture
def volumes(tmp_path: Path) -> Path:
    (folder := tmp_path / "in").mkdir()
    (folder / "1.2.3.mhd").write_text("volume")
    return folder


def test_the_overview_lists_stages_without_importing_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    printed = capsys.readouterr().out
    assert "test-copy" in printed
    assert "Copies volumes, for a test." in printed
    assert "helper" not in printed
    assert "clara_ops.stages.test_copy" not in sys.modules


def test_every_stage_has_the_form_of_a_stage() -> None:
    for name in stage_descriptions():
        stage = load_stage(name)
        assert stage.DESCRIPTION
        assert callable(stage.run)
        assert callable(stage.add_arguments)


def test_by_hand(volumes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert main(["test-copy", "--input", str(volumes), "--output", str(out), "--suffix", "again"]) == 0
    assert {path.name for path in out.iterdir()} == {"1.2.3.again.mhd", "result.json"}
    assert json.loads((out / "result.json").read_text())["facts"] == {"volumes": 1}
    assert "100.0% copied" in capsys.readouterr().err


def test_by_hand_nothing_of_the_user_s_is_removed(
    volumes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (out := tmp_path / "out").mkdir()
    (out / "precious").touch()
    words = ["test-copy", "--input", str(volumes), "--output"]
    assert main([*words, str(out)]) == 2
    assert "is not empty" in capsys.readouterr().err
    assert main([*words, str(tmp_path), "--overwrite"]) == 2
    assert "holds the input" in capsys.readouterr().err
    assert (out / "precious").exists()
    assert (volumes / "1.2.3.mhd").exists()
    assert main([*words, str(out), "--overwrite"]) == 0
    assert not (out / "precious").exists()


def test_by_hand_a_bad_input_is_one_line_and_65(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (empty := tmp_path / "empty").mkdir()
    assert main(["test-copy", "--input", str(empty), "--output", str(tmp_path / "out")]) == 65
    printed = capsys.readouterr()
    assert printed.out.startswith("BadInput: ")
    assert "Traceback" not in printed.out + printed.err


@pytest.mark.parametrize("words", [["--input", "."], ["--output", "out"], []])
def test_half_of_the_folders_is_a_usage_error(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CLARA_STAGE", raising=False)
    with pytest.raises(SystemExit) as left:
        main(["test-copy", *words])
    assert left.value.code == 2
    assert "--input and --output" in capsys.readouterr().err


def test_in_a_container_the_environment_says_where(
    volumes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("output", "locks", "logs"):
        (tmp_path / name).mkdir()
    volumes.rename(tmp_path / "input")
    monkeypatch.setenv("CLARA_APP_DIR", str(tmp_path))
    monkeypatch.setenv("CLARA_STAGE", "test-copy")
    monkeypatch.setenv("CLARA_LOCK_NAME", "test-copy.lock")
    assert main(["test-copy"]) == 0
    assert {path.name for path in (tmp_path / "output").iterdir()} == {"1.2.3.copy.mhd", "result.json"}
    assert (tmp_path / "locks" / "test-copy.lock").exists()
    assert (tmp_path / "logs" / "test-copy.events.jsonl").exists()
    assert main(["test-copy", "--suffix", "none"]) == 99
    assert not (tmp_path / "locks" / "test-copy.lock").exists()


def test_an_unknown_stage_names_those_that_exist(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dicom-raeder", "--input", "x", "--output", "y"]) == 2
    assert "no stage 'dicom-raeder'; stages are" in capsys.readouterr().err
    with pytest.raises(UnknownStage):
        load_stage("command")
