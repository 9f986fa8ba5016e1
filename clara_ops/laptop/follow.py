"""Follow what was sent: the runs that the listener made of it, and their tasks in Airflow, until they end."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from clara_ops.contract.states import RunState
from clara_ops.laptop.errors import LaptopError, NotInTime
from clara_ops.laptop.servers import Laptop, Say

TRIGGER_SECONDS = 60
RUN_SECONDS = 900
POLL_SECONDS = 0.2
OPEN = frozenset({RunState.PENDING, RunState.TRIGGERED, RunState.RUNNING, RunState.IN_REVIEW})
ENDED = frozenset(RunState) - OPEN


@dataclass(frozen=True)
class Step:
    """One step of a run: when it began, and how many seconds it took."""

    name: str
    start: datetime
    seconds: float
    state: str


@dataclass(frozen=True)
class FollowedRun:
    """A run that ended, as the listener has it, with its steps in the order in which they began."""

    run_id: str
    dag_id: str
    state: RunState
    reason: str
    steps: tuple[Step, ...]


def runs_of(laptop: Laptop, series_uid: str) -> list[dict[str, Any]]:
    """The listener's runs of a series, newest generation of each workflow."""
    answer = laptop.listener.get("/v1/runs", params={"limit": 1000}).raise_for_status().json()
    newest: dict[str, dict[str, Any]] = {}
    for run in answer:
        if run["group"] != series_uid:
            continue
        known = newest.get(run["workflow"])
        if known is None or run["generation"] > known["generation"]:
            newest[run["workflow"]] = run
    return list(newest.values())


def ask_for_run(laptop: Laptop, workflow: str, ae_title: str, series_uid: str) -> None:
    """Ask the listener for a workflow's next run on a series that it has.

    Raises:
        LaptopError: the listener says no.
    """
    body = {"workflow": workflow, "ae_title": ae_title, "group": series_uid}
    answer = laptop.listener.post("/v1/runs", json=body)
    if answer.is_error:
        raise LaptopError(f"the listener makes no run of '{workflow}' on series {series_uid}: {answer.text}")


def follow(laptop: Laptop, series_uid: str, sent_from: datetime, say: Say) -> list[FollowedRun]:
    """Wait until every run of a series that was made since `sent_from` has ended, telling each change of a task.

    Raises:
        NotInTime: no run was made within a minute, or a run did not end within a quarter of an hour.
        ProgramDied: a server stopped.
    """
    started: list[dict[str, Any]] = []

    def some_run_was_made() -> bool:
        started[:] = [run for run in runs_of(laptop, series_uid) if _time(run["created"]) >= sent_from]
        return bool(started)

    laptop.supervisor.wait_until(some_run_was_made, f"a run of series {series_uid}", TRIGGER_SECONDS)
    return [_follow_one(laptop, run["run_id"], say) for run in started]


def _follow_one(laptop: Laptop, run_id: str, say: Say) -> FollowedRun:
    deadline = time.monotonic() + RUN_SECONDS
    tell = _teller(say)
    while True:
        laptop.supervisor.check()
        run = laptop.listener.get(f"/v1/runs/{run_id}").raise_for_status().json()
        tasks = laptop.airflow.task_instances(run["dag_id"], run_id) if run["dag_id"] else []
        for task in tasks:
            tell(f"{run['dag_id']}: {task['task_id']}", task["state"] or "waiting")
        state = RunState(run["state"])
        if state in ENDED and all(task["end_date"] for task in tasks):
            tell(f"{run['dag_id']}", f"{state}{': ' + run['reason'] if run['reason'] else ''}")
            return FollowedRun(run_id, run["dag_id"], state, run["reason"] or "", tuple(_steps(run, tasks)))
        if time.monotonic() > deadline:
            raise NotInTime(
                f"run {run_id} is still {state} after {RUN_SECONDS} s: {run['reason'] or 'no reason given'}"
            )
        time.sleep(POLL_SECONDS)


def _teller(say: Say) -> Callable[[str, str], None]:
    """Says what changed since it was asked last."""
    told: dict[str, str] = {}

    def tell(what: str, state: str) -> None:
        if told.get(what) != state:
            told[what] = state
            if state not in ("waiting", "scheduled", "queued"):
                say(f"  {what} {state}")

    return tell


def _steps(run: dict[str, Any], tasks: Sequence[dict[str, Any]]) -> list[Step]:
    last_instance, created = _time(run["last_instance"]), _time(run["created"])
    steps = [Step("series complete", last_instance, max((created - last_instance).total_seconds(), 0.0), "decided")]
    for task in tasks:
        if task["start_date"] and task["end_date"]:
            start, end = _time(task["start_date"]), _time(task["end_date"])
            steps.append(Step(task["task_id"], start, (end - start).total_seconds(), task["state"]))
    return sorted(steps, key=lambda step: step.start)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
