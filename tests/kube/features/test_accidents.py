"""What comes from outside in the middle of a stage: a lost pod, a killed worker, a person who cancels."""

import os
import signal
from collections.abc import Callable, Mapping

import pytest

from tests.kube.features.scene import Run, task_processes

pytestmark = [pytest.mark.timeout(400), pytest.mark.filterwarnings("ignore:Unverified HTTPS request")]


@pytest.fixture(scope="module")
def pods(runs: dict[str, Run]) -> dict[str, str]:
    """For each run that something was done to, the pod that it had then."""
    found = {}
    for name, act in ACTIONS.items():
        run = runs[name]
        run.wait(lambda run=run: run.note("starts") != "")  # type: ignore[misc]
        (found[name],) = run.pods()
        act(run, found[name])
    return found


def delete_pod(run: Run, pod: str) -> None:
    """What an administrator does, or a node that goes away."""
    run.site.core.delete_namespaced_pod(pod, run.site.namespace, grace_period_seconds=0)


def kill_task(run: Run, pod: str) -> None:
    """Airflow's worker sees that its task has died."""
    os.kill(max(processes_of(run)), signal.SIGKILL)


def kill_worker(run: Run, pod: str) -> None:
    """Nobody is left to see it: Airflow misses the heartbeat."""
    for process in processes_of(run):
        os.kill(process, signal.SIGKILL)


def processes_of(run: Run) -> list[int]:
    """The executor's worker, and the task below it."""
    processes = sorted(task_processes(run.tasks()["work"]["id"]))
    assert len(processes) == 2
    return processes


def fail_run(run: Run, pod: str) -> None:
    """What the button in the UI does."""
    run.mark_failed()


def delete_run(run: Run, pod: str) -> None:
    """Airflow deletes only what does not run any more."""
    run.mark_failed()
    run.delete()


ACTIONS: Mapping[str, Callable[[Run, str], None]] = {
    "pod-deleted": delete_pod,
    "task-killed": kill_task,
    "worker-killed": kill_worker,
    "failed": fail_run,
    "run-deleted": delete_run,
}


def starts(run: Run) -> int:
    """How often the stage's script was started."""
    return len(run.note("starts").splitlines())


def test_a_pod_that_is_deleted_from_outside_comes_back_once(runs: dict[str, Run], pods: dict[str, str]) -> None:
    run = runs["pod-deleted"]
    run.ended("success")
    assert "PodLost: stage 'work': its pod was deleted from outside" in run.log()
    assert (run.tries(), starts(run), run.pods()) == (2, 2, [])


@pytest.mark.parametrize("killed", ["task-killed", "worker-killed"])
def test_the_pod_of_a_killed_worker_is_taken_over(runs: dict[str, Run], pods: dict[str, str], killed: str) -> None:
    run = runs[killed]
    run.wait(lambda: f"Reusing existing pod '{pods[killed]}'" in run.log(attempt=2))
    run.write_note("stop")
    run.ended("success")
    assert (run.tries(), starts(run), run.pods()) == (2, 1, [])


@pytest.mark.parametrize("cancelled", ["failed", "run-deleted"])
def test_a_run_that_is_cancelled_leaves_no_pod(runs: dict[str, Run], pods: dict[str, str], cancelled: str) -> None:
    runs[cancelled].wait(lambda: runs[cancelled].pods() == [], 60)
