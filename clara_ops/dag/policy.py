"""Airflow's hooks: the Code tab shows the workflow file, not its stub; tasks are given their place in the queue."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from airflow import settings
from airflow.policies import hookimpl
from airflow.sdk import DAG

from clara_ops.dag.layout import TAG, workflow_file
from clara_ops.dag.order import weight_in_queue

if TYPE_CHECKING:
    from airflow.models import DagRun, TaskInstance


# Airflow leaves this hook out unless a module airflow_local_settings brings it; an entry point does not count.
settings.task_instance_mutation_hook.is_noop = False  # type: ignore[attr-defined]


@hookimpl
def dag_policy(dag: DAG) -> None:
    """Point the DAG at its workflow file; `relative_fileloc`, by which tasks find it, stays as it is."""
    file = workflow_file(Path(dag.fileloc).parent, dag.dag_id)
    if file.is_file():
        dag.fileloc = str(file)


@hookimpl
def task_instance_mutation_hook(task_instance: "TaskInstance", dag_run: "DagRun | None") -> None:
    """Weigh a task of a workflow by its priority and by when its run arrived."""
    dag = task_instance.task.dag if task_instance.task is not None else None
    if dag is None or TAG not in dag.tags or task_instance.priority_weight is None:
        return
    run = dag_run or task_instance.dag_run
    arrived = run.run_after if run is not None else datetime.now(UTC)
    task_instance.priority_weight = weight_in_queue(task_instance.priority_weight, arrived)
