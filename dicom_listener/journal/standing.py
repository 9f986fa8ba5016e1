"""How things stand: how many groups, runs and deliveries are in each state, and since when."""

import sqlite3
from dataclasses import dataclass

from clara_ops.contract.states import DeliveryState, RunState, SeriesState
from dicom_listener.journal.pauses import find_pause
from dicom_listener.journal.runs import ACTIVE

_OPEN_GROUPS = (SeriesState.RECEIVING, SeriesState.HELD)
_OPEN_RUNS = (RunState.PENDING, *ACTIVE)


@dataclass(frozen=True)
class Standing:
    """One state; `oldest` is when the oldest in it began, None for states that are an end."""

    state: str
    count: int
    oldest: float | None


@dataclass(frozen=True)
class Standings:
    """Everything; times are seconds since 1970."""

    groups: tuple[Standing, ...]
    runs: tuple[Standing, ...]
    deliveries: tuple[Standing, ...]
    paused_since: float | None


def standing(database: sqlite3.Connection) -> Standings:
    """Counts over indices only, and ages of the few that are open."""
    pause = find_pause(database)
    return Standings(
        groups=_count(
            database,
            "SELECT state, count(*) AS count FROM groups GROUP BY state",
            "SELECT min(i.received) AS oldest FROM groups g JOIN series s ON s.group_id = g.id "
            "JOIN instances i ON i.series_id = s.id WHERE g.state = ?",
            SeriesState,
            _OPEN_GROUPS,
        ),
        runs=_count(
            database,
            "SELECT state, count(*) AS count FROM runs GROUP BY state",
            "SELECT min(created) AS oldest FROM runs WHERE state = ?",
            RunState,
            _OPEN_RUNS,
        ),
        deliveries=_count(
            database,
            "SELECT state, count(*) AS count FROM deliveries GROUP BY state",
            "SELECT min(created) AS oldest FROM deliveries WHERE state = ?",
            DeliveryState,
            (DeliveryState.SENDING,),
        ),
        paused_since=None if pause is None else pause.since,
    )


def _count(
    database: sqlite3.Connection,
    counting: str,
    ageing: str,
    states: type[SeriesState] | type[RunState] | type[DeliveryState],
    still_open: tuple[str, ...],
) -> tuple[Standing, ...]:
    counts = {row["state"]: int(row["count"]) for row in database.execute(counting)}
    return tuple(
        Standing(
            str(state),
            counts.get(state, 0),
            database.execute(ageing, (state,)).fetchone()["oldest"] if state in still_open else None,
        )
        for state in states
    )
