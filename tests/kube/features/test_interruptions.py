"""What comes from outside in the middle of a stage: a lost pod, a killed worker, a person who cancels."""

import os
import signal

import pytest

from tests.kube.features.scene import Run, Scene, task_processes

pytestmark = [pytest.mark.timeout(400), pytest.mark.filterwarnings("ignore:Unverified HTTPS request")]


def running(run: Run) -> Run:
    """Wait until the stage's script has begun."""
    run.wait(lambda: run.note("starts") != "")
    return run


def starts(run: Run) -> int:
    """How often the stage's script was started."""
    return len(run.note("starts").splitlines())


def test_a_pod_that_is_deleted_from_outside_comes_back_once(scene: Scene) -> None:
    (run,) = scene.start("lost")
    (pod,) = running(run).pods()
    scene.site.core.delete_namespaced_pod(pod, scene.site.namespace, grace_period_seconds=0)
    run.ended("success")
    assert "PodLost: stage 'work': its pod was deleted from outside" in run.log()
    assert (run.tries(), starts(run), run.pods()) == (2, 2, [])


@pytest.mark.parametrize("whole_worker", [False, True], ids=["task", "worker"])
def test_the_pod_of_a_killed_task_is_taken_over(scene: Scene, whole_worker: bool) -> None:
    (run,) = scene.start("reattach")
    (pod,) = running(run).pods()
    processes = task_processes(run.tasks()["work"]["id"])
    assert len(processes) == 2, "the executor's worker, and below it the task"
    os.kill(min(processes) if whole_worker else max(processes), signal.SIGKILL)
    if whole_worker:
        os.kill(max(processes), signal.SIGKILL)
    run.ended("success")
    assert (run.tries(), starts(run), run.pods()) == (2, 1, [])
    taken_over = (f"Reusing existing pod '{pod}'", f"taking over pod {pod}, which has ended well meanwhile")
    assert any(words in run.log(attempt=2) for words in taken_over)


@pytest.mark.parametrize("deleted", [False, True], ids=["failed", "deleted"])
def test_a_run_that_is_cancelled_leaves_no_pod(scene: Scene, deleted: bool) -> None:
    (run,) = scene.start("cancel")
    running(run).mark_failed()
    if deleted:
        run.delete()
    run.wait(lambda: run.pods() == [], 60)
