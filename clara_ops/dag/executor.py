"""An executor for one machine whose tasks start at once."""

import importlib

from airflow.executors.local_executor import LocalExecutor
from airflow.sdk import DAG

# What a process imports between its start and its task: measured by watching which imports come after the fork.
_MODULES = (
    "airflow.dag_processing.dagbag",
    "airflow.sdk.execution_time.supervisor",
    "airflow.sdk.execution_time.task_runner",
    "airflow.sdk.execution_time.timeout",
    "clara_ops.dag.bundle",
    "jinja2.ext",
)


def warm_up() -> None:
    """Do once what the first task of a process would wait for."""
    for module in _MODULES:
        importlib.import_module(module)
    DAG(dag_id="clara")  # the first DAG of a process imports timetables, and is asked of many abstract classes


class WarmLocalExecutor(LocalExecutor):
    """LocalExecutor whose workers, and so the tasks forked from them, already have what every task imports."""

    def start(self) -> None:
        """Import first, then fork."""
        warm_up()
        super().start()
