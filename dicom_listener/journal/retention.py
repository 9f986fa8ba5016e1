"""What may go: payloads of runs that are over, and the images of groups all of whose runs are over.

Two steps, so that a crash in between loses nothing: first the journal says that it goes, then the files are deleted.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from clara_ops.contract.states import DeliveryState, RunState, SeriesState
from dicom_listener.journal.instances import Status
from dicom_listener.journal.runs import FINAL

_OVER = ", ".join("?" * len(FINAL))


@dataclass(frozen=True)
class Due:
    """A payload (`run_id`) or the images of a group (`group_id`) that are old enough; `since`: over since then."""

    since: float
    run_id: str | None = None
    group_id: int | None = None


def due_payloads(database: sqlite3.Connection, before: Mapping[RunState, float], limit: int) -> list[Due]:
    """Payloads of runs that ended before a time, oldest first.

    Args:
        before: by the run's state, seconds since 1970; runs in other states stay.
    """
    found: list[Due] = []
    for state, moment in before.items():
        rows = database.execute(
            "SELECT run_id, finished FROM runs r WHERE state = ? AND finished < ? "
            "AND run_id NOT IN (SELECT run_id FROM removed_payloads) "
            "AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.payload = r.run_id AND d.state = ?) "
            "ORDER BY finished LIMIT ?",
            (state, moment, DeliveryState.SENDING, limit),
        )
        found += [Due(row["finished"], run_id=row["run_id"]) for row in rows]
    return sorted(found, key=lambda due: due.since)[:limit]


def due_groups(database: sqlite3.Connection, received: float, failed: float, discarded: float, limit: int) -> list[Due]:
    """Groups whose images are old enough, oldest first: none of their runs goes on, and no image came lately.

    Args:
        received: complete ones have to be over since before this time, seconds since 1970.
        failed: the same for those with a run that failed; `discarded`: for those that started none.
    """
    rows = database.execute(
        "WITH last AS (SELECT g.id, g.state, "
        "  (SELECT max(i.received) FROM instances i JOIN series s ON s.id = i.series_id "
        "   WHERE s.group_id = g.id AND i.status NOT IN (?, ?)) AS newest, "
        "  (SELECT max(r.finished) FROM runs r WHERE r.group_id = g.id) AS finished, "
        "  EXISTS (SELECT 1 FROM runs r WHERE r.group_id = g.id AND r.state = ?) AS failed "
        "  FROM groups g WHERE g.state IN (?, ?) "
        f"  AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.group_id = g.id AND r.state NOT IN ({_OVER}))) "
        "SELECT id, max(newest, coalesce(finished, 0)) AS since FROM last WHERE newest IS NOT NULL "
        "AND max(newest, coalesce(finished, 0)) < CASE WHEN failed THEN ? WHEN state = ? THEN ? ELSE ? END "
        "ORDER BY since LIMIT ?",
        (
            Status.EXPIRED,
            Status.REMOVED,
            RunState.FAILED,
            SeriesState.COMPLETE,
            SeriesState.DISCARDED,
            *FINAL,
            failed,
            SeriesState.DISCARDED,
            discarded,
            received,
            limit,
        ),
    )
    return [Due(row["since"], group_id=row["id"]) for row in rows]


def expire(database: sqlite3.Connection, due: Due, now: float) -> bool:
    """Say that something goes; False where it is not over any more: a person asked for a run, or images came."""
    if due.run_id is not None:
        return _expire_payload(database, due.run_id, now)
    busy = database.execute(
        f"SELECT 1 FROM groups g WHERE g.id = ? AND (g.state NOT IN (?, ?) OR EXISTS "
        f"(SELECT 1 FROM runs r WHERE r.group_id = g.id AND r.state NOT IN ({_OVER})))",
        (due.group_id, SeriesState.COMPLETE, SeriesState.DISCARDED, *FINAL),
    ).fetchone()
    if busy is not None:
        return False
    database.execute(
        "UPDATE instances SET status = ? WHERE status != ? AND received <= ? "
        "AND series_id IN (SELECT id FROM series WHERE group_id = ?)",
        (Status.EXPIRED, Status.REMOVED, due.since, due.group_id),
    )
    return True


def _expire_payload(database: sqlite3.Connection, run_id: str, now: float) -> bool:
    over = database.execute(
        f"SELECT 1 FROM runs WHERE run_id = ? AND state IN ({_OVER}) AND NOT EXISTS "
        "(SELECT 1 FROM deliveries WHERE payload = run_id AND deliveries.state = ?)",
        (run_id, *FINAL, DeliveryState.SENDING),
    ).fetchone()
    if over is not None:
        database.execute("INSERT OR IGNORE INTO removed_payloads (run_id, removed) VALUES (?, ?)", (run_id, now))
    return over is not None


def expired_paths(database: sqlite3.Connection, limit: int) -> list[str]:
    """Files that the journal has given up and that may still be there."""
    rows = database.execute("SELECT path FROM instances WHERE status = ? LIMIT ?", (Status.EXPIRED, limit))
    return [str(row["path"]) for row in rows]


def mark_removed(database: sqlite3.Connection, paths: Iterable[str]) -> None:
    """These files are gone."""
    database.executemany(
        "UPDATE instances SET status = ? WHERE path = ? AND status = ?",
        [(Status.REMOVED, path, Status.EXPIRED) for path in paths],
    )


def groups_in_use(database: sqlite3.Connection) -> set[str]:
    """Values of the groups of which a run still has its payload, or will get it."""
    rows = database.execute(
        "SELECT DISTINCT group_value FROM runs WHERE run_id NOT IN (SELECT run_id FROM removed_payloads)"
    )
    return {str(row["group_value"]) for row in rows}


def removed_payloads(database: sqlite3.Connection) -> set[str]:
    """Payloads that the journal has given up."""
    return {str(row["run_id"]) for row in database.execute("SELECT run_id FROM removed_payloads")}
