"""Stages that wait in the triggerer: no worker, a log that is read meanwhile, and the same ends as any other's."""

import pytest

from tests.kube.features.scene import Run, Scene, task_processes

pytestmark = [pytest.mark.timeout(400), pytest.mark.filterwarnings("ignore:Unverified HTTPS request")]


def test_it_costs_no_worker_and_its_log_can_be_read_meanwhile(runs: dict[str, Run]) -> None:
    run = runs["long"]
    run.wait(lambda: "line 2." in run.log())
    assert run.task() == "deferred"
    assert task_processes(run.tasks()["work"]["id"]) == []
    run.write_note("stop")
    run.ended("success")


def test_each_line_of_the_log_stands_in_it_once(runs: dict[str, Run]) -> None:
    run = runs["long"]
    run.ended("success")
    lines = [line for line in run.log().splitlines() if line.startswith("line ")]
    assert lines == [f"line {number}." for number in range(1, int(run.note("lines")) + 1)]


@pytest.mark.parametrize(
    ("name", "state", "words", "tries"),
    [
        ("long-oom", "success", "OutOfMemory: stage 'work' used more memory than its limit (96Mi)", 2),
        ("long-refused", "failed", "StageInputRefused: stage 'work' refused its input: not a CT", 1),
        ("long-deadline", "failed", "DeadlineExceeded: stage 'work' ran longer than its 3 s", 2),
        ("long-nothing", "success", "stage 'work' had nothing to do: no liver", 1),
    ],
)
def test_its_end_is_told_by_its_cause(runs: dict[str, Run], name: str, state: str, words: str, tries: int) -> None:
    run = runs[name]
    run.ended(state)
    assert words in run.log()
    assert run.tries() == tries


def test_an_image_that_cannot_be_pulled_is_tried_again(runs: dict[str, Run]) -> None:
    run = runs["long-no-image"]
    run.wait(lambda: run.task() == "up_for_retry" or run.tries() > 1)
    assert "ImageUnavailable: stage 'work': image" in run.log()
    run.mark_failed()


def test_a_pod_that_is_deleted_from_outside_comes_back_once(scene: Scene, runs: dict[str, Run]) -> None:
    run = runs["long-lost"]
    run.wait(lambda: run.note("starts") != "" and run.task() == "deferred")
    (pod,) = run.pods()
    scene.site.core.delete_namespaced_pod(pod, scene.site.namespace, grace_period_seconds=0)
    run.ended("success")
    assert "PodLost: stage 'work': its pod was deleted from outside" in run.log()
    assert (run.tries(), len(run.note("starts").splitlines())) == (2, 2)


def test_a_run_that_is_cancelled_leaves_no_pod(runs: dict[str, Run]) -> None:
    run = runs["long-cancel"]
    run.wait(lambda: run.note("starts") != "" and run.task() == "deferred")
    run.mark_failed()
    run.wait(lambda: run.pods() == [], 60)
