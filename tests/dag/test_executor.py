"""The executor that imports before it forks."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.e2e

SCRIPT = """
import sys, threading
from airflow.executors.local_executor import LocalExecutor
from clara_ops.dag.executor import WarmLocalExecutor

LocalExecutor.start = lambda self: print(
    threading.active_count(),
    {"clara_ops.dag.stage_operator", "airflow.sdk.execution_time.task_runner", "kubernetes.client"} <= set(sys.modules),
)
WarmLocalExecutor(parallelism=1).start()
"""


def test_everything_is_imported_and_no_thread_runs_when_workers_are_forked() -> None:
    """A thread that runs at a fork may hold a lock that the child then waits for."""
    run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=120)
    assert run.stdout.splitlines()[-1] == "1 True"
