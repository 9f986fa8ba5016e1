"""What comes from outside in the middle of a stage: a lost pod, a killed worker, a person who cancels.

All of it is done to runs that go on at the same time; then each is looked at.
"""

import os
import signal
from collections.abc import Callable, Mapping

import pytest

from tests.kube.features.scene import Run, Scene, task_processes

pytestmark = [pytest.mark.timeout(400), pytest.mark.filterwarnings("ignore:Unverified HTTPS request")]


@pytest.fixture(scope="module")
def interrupted(scene: Scene) -> dict[str, tuple[Run, str]]:
    """By what was done to it: a run, and the pod that it had then."""
    names = {"pod": "lost", "task": "reattach", "worker": "reattach", "failed": "cancel", "deleted": "cancel"}
    runs = dict(zip(names, scene.start(*names.values()), strict=True))
    found = {}
    for name, run in runs.items():
        run.wait(lambda run=run: run.note("starts") != "")  # type: ignore[misc]
        (pod,) = run.pods()
        found[name] = (run, pod)
        ACTIONS[name](run, pod)
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
    "pod": delete_pod,
    "task": kill_task,
    "worker": kill_worker,
    "failed": fail_run,
    "deleted": delete_run,
}


def starts(run: Run) -> int:
    """How often the stage's script was started."""
    return len(run.note("starts").splitlines())


def test_a_pod_that_is_deleted_from_outside_comes_back_once(interrupted: dict[str, tuple[Run, str]]) -> None:
    run, _ = interrupted["pod"]
    run.ended("success")
    assert "PodLost: stage 'work': its pod was deleted from outside" in run.log()
    assert (run.tries(), starts(run), run.pods()) == (2, 2, [])


@pytest.mark.parametrize("killed", ["task", "worker"])
def test_the_pod_of_a_killed_worker_is_taken_over(interrupted: dict[str, tuple[Run, str]], killed: str) -> None:
    run, pod = interrupted[killed]
    run.ended("success")
    assert (run.tries(), starts(run), run.pods()) == (2, 1, [])
    taken_over = (f"Reusing existing pod '{pod}'", f"taking over pod {pod}, which has ended well meanwhile")
    assert any(words in run.log(attempt=2) for words in taken_over)


@pytest.mark.parametrize("cancelled", ["failed", "deleted"])
def test_a_run_that_is_cancelled_leaves_no_pod(interrupted: dict[str, tuple[Run, str]], cancelled: str) -> None:
    run, _ = interrupted[cancelled]
    run.wait(lambda: run.pods() == [], 60)
