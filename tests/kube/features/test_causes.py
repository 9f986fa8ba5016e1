"""How a stage ends, and what Airflow makes of it."""

import pytest

from tests.kube.features.scene import Run

pytestmark = [pytest.mark.timeout(400), pytest.mark.filterwarnings("ignore:Unverified HTTPS request")]


def test_more_memory_is_given_once(runs: dict[str, Run]) -> None:
    run = runs["oom-retry"]
    run.ended("success")
    assert "OutOfMemory: stage 'work' used more memory than its limit (96Mi)" in run.log()
    assert run.tries() == 2


def test_without_more_memory_a_stage_fails_at_once(runs: dict[str, Run]) -> None:
    run = runs["oom-out"]
    run.ended("failed")
    assert "MemoryExhausted: stage 'work' used more memory than its limit (96Mi)" in run.log()
    assert run.tries() == 1


def test_an_image_that_cannot_be_pulled_is_tried_again(runs: dict[str, Run]) -> None:
    run = runs["no-image"]
    run.wait(lambda: run.task() == "up_for_retry" or run.tries() > 1)
    assert "ImageUnavailable: stage 'work': image" in run.log()
    assert "nowhere/nothing:1' cannot be pulled" in run.log()
    run.mark_failed()
    run.wait(lambda: run.pods() == [])


def test_a_stage_that_takes_too_long_is_ended(runs: dict[str, Run]) -> None:
    run = runs["deadline"]
    run.ended("failed")
    assert "DeadlineExceeded: stage 'work' ran longer than its 3 s" in run.log()


def test_input_that_is_refused_is_not_tried_again(runs: dict[str, Run]) -> None:
    run = runs["refused"]
    run.ended("failed")
    assert "StageInputRefused: stage 'work' refused its input: not a CT" in run.log()
    assert run.tries() == 1


def test_any_other_failure_is_tried_again(runs: dict[str, Run]) -> None:
    run = runs["broken"]
    run.ended("failed")
    assert "StageError: stage 'work' failed with exit code 3: lost my way" in run.log()
    assert run.tries() == 2


def test_nothing_to_do_skips_what_follows(runs: dict[str, Run]) -> None:
    run = runs["nothing"]
    run.ended("success")
    assert "stage 'work' had nothing to do: no liver" in run.log()
    assert (run.task(), run.task("after"), run.task("deliver")) == ("skipped", "skipped", "skipped")
    assert run.note("after") == ""


def test_nothing_to_do_without_a_reason_is_a_failure(runs: dict[str, Run]) -> None:
    run = runs["mute"]
    run.ended("failed")
    assert "gave no reason in result.json" in run.log()


def test_a_join_goes_on_without_a_branch_that_was_skipped(runs: dict[str, Run]) -> None:
    run = runs["fan"]
    run.ended("success")
    states = {name: run.task(name) for name in ("look", "even", "odd", "join")}
    assert states == {"look": "success", "even": "skipped", "odd": "success", "join": "success"}
    assert "its 'when' is not met: look.kind is 'odd', not eq 'even'" in run.log("even")
    assert (run.site.read(f"payloads/{run.id}/join/output/joined") or b"").decode() == "odd\n"


def test_a_container_that_knows_nothing_of_us_starts_clean_each_time(runs: dict[str, Run]) -> None:
    run = runs["foreign"]
    run.ended("success")
    assert run.note("seen").split() == ["0", "0"]
