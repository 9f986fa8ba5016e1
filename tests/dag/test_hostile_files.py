"""A hostile file in the workflow folder is one error in the bundle, in its own stub, and breaks no other file."""

import ast
import runpy
from pathlib import Path

import pytest

from clara_ops.dag import files
from clara_ops.dag.files import Folder
from clara_ops.dag.reading import Reader
from clara_ops.dag.snapshot import Snapshot, take_snapshot
from clara_ops.workflow.errors import WorkflowFileError
from tests.workflow.hostile import CATALOGUES, FILE_NAMES, HEAD, LEADING_OUT, UNREADABLE, WRONG, Hostile

from .conftest import OWN_CATALOGUE

pytestmark = pytest.mark.timeout(60)

SOUND = "id: 00000000-0000-4000-8000-000000000001\nname: sound\nstages: [{stage: dicom-reader}]\n"
ALL = {**UNREADABLE, **WRONG, **LEADING_OUT}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A workflow folder with one sound workflow."""
    folder = tmp_path / "workflows"
    folder.mkdir()
    (folder / "sound.yaml").write_text(SOUND)
    return folder


def taken_of(folder: Path, *catalogues: Path) -> Snapshot:
    return take_snapshot(Folder(folder, [OWN_CATALOGUE, *catalogues]).now(), (), Reader())


def the_error(taken: Snapshot, tmp_path: Path) -> WorkflowFileError:
    """What the one broken stub raises, when Python runs it as Airflow does."""
    assert [name for name in taken.files if name.startswith("workflows/")] == ["workflows/sound.yaml"]
    (stub,) = [name for name in taken.files if name.startswith("broken_")]
    assert len(stub) < 120
    path = tmp_path / stub
    path.write_text(taken.files[stub], encoding="utf-8")
    with pytest.raises(WorkflowFileError) as raised:
        runpy.run_path(str(path))
    return raised.value


@pytest.mark.parametrize("hostile", ALL.values(), ids=ALL)
def test_a_workflow_file(hostile: Hostile, folder: Path, tmp_path: Path) -> None:
    hostile.make(folder / "x.yaml")
    error = the_error(taken_of(folder), tmp_path)
    assert {problem.file for problem in error.problems} == {str(folder / "x.yaml")}
    assert any(f":{hostile.place}: " in line and hostile.words in line for line in str(error).splitlines())


@pytest.mark.parametrize("hostile", UNREADABLE.values(), ids=UNREADABLE)
def test_a_catalogue_file(hostile: Hostile, folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "more.yaml"
    hostile.make(path)
    error = the_error(taken_of(folder, path), tmp_path)
    assert {problem.file for problem in error.problems} == {str(path)}


@pytest.mark.parametrize("hostile", CATALOGUES.values(), ids=CATALOGUES)
def test_what_stands_in_a_catalogue_file(hostile: Hostile, folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    hostile.make(path)
    error = the_error(taken_of(folder, path), tmp_path)
    assert any(f":{hostile.place}: " in line and hostile.words in line for line in str(error).splitlines())


@pytest.mark.parametrize("name", FILE_NAMES)
def test_a_file_name_stays_text_in_its_stub(name: str, folder: Path, tmp_path: Path) -> None:
    (folder / name).write_text(HEAD)
    taken = taken_of(folder)
    (stub,) = [text for file, text in taken.files.items() if file.startswith("broken_")]
    assert [type(node) for node in ast.parse(stub).body] == [ast.ImportFrom, ast.Raise]
    assert "key 'stages' is missing" in str(the_error(taken, tmp_path))


def test_a_file_that_vanishes_between_listing_and_looking(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = folder / "gone.yaml"
    gone.write_text(HEAD)
    time_of = files._time_of

    def take_away(path: Path) -> int | None:
        gone.unlink(missing_ok=True)
        return time_of(path)

    monkeypatch.setattr(files, "_time_of", take_away)
    assert Folder(folder, []).now().workflows == (folder / "sound.yaml",)
