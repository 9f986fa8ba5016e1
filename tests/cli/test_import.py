"""`clara-wf import` as a user runs it."""

import json
import uuid
from pathlib import Path

import pytest
from typer.testing import CliRunner

from clara_ops.cli.app import app
from clara_ops.cli.errors import FileTaken, NotImported, UnknownDefinition
from clara_ops.contract.errors import NameRuleError
from clara_ops.workflow.catalogue import load_catalogue
from clara_ops.workflow.errors import WorkflowFileError
from clara_ops.workflow.loading import load_workflows
from tests.workflow.hostile import UNREADABLE, Hostile

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests" / "data" / "imports"
ID = "11111111-2222-4333-8444-555555555555"


@pytest.fixture(autouse=True)
def _in_the_project(project_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project_folder)


def run(*words: str) -> str:
    result = CliRunner().invoke(app, ["import", *words], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_a_pipeline_is_written_where_workflows_are(project_folder: Path) -> None:
    (project_folder / "helm/clara-workflow/values.yaml").write_text(
        (ROOT / "helm/clara-workflow/values.yaml").read_text()
    )
    printed = run(str(DATA / "clara-liver.yaml"), "--id", ID)
    file = project_folder / "dags" / "workflows" / "liver-tumor-pipeline.yaml"
    assert f"dags/workflows/liver-tumor-pipeline.yaml: workflow liver-tumor-pipeline ({ID})" in printed
    assert "clara-liver.yaml:47:9: service 'trtis'" in printed
    assert "then clara-wf validate dags/workflows/liver-tumor-pipeline.yaml" in printed
    assert "# Imported from clara-liver.yaml." in file.read_text()
    assert "#   47:9: service 'trtis'" in file.read_text()
    (workflow,) = load_workflows(file, load_catalogue([ROOT / "helm/clara-workflow/values.yaml"]))
    assert workflow.id == ID
    with pytest.raises(FileTaken, match="is there already"):
        run(str(DATA / "clara-liver.yaml"))


def test_json_and_a_folder_of_the_user(tmp_path: Path) -> None:
    imported = json.loads(run(str(DATA / "monai-router.json"), "--output", str(tmp_path / "new"), "--json"))
    assert imported["file"] == str(tmp_path / "new" / "ct-mr-router.yaml")
    assert str(uuid.UUID(imported["id"])) == imported["id"]
    assert imported["new_stages"] == ["ct-lung", "mr-brain", "report"]
    assert {"line", "column", "message", "file"} <= set(imported["notes"][0])
    assert Path(imported["file"]).stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("text", ["a: 1", "- a", "", "workflow: {workflow: 5}", "name: w\nstages: []"])
def test_what_is_neither(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(UnknownDefinition, match="is neither a pipeline definition of Clara Deploy"):
        run(str(tmp_path / "x.yaml"))


def test_what_would_not_load_is_not_written(tmp_path: Path) -> None:
    operators = ", ".join(
        f"{{name: {name}, container: {{image: {name}}}, input: [{{from: {other}}}]}}" for name, other in ("ab", "ba")
    )
    (tmp_path / "ring.yaml").write_text(f"api-version: 0.4.0\nname: ring\noperators: [{operators}]\n")
    with pytest.raises(NotImported, match=r"ring.yaml: nothing is written.*stages wait for each other: a -> b -> a"):
        run(str(tmp_path / "ring.yaml"), "--output", str(tmp_path / "new"))
    assert not (tmp_path / "new").exists()


def test_an_id_that_is_none() -> None:
    with pytest.raises(NameRuleError, match="has to be a UUID"):
        run(str(DATA / "monai-router.json"), "--id", "X")


@pytest.mark.parametrize("hostile", UNREADABLE.values(), ids=UNREADABLE)
@pytest.mark.timeout(60)
def test_a_hostile_file_is_a_named_error(hostile: Hostile, tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    hostile.make(path)
    with pytest.raises(WorkflowFileError, match=hostile.words.replace("(", r"\(")):
        run(str(path))
