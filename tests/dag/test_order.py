"""The place of tasks in Airflow's queue."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from types import SimpleNamespace

import pytest
from airflow.models import TaskInstance
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization
from hypothesis import given
from hypothesis import strategies as st

from clara_ops.dag.compile import compile_file
from clara_ops.dag.order import HEAD_START_SECONDS, WEIGHTS, weight_in_queue
from clara_ops.dag.policy import task_instance_mutation_hook
from clara_ops.workflow.catalogue import load_catalogue

from .conftest import OWN_CATALOGUE, ROOT

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
ANY_TIME = st.datetimes(datetime(2026, 1, 1), datetime(2049, 12, 31), timezones=st.just(UTC))


@pytest.fixture(scope="module")
def organ_seg() -> DAG:
    (dag,) = compile_file(ROOT / "dags" / "workflows" / "organ-seg.yaml", load_catalogue([OWN_CATALOGUE]))
    return dag


def weight(priority: str, arrived: datetime) -> int:
    return weight_in_queue(WEIGHTS[priority], arrived)


@given(ANY_TIME)
def test_it_fits_into_what_airflow_keeps(arrived: datetime) -> None:
    assert all(0 < weight(priority, arrived) < 2**31 for priority in WEIGHTS)


@given(st.sampled_from(sorted(WEIGHTS)), ANY_TIME)
def test_within_a_priority_the_first_is_first(priority: str, arrived: datetime) -> None:
    assert weight(priority, arrived) > weight(priority, arrived + timedelta(seconds=1))


def test_who_comes_at_the_same_time_is_served_by_priority() -> None:
    weights = [weight(priority, NOON) for priority in ("lower", "normal", "higher", "immediate")]
    assert all(lower < higher for lower, higher in pairwise(weights))


def test_immediate_overtakes_whatever_has_waited_for_a_week() -> None:
    assert weight("immediate", NOON + timedelta(days=7)) > weight("higher", NOON)


def test_no_other_head_start_lasts_for_ever() -> None:
    ahead = timedelta(seconds=HEAD_START_SECONDS["higher"] - HEAD_START_SECONDS["lower"])
    assert weight("lower", NOON) < weight("higher", NOON + ahead - timedelta(seconds=1))
    assert weight("lower", NOON) > weight("higher", NOON + ahead + timedelta(seconds=1))


def test_a_weight_is_given_once() -> None:
    once = weight("normal", NOON)
    assert weight_in_queue(once, NOON + timedelta(hours=1)) == once


def test_tasks_of_workflows_are_weighed_and_no_others(organ_seg: DAG) -> None:
    foreign = DAG("foreign", default_args={"priority_weight": 10})
    for dag, expected in ((organ_seg, weight("normal", NOON)), (foreign, 10)):
        task = SimpleNamespace(dag=dag)
        instance = SimpleNamespace(task=task, priority_weight=10, dag_run=None)
        task_instance_mutation_hook(instance, SimpleNamespace(run_after=NOON))
        assert instance.priority_weight == expected


def test_airflow_weighs_what_a_new_run_is_made_of(organ_seg: DAG) -> None:
    """In a process of its own, as the API server is: nothing but Airflow's entry point has loaded the policy there."""
    command = [
        sys.executable,
        "-c",
        "from airflow import settings; print(settings.task_instance_mutation_hook.is_noop)",
    ]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1] == "False"
    dag = DagSerialization.from_dict(DagSerialization.to_dict(organ_seg))
    instance = TaskInstance(dag.get_task("prepare"), dag_version_id=None)
    assert instance.priority_weight > weight("normal", datetime.now(UTC) + timedelta(minutes=1))
