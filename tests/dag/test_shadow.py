"""The shadow in Airflow: behind the workflow's own stages, apart from its delivery, and never the end of a run."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG, TriggerRule
from airflow.sdk.exceptions import AirflowSkipException

from clara_ops.contract.states import SHADOW_OPERATOR
from clara_ops.dag.compile import compile_file
from clara_ops.dag.order import weight_in_queue
from clara_ops.dag.shadow import ShadowOperator, ShadowReportOperator
from clara_ops.workflow.catalogue import load_catalogue

from .conftest import OWN_CATALOGUE
from .service import Service, running

RUN = "ct-ai-0123456789abcdef0123-g1"
RESULT = f"GET /v1/payloads/{RUN}/result?folder=ai-vnet-shadow-comparison%2Foutput"
WORKFLOW = """\
id: 7b413e24-d018-4689-8c41-73272f6649d4
name: w
priority: lower
shadow: {of: ai-vnet, stage: ai-vnet, args: --model next}
stages: [{stage: dicom-reader}, {stage: ai-vnet}, {stage: dicom-writer}]
"""


@pytest.fixture
def dag(tmp_path) -> DAG:
    """A workflow with a shadow."""
    path = tmp_path / "w.yaml"
    path.write_text(WORKFLOW)
    (compiled,) = compile_file(path, load_catalogue([OWN_CATALOGUE]))
    return compiled


def test_it_starts_when_the_own_stages_are_over_and_the_delivery_does_not_wait(dag: DAG) -> None:
    assert {task.task_id: set(task.downstream_task_ids) for task in dag.tasks} == {
        "prepare": {"dicom-reader"},
        "dicom-reader": {"ai-vnet"},
        "ai-vnet": {"dicom-writer", "ai-vnet-shadow", "ai-vnet-shadow-comparison"},
        "dicom-writer": {"publish", "deliver", "ai-vnet-shadow"},
        "publish": set(),
        "deliver": set(),
        "ai-vnet-shadow": {"ai-vnet-shadow-comparison"},
        "ai-vnet-shadow-comparison": {"shadow"},
        "shadow": set(),
    }
    assert dag.get_task("deliver").folders == ("dicom-writer/output",)


def test_no_run_ends_by_it(dag: DAG) -> None:
    """Airflow judges a run by the tasks that nothing follows."""
    last = [task for task in dag.tasks if not task.downstream_task_ids]
    assert {task.task_id for task in last} == {"publish", "deliver", "shadow"}
    assert dag.get_task("shadow").trigger_rule == TriggerRule.ALL_DONE
    assert ShadowOperator.__name__ == SHADOW_OPERATOR


def test_real_work_goes_first(dag: DAG) -> None:
    shadows = [dag.get_task(name) for name in ("ai-vnet-shadow", "ai-vnet-shadow-comparison")]
    assert {task.pool for task in shadows} == {"clara_shadow"}
    for task in shadows:
        assert weight_in_queue(task.priority_weight, None) < weight_in_queue(1, dag.start_date)
        assert task.pod_template_dict["spec"]["priorityClassName"] == "clara-shadow"


def test_its_folders_are_made(dag: DAG) -> None:
    folders = set(dag.get_task("prepare").folders)
    assert {"ai-vnet-shadow/output", "publish/ai-vnet-shadow", "publish/ai-vnet-shadow-comparison"} <= folders


def report(dag: DAG) -> ShadowReportOperator:
    task = dag.get_task("shadow")
    assert isinstance(task, ShadowReportOperator)
    return task


def context(payload: str = RUN) -> Any:
    return {"run_id": RUN, "dag_run": SimpleNamespace(dag_id="w", conf={"payload": payload})}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((404, {"error": "ResultNotFound", "message": "none"}), "'ai-vnet-shadow' was not compared"),
        ((503, {}), "no comparison of 'ai-vnet-shadow' can be had"),
        ((401, {"error": "Unauthorised", "message": "no"}), "no comparison of 'ai-vnet-shadow' can be had"),
    ],
)
def test_without_a_comparison_it_says_so_and_does_not_fail(
    dag: DAG, monkeypatch: pytest.MonkeyPatch, answer: Any, said: str
) -> None:
    with running(Service({RESULT: [answer]})) as service:
        connection = {"conn_type": "http", "host": "127.0.0.1", "port": service.port}
        monkeypatch.setenv("AIRFLOW_CONN_CLARA_LISTENER", json.dumps(connection))
        with pytest.raises(AirflowSkipException, match=said):
            report(dag).execute(context())
        with pytest.raises(AirflowSkipException, match="not its own id"):
            report(dag).execute(context("another"))


def test_it_says_how_the_models_compare(dag: DAG, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(Service({RESULT: [(200, {"version": 1, "reason": "mean Dice 0.9"})]})) as service:
        connection = {"conn_type": "http", "host": "127.0.0.1", "port": service.port}
        monkeypatch.setenv("AIRFLOW_CONN_CLARA_LISTENER", json.dumps(connection))
        assert report(dag).execute(context()) == "ai-vnet-shadow beside ai-vnet: mean Dice 0.9"
