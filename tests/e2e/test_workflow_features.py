"""Parameters, reviews and shadows in a real Airflow: what a person says there, and what becomes of it."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from bench.series import new_series
from clara_ops.contract.states import RunState
from clara_ops.laptop.demo import Series, wait_for_dag
from clara_ops.laptop.follow import FollowedRun, follow, runs_of
from clara_ops.laptop.pacs_client import find_series, send_series
from clara_ops.laptop.programs import SCANNER_AE
from clara_ops.laptop.servers import Laptop, running
from clara_ops.laptop.state import Home
from tests.e2e.browser import airflow_page
from tests.e2e.workflow_features import make_checkout

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

SCREENSHOTS = os.environ.get("CLARA_SCREENSHOTS")


@pytest.fixture(scope="module")
def laptop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laptop]:
    """Everything of `make demo`, with workflows that use what the language has."""
    checkout = make_checkout(tmp_path_factory.mktemp("features"))
    with running(checkout, Home(tmp_path_factory.mktemp("laptop")), print) as started:
        for file in checkout.bundle.workflows.iterdir():
            wait_for_dag(started, file.stem)
        yield started


@pytest.fixture(scope="module")
def page(laptop: Laptop) -> Iterator[Page]:
    """Airflow in a browser."""
    with airflow_page(laptop) as opened:
        yield opened


@pytest.fixture(scope="module")
def api(laptop: Laptop) -> Iterator[httpx.Client]:
    """Airflow's REST API."""
    with httpx.Client(base_url=laptop.run.airflow, timeout=30) as client:
        login = {"username": laptop.run.airflow_username, "password": laptop.run.airflow_password}
        token = client.post("/auth/token", json=login).raise_for_status().json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        yield client


def picture(page: Page, name: str) -> None:
    """Keep what is to be seen, where a folder for it is named."""
    if SCREENSHOTS:
        page.screenshot(path=Path(SCREENSHOTS) / f"{name}.png")


def send(laptop: Laptop, series: Series, ae_title: str) -> datetime:
    """Send a series to the listener; when that began."""
    started = datetime.now(UTC)
    for _ in send_series(series.files, SCANNER_AE, ae_title, laptop.run.dicom_port):
        pass
    return started


SENT_TO = {
    "parameters": "PARAMETERS",
    "rejected": "REVIEW",
    "approved": "REVIEW",
    "impatient": "IMPATIENT",
    "shadow": "SHADOW",
}


@dataclass(frozen=True)
class Sent:
    """A series that was sent, and when that began."""

    series: Series
    since: datetime


@pytest.fixture(scope="module")
def sent(laptop: Laptop, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Sent]:
    """One series for each purpose, all sent at once, so that their runs go side by side."""
    folder = tmp_path_factory.mktemp("series")
    every = {name: new_series(folder / name, slices=2) for name in SENT_TO}
    return {name: Sent(series, send(laptop, series, SENT_TO[name])) for name, series in every.items()}


def the_run(laptop: Laptop, series: Series, since: datetime) -> FollowedRun:
    (run,) = follow(laptop, series.series_uid, since, print)
    return run


def told(laptop: Laptop, run: FollowedRun) -> dict[str, Any]:
    """What stage `tell` was given."""
    answer = laptop.listener.get(f"/v1/payloads/{run.run_id}/result", params={"folder": "tell/output"})
    facts: dict[str, Any] = answer.raise_for_status().json()["facts"]
    return {**facts, "words": json.loads(facts["words"])}


def test_parameters_from_the_dialog_to_the_stage(
    laptop: Laptop, page: Page, api: httpx.Client, sent: dict[str, Sent]
) -> None:
    series = sent["parameters"].series
    first = the_run(laptop, series, sent["parameters"].since)
    assert first.state is RunState.DONE, first
    assert told(laptop, first)["words"] == ["--threshold=0.5", "--model", "small", "--note=none"]

    runs = "/api/v2/dags/with-parameters/dagRuns"
    asked = {"ae_title": "PARAMETERS", "group": series.series_uid}
    for wrong in ({"threshold": 7}, {"model": "huge"}, {"quick": "yes"}, {"ae_title": ""}, {"note": "two\nlines"}):
        answer = api.post(runs, json={"logical_date": None, "conf": {**asked, **wrong}})
        assert answer.status_code == 400, (wrong, answer.text)
    assert api.post(runs, json={"logical_date": None, "conf": {"threshold": 0.1}}).status_code == 400
    for parameters, reason in (
        ({"threshold": 7}, "does not take the run"),
        ({"treshold": 0.7}, "no parameter 'treshold' (did you mean 'threshold'?)"),
    ):
        since = datetime.now(UTC)
        body = {"workflow": "with-parameters", **asked, "parameters": parameters}
        laptop.listener.post("/v1/runs", json=body).raise_for_status()
        refused = the_run(laptop, series, since)
        assert refused.state is RunState.FAILED
        assert reason in refused.reason

    note = "-x; $(id) ${model} {{ run_id }} 'quoted'"
    since = datetime.now(UTC)
    page.goto(f"{laptop.run.airflow}/dags/with-parameters")
    page.get_by_role("button", name="Trigger").first.click()
    for field, value in {**asked, "threshold": "0.25", "note": note}.items():
        page.locator(f'[name="element_{field}"]').fill(value)
    picture(page, "trigger-dialog")
    expect(page.get_by_text("Smallest probability of a finding.")).to_be_visible()
    page.get_by_role("button", name="Trigger").last.click()

    run = the_run(laptop, series, since)
    assert run.run_id.endswith("-g4")
    assert run.state is RunState.DONE, run
    facts = told(laptop, run)
    assert facts["words"] == ["--threshold=0.25", "--model", "small", f"--note={note}"]
    assert facts["NOTE"] == f"<{note}>"
    assert (facts["CLARA_PARAMETER_THRESHOLD"], facts["CLARA_PARAMETER_QUICK"]) == ("0.25", "false")
    by_hand = [item for item in api.get(runs).json()["dag_runs"] if item["dag_run_id"].startswith("manual")]
    assert [item["state"] for item in by_hand] == ["success"]
    states = {
        task["task_id"]: task["state"]
        for task in laptop.airflow.task_instances("with-parameters", by_hand[0]["dag_run_id"])
    }
    assert set(states.values()) == {"skipped"}, states
    stored = laptop.listener.get(f"/v1/runs/{run.run_id}").json()["parameters"]
    assert stored == {"threshold": 0.25, "model": "small", "note": note, "quick": False}
    page.goto(f"{laptop.run.airflow}/dags/with-parameters/runs/{by_hand[0]['dag_run_id']}/tasks/prepare")
    expect(page.get_by_text(f"started as run {run.run_id}").first).to_be_visible(timeout=30_000)
    picture(page, "started-as-run")


def in_review(laptop: Laptop, series: Series) -> str:
    """The id of the series' run, once it waits for a person."""

    def waiting() -> list[str]:
        return [run["run_id"] for run in runs_of(laptop, series.series_uid) if run["state"] == RunState.IN_REVIEW]

    laptop.supervisor.wait_until(lambda: bool(waiting()), "a run in review", 90)
    return waiting()[0]


def test_what_a_person_rejects_is_not_delivered_and_what_one_approves_is(
    laptop: Laptop, page: Page, api: httpx.Client, sent: dict[str, Sent]
) -> None:
    rejected, approved = sent["rejected"].series, sent["approved"].series
    first, second = [in_review(laptop, series) for series in (rejected, approved)]
    tasks = {task["task_id"]: task["state"] for task in laptop.airflow.task_instances("with-review", first)}
    assert (tasks["review"], tasks["deliver"]) == ("awaiting_input", None)

    page.goto(f"{laptop.run.airflow}/dags/with-review/runs/{first}/tasks/review/required_actions")
    expect(page.get_by_text("Is the liver right?")).to_be_visible(timeout=30_000)
    expect(page.get_by_text("1432.5")).to_be_visible()
    page.locator('[name="element_comment"]').fill("not the liver")
    picture(page, "review")
    page.get_by_role("button", name="Reject").click()
    run = the_run(laptop, rejected, sent["rejected"].since)
    assert (run.state, run.reason) == (RunState.REJECTED, "rejected by admin: not the liver")
    assert find_series(laptop.pacs, SCANNER_AE, rejected.study_uid) == []
    steps = {step.name: step.state for step in run.steps}
    assert (steps["review"], steps["deliver"]) == ("success", "skipped")

    address = f"/api/v2/dags/with-review/dagRuns/{second}/taskInstances/review/-1/hitlDetails"
    answer = {"chosen_options": ["Approve"], "params_input": {"comment": ""}}
    api.patch(address, json=answer).raise_for_status()
    assert the_run(laptop, approved, sent["approved"].since).state is RunState.DELIVERED
    assert len(find_series(laptop.pacs, SCANNER_AE, approved.study_uid)) == 1


def test_a_review_that_nobody_answers_fails_the_run_with_the_reason(laptop: Laptop, sent: dict[str, Sent]) -> None:
    series = sent["impatient"].series
    run = the_run(laptop, series, sent["impatient"].since)
    assert (run.state, run.reason) == (RunState.FAILED, "nobody reviewed it within 2 s")
    assert find_series(laptop.pacs, SCANNER_AE, series.study_uid) == []


def tasks_of(laptop: Laptop, run: FollowedRun) -> dict[str, str | None]:
    return {task["task_id"]: task["state"] for task in laptop.airflow.task_instances(run.dag_id, run.run_id)}


def test_a_shadow_is_compared_and_neither_delays_nor_fails_nor_changes_the_delivery(
    laptop: Laptop, api: httpx.Client, sent: dict[str, Sent]
) -> None:
    series = sent["shadow"].series
    run = the_run(laptop, series, sent["shadow"].since)
    (known,) = runs_of(laptop, series.series_uid)
    ends = {task["task_id"]: task["end_date"] for task in laptop.airflow.task_instances("with-shadow", run.run_id)}
    assert datetime.fromisoformat(known["delivered"]) < datetime.fromisoformat(ends["segment-shadow"])
    assert tasks_of(laptop, run) == {
        "prepare": "success",
        "segment": "success",
        "publish": "skipped",
        "deliver": "success",
        "segment-shadow": "success",
        "segment-shadow-comparison": "success",
        "shadow": "success",
    }
    folder = {"folder": "segment-shadow-comparison/output"}
    result = laptop.listener.get(f"/v1/payloads/{run.run_id}/result", params=folder).raise_for_status().json()
    assert (result["facts"]["liver_dice"], result["facts"]["liver_main_ml"]) == (0.8, 500)
    assert len(find_series(laptop.pacs, SCANNER_AE, series.study_uid)) == 1

    body = {"workflow": known["workflow"], "ae_title": "SHADOW", "group": series.series_uid}
    since = datetime.now(UTC)
    laptop.listener.post("/v1/runs", json={**body, "parameters": {"mode": "fails"}}).raise_for_status()
    run = the_run(laptop, series, since)
    assert run.state is RunState.DELIVERED
    states = tasks_of(laptop, run)
    assert (states["segment-shadow"], states["segment-shadow-comparison"]) == ("failed", "upstream_failed")
    assert (states["deliver"], states["shadow"]) == ("success", "skipped")
    dag_run = api.get(f"/api/v2/dags/with-shadow/dagRuns/{run.run_id}").json()
    assert dag_run["state"] == "success"
    assert len(find_series(laptop.pacs, SCANNER_AE, series.study_uid)) == 2
