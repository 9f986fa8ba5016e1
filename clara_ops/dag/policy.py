"""Airflow's hook for DAGs that were just loaded: the Code tab shows the workflow file, not its stub."""

from pathlib import Path

from airflow.policies import hookimpl
from airflow.sdk import DAG

from clara_ops.dag.layout import workflow_file


@hookimpl
def dag_policy(dag: DAG) -> None:
    """Point the DAG at its workflow file; `relative_fileloc`, by which tasks find it, stays as it is."""
    file = workflow_file(Path(dag.fileloc).parent, dag.dag_id)
    if file.is_file():
        dag.fileloc = str(file)
