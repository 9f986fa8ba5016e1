"""Received instances: what is recorded before a sender hears Success, and what is read back of it."""

import sqlite3
from dataclasses import dataclass
from enum import StrEnum

from clara_ops.contract.states import SeriesState


class Status(StrEnum):
    """What became of an acknowledged instance; only `kept` ones are part of a run."""

    KEPT = "kept"
    CONFLICT = "conflict"
    REPLACED = "replaced"
    OWN = "own"
    IGNORED = "ignored"
    ASIDE = "aside"


@dataclass(frozen=True)
class Arrival:
    """One instance that lies in the spool, synced, and waits for its row.

    Attributes:
        path: relative to the spool.
        level, group: what it is grouped by, and the value.
        position: of the slice along its normal, mm; `orientation` is the six direction cosines as text.
        late: what the AE title does with an instance after the decision: new-generation, attach or aside.
    """

    ae_title: str
    calling_ae: str
    address: str
    association: str
    opened: float
    received: float
    sop_uid: str
    sop_class: str
    series_uid: str
    study_uid: str
    transfer_syntax: str
    path: str
    size: int
    level: str
    group: str
    number: int | None
    position: float | None
    orientation: str | None
    modality: str | None
    body_part: str | None
    ignored: bool
    late: str


@dataclass(frozen=True)
class Recorded:
    """What became of an arrival; `existing` is the path of an instance of that UID that was there first.

    Where there is one, nothing was recorded, and `status` is None.
    """

    status: Status | None
    group_id: int
    existing: str | None = None


def find_conflicts(database: sqlite3.Connection, ae_title: str, sop_uid: str) -> list[str]:
    """Paths of other contents that came under the same UID."""
    rows = database.execute(
        "SELECT path FROM instances WHERE sop_uid = ? AND ae_title = ? AND status IN ('conflict', 'replaced')",
        (sop_uid, ae_title),
    )
    return [str(row["path"]) for row in rows]


def record_instance(database: sqlite3.Connection, arrival: Arrival) -> Recorded:
    """Record an instance whose UID was not seen before; when it was after all, record nothing and name the other."""
    existing = database.execute(
        "SELECT path, group_id FROM instances "
        "WHERE sop_uid = ? AND ae_title = ? AND status NOT IN ('conflict', 'replaced')",
        (arrival.sop_uid, arrival.ae_title),
    ).fetchone()
    if existing is not None:
        return Recorded(None, int(existing["group_id"]), str(existing["path"]))
    if _is_own(database, arrival.sop_uid):
        return _record_apart(database, arrival, Status.OWN, "our own result, sent back to us")
    if arrival.ignored:
        return _record_apart(database, arrival, Status.IGNORED, "only SOP classes that the AE title ignores")
    return _record_in_group(database, arrival)


def record_conflict(database: sqlite3.Connection, arrival: Arrival) -> Recorded:
    """Record other content under a UID that is there already; it is shown, and part of no run."""
    return _record_apart(database, arrival, Status.CONFLICT, "")


def record_replacement(database: sqlite3.Connection, arrival: Arrival) -> Recorded:
    """Record content that takes the place of what came earlier under the same UID."""
    replaced = database.execute(
        "UPDATE instances SET status = 'replaced' "
        "WHERE sop_uid = ? AND ae_title = ? AND status IN ('kept', 'aside') RETURNING group_id",
        (arrival.sop_uid, arrival.ae_title),
    ).fetchall()
    for row in replaced:
        database.execute("UPDATE groups SET instances = instances - 1 WHERE id = ?", (row["group_id"],))
    return record_instance(database, arrival)


def end_association(database: sqlite3.Connection, association: str, closed: float, ended: str) -> None:
    """Note how an association that brought instances ended: released, aborted or lost."""
    database.execute("UPDATE associations SET closed = ?, ended = ? WHERE id = ?", (closed, ended, association))


def end_all_associations(database: sqlite3.Connection, closed: float) -> None:
    """After a restart: associations that were open have been lost."""
    database.execute("UPDATE associations SET closed = ?, ended = 'lost' WHERE closed IS NULL", (closed,))


def known_paths(database: sqlite3.Connection) -> set[str]:
    """Paths of all instances that the journal vouches for."""
    return {str(row["path"]) for row in database.execute("SELECT path FROM instances")}


def _is_own(database: sqlite3.Connection, sop_uid: str) -> bool:
    return database.execute("SELECT 1 FROM sent_instances WHERE sop_uid = ? LIMIT 1", (sop_uid,)).fetchone() is not None


def _find_group(database: sqlite3.Connection, arrival: Arrival) -> sqlite3.Row | None:
    row: sqlite3.Row | None = database.execute(
        "SELECT id, state, generation, instances FROM groups WHERE ae_title = ? AND level = ? AND value = ?",
        (arrival.ae_title, arrival.level, arrival.group),
    ).fetchone()
    return row


def _record_apart(database: sqlite3.Connection, arrival: Arrival, status: Status, reason: str) -> Recorded:
    """Record an instance that is shown with its group, and moves it nowhere."""
    group = _find_group(database, arrival)
    group_id = _new_group(database, arrival, SeriesState.DISCARDED, reason) if group is None else int(group["id"])
    _insert(database, arrival, status, group_id, None)
    database.execute("UPDATE groups SET last_instance = ? WHERE id = ?", (arrival.received, group_id))
    return Recorded(status, group_id)


def _record_in_group(database: sqlite3.Connection, arrival: Arrival) -> Recorded:
    group = _find_group(database, arrival)
    if group is None:
        group_id, generation, decided = _new_group(database, arrival, SeriesState.RECEIVING, ""), 1, False
    else:
        group_id, generation = int(group["id"]), int(group["generation"])
        decided = group["instances"] > 0 and group["state"] in (SeriesState.COMPLETE, SeriesState.DISCARDED)
    if decided and arrival.late == "aside":
        return _record_apart(database, arrival, Status.ASIDE, "")
    reopened = not decided or arrival.late == "new-generation"
    generation += decided and reopened
    newest = _insert(database, arrival, Status.KEPT, group_id, generation)
    database.execute(
        "UPDATE groups SET instances = instances + 1, last_instance = ?, newest = ?, generation = ?, calling_ae = ? "
        "WHERE id = ?",
        (arrival.received, newest, generation, arrival.calling_ae, group_id),
    )
    if reopened:
        database.execute("UPDATE groups SET state = ?, reason = '' WHERE id = ?", (SeriesState.RECEIVING, group_id))
    return Recorded(Status.KEPT, group_id)


def _new_group(database: sqlite3.Connection, arrival: Arrival, state: SeriesState, reason: str) -> int:
    cursor = database.execute(
        "INSERT INTO groups (ae_title, level, value, study_uid, series_uid, calling_ae, state, reason, generation, "
        "instances, first_instance, last_instance, newest) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1, 0, ?, ?, 0)",
        (
            arrival.ae_title,
            arrival.level,
            arrival.group,
            arrival.study_uid,
            arrival.series_uid,
            arrival.calling_ae,
            state,
            reason,
            arrival.received,
            arrival.received,
        ),
    )
    return int(cursor.lastrowid or 0)


def _insert(
    database: sqlite3.Connection, arrival: Arrival, status: Status, group_id: int, generation: int | None
) -> int:
    database.execute(
        "INSERT OR IGNORE INTO associations (id, called_ae, calling_ae, address, opened) VALUES (?, ?, ?, ?, ?)",
        (arrival.association, arrival.ae_title, arrival.calling_ae, arrival.address, arrival.opened),
    )
    cursor = database.execute(
        "INSERT INTO instances (ae_title, sop_uid, sop_class, series_uid, study_uid, transfer_syntax, path, size, "
        "association, received, status, group_id, generation, number, position, orientation, modality, body_part) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            arrival.ae_title,
            arrival.sop_uid,
            arrival.sop_class,
            arrival.series_uid,
            arrival.study_uid,
            arrival.transfer_syntax,
            arrival.path,
            arrival.size,
            arrival.association,
            arrival.received,
            status,
            group_id,
            generation,
            arrival.number,
            arrival.position,
            arrival.orientation,
            arrival.modality,
            arrival.body_part,
        ),
    )
    return int(cursor.lastrowid or 0)
