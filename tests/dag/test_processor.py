"""Airflow's own DAG processor over the bundle: what is in the database after one pass."""

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.workflow.hostile import LEADING_OUT, UNREADABLE

from .conftest import OWN_CATALOGUE, ROOT

pytestmark = pytest.mark.e2e

AIRFLOW = Path(sys.executable).with_name("airflow")
HOSTILE = list({**UNREADABLE, **LEADING_OUT}.values())
BROKEN = "id: 00000000-0000-4000-8000-000000000003\nname: broken\nstages: [{stage: dicom-raeder}]\n"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> sqlite3.Connection:
    """The database of an Airflow whose processor has seen a sound workflow, a broken one and many hostile files."""
    home = tmp_path_factory.mktemp("airflow")
    workflows = home / "workflows"
    workflows.mkdir()
    (workflows / "organ-seg.yaml").write_text((ROOT / "dags" / "workflows" / "organ-seg.yaml").read_text())
    (workflows / "broken.yaml").write_text(BROKEN)
    for number, hostile in enumerate(HOSTILE):
        hostile.make(workflows / f"hostile-{number}.yaml")
    kwargs = {"source": str(workflows), "catalogues": [str(OWN_CATALOGUE)]}
    bundle = {"name": "clara", "classpath": "clara_ops.dag.bundle.WorkflowBundle", "kwargs": kwargs}
    environment = os.environ | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": str(home / "bundles"),
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([bundle]),
    }
    for arguments in (["db", "migrate"], ["dag-processor", "--num-runs", "1"]):
        subprocess.run([AIRFLOW, *arguments], env=environment, check=True, capture_output=True, timeout=300)
    return sqlite3.connect(home / "airflow.db")


def test_the_sound_workflow_is_there_and_no_other(database: sqlite3.Connection) -> None:
    dags = database.execute("select dag_id, is_paused, is_stale, has_import_errors from dag").fetchall()
    assert dags == [("organ-seg", 0, 0, 0)]


def test_the_broken_file_has_one_error_with_its_line(database: sqlite3.Connection) -> None:
    query = "select stacktrace from import_error where filename like 'broken_broken%'"
    ((trace,),) = database.execute(query).fetchall()
    assert "broken.yaml:3:18: stage 'dicom-raeder' is not in the catalogue (did you mean 'dicom-reader'?)" in trace


def test_each_hostile_file_has_one_error_of_its_own(database: sqlite3.Connection) -> None:
    traces = [trace for (trace,) in database.execute("select stacktrace from import_error").fetchall()]
    assert len(traces) == len(HOSTILE) + 1
    for number, hostile in enumerate(HOSTILE):
        (trace,) = [trace for trace in traces if f"/hostile-{number}.yaml:" in trace]
        assert f"/hostile-{number}.yaml:{hostile.place}: " in trace
        assert hostile.words in trace


def test_the_code_is_the_workflow_file(database: sqlite3.Connection) -> None:
    ((code,),) = database.execute("select source_code from dag_code").fetchall()
    assert code == (ROOT / "dags" / "workflows" / "organ-seg.yaml").read_text()


def test_the_dag_is_pinned_to_the_version_of_the_bundle(database: sqlite3.Connection) -> None:
    ((version,),) = database.execute("select bundle_version from dag_version").fetchall()
    ((current,),) = database.execute("select version from dag_bundle where active").fetchall()
    assert version == current is not None
