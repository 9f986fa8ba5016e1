"""Runs: the outbox of triggers, and what became of each run in Airflow."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from clara_ops.contract.states import DeliveryState, RunState

FINAL = (
    RunState.DONE,
    RunState.DELIVERED,
    RunState.FAILED,
    RunState.REJECTED,
    RunState.NOT_APPLICABLE,
    RunState.SUPERSEDED,
)
ACTIVE = (RunState.TRIGGERED, RunState.RUNNING, RunState.IN_REVIEW)
"""States of a run that Airflow works on."""


@dataclass(frozen=True)
class Run:
    """A run as the journal has it. Its input: instances of the group up to row `newest`.

    `facts` and `parameters` are JSON; `request_id` is what whoever asked for the run calls the request.
    """

    run_id: str
    workflow: str
    dag_id: str | None
    ae_title: str
    group_id: int
    group_value: str
    generation: int
    newest: int
    calling_ae: str
    study_uid: str
    series_uid: str
    facts: str
    destination: str | None
    state: str
    reason: str
    created: float
    updated: float
    last_instance: float
    triggered: float | None
    finished: float | None
    delivered: float | None
    parameters: str
    request_id: str | None


@dataclass(frozen=True)
class RunInstance:
    """One instance of a run's input; `path` is relative to the spool, `address` is the sender's."""

    sop_uid: str
    sop_class: str
    series_uid: str
    study_uid: str
    path: str
    size: int
    calling_ae: str
    address: str


def find_run(database: sqlite3.Connection, run_id: str) -> Run | None:
    """A run by its id."""
    row = database.execute("SELECT * FROM runs WHERE run_id = ?", (run_id,)).fetchone()
    return None if row is None else Run(**row)


def find_requested_run(database: sqlite3.Connection, request_id: str) -> str | None:
    """The id of the run that a request made."""
    row = database.execute("SELECT run_id FROM runs WHERE request_id = ?", (request_id,)).fetchone()
    return None if row is None else str(row["run_id"])


def list_runs(database: sqlite3.Connection, limit: int) -> list[Run]:
    """The newest runs, newest first."""
    return [Run(**row) for row in database.execute("SELECT * FROM runs ORDER BY rowid DESC LIMIT ?", (limit,))]


def runs_in(database: sqlite3.Connection, states: Sequence[RunState]) -> list[Run]:
    """Runs in one of the states, in the order in which they were made."""
    marks = ", ".join("?" * len(states))
    rows = database.execute(f"SELECT * FROM runs WHERE state IN ({marks}) ORDER BY rowid", states)
    return [Run(**row) for row in rows]


def run_instances(database: sqlite3.Connection, run: Run) -> list[RunInstance]:
    """The input of a run: of each SOP Instance UID the content that was there when the run was decided."""
    rows = database.execute(
        "SELECT i.sop_uid, i.sop_class, s.series_uid, s.study_uid, i.path, i.size, a.calling_ae, a.address "
        "FROM instances i JOIN series s ON s.id = i.series_id JOIN associations a ON a.id = i.association "
        "WHERE i.id IN (SELECT max(i.id) FROM instances i JOIN series s ON s.id = i.series_id "
        "WHERE s.group_id = ? AND i.id <= ? AND i.status IN ('kept', 'replaced') GROUP BY i.sop_uid) ORDER BY i.id",
        (run.group_id, run.newest),
    )
    return [RunInstance(**row) for row in rows]


def workflows_of_group(database: sqlite3.Connection, group_id: int) -> list[str]:
    """The workflows that a group has started."""
    rows = database.execute("SELECT DISTINCT workflow FROM runs WHERE group_id = ?", (group_id,))
    return [str(row["workflow"]) for row in rows]


def hold_pending(database: sqlite3.Connection, workflow: str, reason: str, now: float) -> None:
    """Say why the pending runs of a workflow wait."""
    database.execute(
        "UPDATE runs SET reason = ?, updated = ? WHERE workflow = ? AND state = ? AND reason != ?",
        (reason, now, workflow, RunState.PENDING, reason),
    )


def mark_triggered(database: sqlite3.Connection, run: Run, dag_id: str, reason: str, now: float) -> None:
    """Airflow has the run; earlier generations that are not delivered are superseded by it."""
    database.execute(
        "UPDATE runs SET state = ?, dag_id = ?, reason = ?, updated = ?, triggered = ? WHERE run_id = ? AND state = ?",
        (RunState.TRIGGERED, dag_id, reason, now, now, run.run_id, RunState.PENDING),
    )
    database.execute(
        "UPDATE runs SET state = ?, reason = ?, updated = ?, finished = ? WHERE workflow = ? AND ae_title = ? "
        f"AND group_value = ? AND generation < ? AND state IN ({', '.join('?' * (1 + len(ACTIVE)))})",
        (
            RunState.SUPERSEDED,
            f"by {run.run_id}",
            now,
            now,
            run.workflow,
            run.ae_title,
            run.group_value,
            run.generation,
            RunState.PENDING,
            *ACTIVE,
        ),
    )

    database.execute(
        "UPDATE deliveries SET state = ?, reason = ?, updated = ? WHERE state = ? AND payload IN "
        "(SELECT run_id FROM runs WHERE group_id = ? AND state = ?)",
        (
            DeliveryState.FAILED,
            f"superseded by {run.run_id}",
            now,
            DeliveryState.SENDING,
            run.group_id,
            RunState.SUPERSEDED,
        ),
    )


def move_run(database: sqlite3.Connection, run_id: str, state: RunState, reason: str, now: float) -> None:
    """Move a run that is not at its end to another state."""
    database.execute(
        "UPDATE runs SET state = ?, reason = ?, updated = ?, finished = CASE WHEN ? THEN ? ELSE finished END "
        f"WHERE run_id = ? AND (state != ? OR reason != ?) AND state NOT IN ({', '.join('?' * len(FINAL))})",
        (state, reason, now, state in FINAL, now, run_id, state, reason, *FINAL),
    )


def settle_delivered(database: sqlite3.Connection, run_id: str, now: float) -> None:
    """The run is delivered once one of its deliveries is and none is still on its way."""
    states = {
        row["state"] for row in database.execute("SELECT DISTINCT state FROM deliveries WHERE payload = ?", (run_id,))
    }
    if DeliveryState.DELIVERED not in states or DeliveryState.SENDING in states:
        return
    database.execute(
        "UPDATE runs SET state = ?, reason = '', updated = ?, finished = coalesce(finished, ?), delivered = ? "
        "WHERE run_id = ? AND state NOT IN (?, ?)",
        (RunState.DELIVERED, now, now, now, run_id, RunState.SUPERSEDED, RunState.DELIVERED),
    )
