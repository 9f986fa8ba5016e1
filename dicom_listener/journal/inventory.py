"""What the journal vouches for on the disk, and what it says when the disk does not keep it."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from clara_ops.contract.states import SeriesState
from dicom_listener.journal.instances import Status


@dataclass(frozen=True)
class Held:
    """One instance whose file has to be there; `path` is relative to the spool, `size` in bytes."""

    id: int
    group_id: int
    series_uid: str
    sop_uid: str
    path: str
    size: int


def held_instances(database: sqlite3.Connection) -> Iterator[Held]:
    """Every instance that has not been given up, in the order in which they came."""
    rows = database.execute(
        "SELECT i.id, s.group_id, s.series_uid, i.sop_uid, i.path, i.size FROM instances i "
        "JOIN series s ON s.id = i.series_id WHERE i.status NOT IN (?, ?, ?) ORDER BY i.id",
        (Status.EXPIRED, Status.REMOVED, Status.LOST),
    )
    return (Held(**row) for row in rows)


def runs_of_instance(database: sqlite3.Connection, group_id: int) -> list[str]:
    """The runs that may hold a second link to an instance of a group."""
    rows = database.execute("SELECT run_id FROM runs WHERE group_id = ? ORDER BY generation DESC", (group_id,))
    return [str(row["run_id"]) for row in rows]


def note_lost(database: sqlite3.Connection, lost: Held) -> None:
    """The file is gone for good: say so, hold a group that is not decided, and let the instance be sent again."""
    database.execute("UPDATE instances SET status = ? WHERE id = ?", (Status.LOST, lost.id))
    database.execute(
        "UPDATE groups SET state = ?, reason = 'images that were received are lost on the disk: have them sent again' "
        "WHERE id = ? AND state = ?",
        (SeriesState.HELD, lost.group_id, SeriesState.RECEIVING),
    )
