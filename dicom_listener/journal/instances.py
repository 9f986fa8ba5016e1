"""Received instances: what is recorded before a sender hears Success, and what is read back of it."""

import sqlite3
from dataclasses import dataclass
from enum import StrEnum

from clara_ops.contract.states import SeriesState


class Status(StrEnum):
    """What became of an acknowledged instance; only `kept` ones are part of a run.

    `expired`: its retention is over and its file is about to go; `removed`: it is gone; `lost`: the disk lost it.
    """

    KEPT = "kept"
    CONFLICT = "conflict"
    REPLACED = "replaced"
    OWN = "own"
    IGNORED = "ignored"
    ASIDE = "aside"
    EXPIRED = "expired"
    REMOVED = "removed"
    LOST = "lost"


@dataclass(frozen=True)
class Arrival:
    """One instance that lies in the spool, synced, and waits for its row.

    Attributes:
        path: relative to the spool; `size` is the file's, bytes.
        first_of_association: the association may not have a row yet.
        level, group: what it is grouped by, and the value.
        announced: how many instances its series has, as the sender says.
        position: of the slice along its normal, mm; `orientation` is the six direction cosines as text.
        late: what the AE title does with an instance after the decision: new-generation, attach or aside.
    """

    ae_title: str
    calling_ae: str
    address: str
    association: str
    first_of_association: bool
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
    announced: int | None
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
        "SELECT i.path, s.group_id FROM instances i JOIN series s ON s.id = i.series_id "
        "WHERE i.sop_uid = ? AND i.ae_title = ? "
        "AND i.status NOT IN ('conflict', 'replaced', 'expired', 'removed', 'lost')",
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
    return _record_apart(database, arrival, Status.CONFLICT, "only other contents of UIDs that are in other series")


def record_replacement(database: sqlite3.Connection, arrival: Arrival) -> Recorded:
    """Record content that takes the place of what came earlier under the same UID."""
    database.execute(
        "UPDATE instances SET status = 'replaced' WHERE sop_uid = ? AND ae_title = ? AND status IN ('kept', 'aside')",
        (arrival.sop_uid, arrival.ae_title),
    )
    return record_instance(database, arrival)


def end_association(database: sqlite3.Connection, association: str, closed: float, ended: str) -> None:
    """Note how an association that brought instances ended: released, aborted or lost."""
    database.execute("UPDATE associations SET closed = ?, ended = ? WHERE id = ?", (closed, ended, association))


def end_all_associations(database: sqlite3.Connection, closed: float) -> None:
    """After a restart: associations that were open have been lost."""
    database.execute("UPDATE associations SET closed = ?, ended = 'lost' WHERE closed IS NULL", (closed,))


def known_paths(database: sqlite3.Connection) -> set[str]:
    """Paths of all instances that the journal vouches for."""
    return {str(row["path"]) for row in database.execute("SELECT path FROM instances WHERE status != 'removed'")}


def _is_own(database: sqlite3.Connection, sop_uid: str) -> bool:
    return database.execute("SELECT 1 FROM sent_instances WHERE sop_uid = ? LIMIT 1", (sop_uid,)).fetchone() is not None


@dataclass(frozen=True)
class _Place:
    """Where an arrival belongs."""

    group_id: int
    series_id: int
    state: str
    generation: int


def _find_place(database: sqlite3.Connection, arrival: Arrival, state: SeriesState, reason: str) -> _Place:
    """The group and series of an arrival; a group that is not there yet is made in `state`."""
    row = database.execute(
        "SELECT g.id, g.state, g.generation, s.id AS series_id FROM groups g "
        "LEFT JOIN series s ON s.group_id = g.id AND s.series_uid = ? "
        "WHERE g.ae_title = ? AND g.level = ? AND g.value = ?",
        (arrival.series_uid, arrival.ae_title, arrival.level, arrival.group),
    ).fetchone()
    if row is None:
        group_id = _new_group(database, arrival, state, reason)
        return _Place(group_id, _new_series(database, arrival, group_id), state, 1)
    series_id = row["series_id"] or _new_series(database, arrival, row["id"])
    return _Place(row["id"], series_id, row["state"], row["generation"])


def _record_apart(database: sqlite3.Connection, arrival: Arrival, status: Status, reason: str) -> Recorded:
    """Record an instance that is shown with its group, and moves it nowhere."""
    place = _find_place(database, arrival, SeriesState.DISCARDED, reason)
    _insert(database, arrival, status, place.series_id, None)
    return Recorded(status, place.group_id)


def _record_in_group(database: sqlite3.Connection, arrival: Arrival) -> Recorded:
    place = _find_place(database, arrival, SeriesState.RECEIVING, "")
    generation = place.generation
    if place.state != SeriesState.RECEIVING:
        late = place.state != SeriesState.HELD and _has_kept(database, place.group_id)
        if late and arrival.late == "aside":
            return _record_apart(database, arrival, Status.ASIDE, "")
        if not late or arrival.late == "new-generation":
            generation += late
            database.execute(
                "UPDATE groups SET state = ?, reason = '', generation = ? WHERE id = ?",
                (SeriesState.RECEIVING, generation, place.group_id),
            )
    _insert(database, arrival, Status.KEPT, place.series_id, generation)
    return Recorded(Status.KEPT, place.group_id)


def _has_kept(database: sqlite3.Connection, group_id: int) -> bool:
    """Whether anything of a group was ever part of it: what was only ignored or our own makes nothing late."""
    query = "SELECT 1 FROM instances i JOIN series s ON s.id = i.series_id WHERE s.group_id = ? AND i.generation > 0"
    return database.execute(query, (group_id,)).fetchone() is not None


def _new_group(database: sqlite3.Connection, arrival: Arrival, state: SeriesState, reason: str) -> int:
    cursor = database.execute(
        "INSERT INTO groups (ae_title, level, value, study_uid, series_uid, calling_ae, state, reason, generation) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1)",
        (
            arrival.ae_title,
            arrival.level,
            arrival.group,
            arrival.study_uid,
            arrival.series_uid,
            arrival.calling_ae,
            state,
            reason,
        ),
    )
    return int(cursor.lastrowid or 0)


def _new_series(database: sqlite3.Connection, arrival: Arrival, group_id: int) -> int:
    cursor = database.execute(
        "INSERT INTO series (group_id, series_uid, study_uid, announced) VALUES (?, ?, ?, ?)",
        (group_id, arrival.series_uid, arrival.study_uid, arrival.announced),
    )
    return int(cursor.lastrowid or 0)


def _insert(
    database: sqlite3.Connection, arrival: Arrival, status: Status, series_id: int, generation: int | None
) -> None:
    if arrival.first_of_association:
        database.execute(
            "INSERT OR IGNORE INTO associations (id, called_ae, calling_ae, address, opened) VALUES (?, ?, ?, ?, ?)",
            (arrival.association, arrival.ae_title, arrival.calling_ae, arrival.address, arrival.opened),
        )
    database.execute(
        "INSERT INTO instances (series_id, ae_title, sop_uid, sop_class, transfer_syntax, path, size, association, "
        "received, status, generation, number, position, orientation, modality, body_part) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            series_id,
            arrival.ae_title,
            arrival.sop_uid,
            arrival.sop_class,
            arrival.transfer_syntax,
            arrival.path,
            arrival.size,
            arrival.association,
            arrival.received,
            status,
            generation,
            arrival.number,
            arrival.position,
            arrival.orientation,
            arrival.modality,
            arrival.body_part,
        ),
    )
