"""Whether a person has paused triggers and deliveries; kept over restarts."""

import sqlite3
from dataclasses import dataclass


@dataclass(frozen=True)
class Pause:
    """Nothing is triggered or delivered since `since`, seconds since 1970; receiving goes on."""

    since: float
    reason: str


def find_pause(database: sqlite3.Connection) -> Pause | None:
    """The pause that is on, None where there is none."""
    row = database.execute("SELECT since, reason FROM pauses").fetchone()
    return None if row is None else Pause(row["since"], row["reason"])


def begin_pause(database: sqlite3.Connection, pause: Pause) -> None:
    """Pause; a pause that is on goes on, with the new reason."""
    database.execute(
        "INSERT INTO pauses (id, since, reason) VALUES (1, ?, ?) "
        "ON CONFLICT (id) DO UPDATE SET reason = excluded.reason",
        (pause.since, pause.reason),
    )


def end_pause(database: sqlite3.Connection) -> None:
    """Go on."""
    database.execute("DELETE FROM pauses")
