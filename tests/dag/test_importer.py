"""Airflow 3.4's own DAG processor with our importer: what is in its database after one pass over good and bad files."""

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import OWN_CATALOGUE, ROOT

pytestmark = pytest.mark.e2e

AIRFLOW = Path(sys.executable).with_name("airflow")
ORGAN_SEG = (ROOT / "dags" / "workflows" / "organ-seg.yaml").read_text()
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join(['*' + before] * 9)}]\n" for before, name in zip("abcdefg", "bcdefgh", strict=True)
)


def workflow(number: int, name: str, stage: str = "dicom-reader") -> str:
    return f"id: 00000000-0000-4000-8000-{number:012}\nname: {name}\nstages: [{{stage: {stage}}}]\n"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of an Airflow whose processor has made one pass over a folder."""
    home = tmp_path_factory.mktemp("airflow34")
    dags = home / "repository"
    workflows = dags / "workflows"
    (workflows / "sample").mkdir(parents=True)
    (dags / "values.yaml").write_text(OWN_CATALOGUE.read_text())
    files = {
        "organ-seg.yaml": ORGAN_SEG,
        "second.yml": workflow(2, "second"),
        "broken.yaml": workflow(3, "broken", "dicom-raeder") + "colour: red\n",
        "bomb.yaml": BOMB,
        "tag.yaml": "!!python/object/apply:os.system ['true']\n",
        "sample/notes.yaml": "nothing: here\n",
    }
    for name, text in files.items():
        (workflows / name).write_text(text)
    (workflows / "latin.yaml").write_bytes(b"name: \xff\n")
    (home / "outside.yaml").write_text(workflow(4, "outside"))
    (workflows / "outside.yaml").symlink_to(home / "outside.yaml")
    newcomer = workflows / "a-newcomer.yaml"
    newcomer.write_text(workflow(2, "newcomer"))
    os.utime(newcomer, (2_000_000_000, 2_000_000_000))
    bundle = {
        "name": "clara",
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(dags)},
    }
    importer = {
        "classpath": "clara_ops.dag.importer.WorkflowImporter",
        "kwargs": {"catalogues": ["values.yaml"], "folder": "workflows"},
    }
    environment = os.environ | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([bundle]),
        "AIRFLOW__DAG_PROCESSOR__DAG_IMPORTER_CONFIGS": json.dumps([importer]),
    }
    for arguments in (["db", "migrate"], ["dag-processor", "--num-runs", "1"]):
        subprocess.run([AIRFLOW, *arguments], env=environment, check=True, capture_output=True, timeout=300)
    return home


@pytest.fixture
def database(home: Path) -> sqlite3.Connection:
    """Its database."""
    return sqlite3.connect(home / "airflow.db")


def test_sound_workflows_are_there_and_no_other(database: sqlite3.Connection) -> None:
    dags = database.execute("select dag_id, is_stale, has_import_errors from dag order by dag_id").fetchall()
    assert dags == [("organ-seg", 0, 0), ("second", 0, 0)]


def test_each_broken_file_has_one_error_with_all_that_is_wrong(home: Path, database: sqlite3.Connection) -> None:
    errors = dict(database.execute("select filename, stacktrace from import_error").fetchall())
    workflows = home / "repository" / "workflows"
    assert set(errors) == {
        f"workflows/{name}.yaml" for name in ("broken", "bomb", "tag", "latin", "outside", "a-newcomer")
    }
    broken = errors["workflows/broken.yaml"]
    assert f"{workflows}/broken.yaml:3:18: stage 'dicom-raeder' is not in the catalogue (did you mean" in broken
    assert f"{workflows}/broken.yaml:4:1: unknown key 'colour'" in broken
    assert "more than 50000 parts" in errors["workflows/bomb.yaml"]
    assert "only plain data" in errors["workflows/tag.yaml"]
    assert "not UTF-8" in errors["workflows/latin.yaml"]
    assert "leads out of the workflow folder" in errors["workflows/outside.yaml"]
    assert f"belongs to the workflow in {workflows}/second.yml:1" in errors["workflows/a-newcomer.yaml"]


def test_the_code_is_the_workflow_file(database: sqlite3.Connection) -> None:
    codes = dict(database.execute("select dag_id, source_code from dag_code").fetchall())
    assert codes == {"organ-seg": ORGAN_SEG, "second": workflow(2, "second")}


def test_the_pods_are_those_of_the_stages(database: sqlite3.Connection) -> None:
    data = dict(database.execute("select dag_id, data from serialized_dag").fetchall())
    tasks = {task["__var"]["task_id"]: task["__var"] for task in json.loads(data["organ-seg"])["dag"]["tasks"]}
    assert set(tasks) == {"prepare", "dicom-reader", "ai-vnet", "dicom-writer", "publish", "deliver"}
    assert tasks["ai-vnet"]["pool"] == "clara_gpu"
    assert "clara-stages" in json.dumps(tasks["ai-vnet"]["pod_template_dict"])
