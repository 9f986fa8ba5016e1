"""Deliveries: folders of payloads on their way to a destination, and the instances that we sent."""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from clara_ops.contract.states import DeliveryState


@dataclass(frozen=True)
class Delivery:
    """A delivery as the journal has it."""

    id: int
    payload: str
    folder: str
    destination: str
    state: str
    reason: str
    created: float
    updated: float


def request_delivery(
    database: sqlite3.Connection,
    payload: str,
    folder: str,
    destination: str,
    state: DeliveryState,
    reason: str,
    now: float,
) -> Delivery:
    """The delivery of these three, made when it is not there yet; one that failed starts again."""
    database.execute(
        "INSERT OR IGNORE INTO deliveries (payload, folder, destination, state, reason, created, updated) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        (payload, folder, destination, state, reason, now, now),
    )
    database.execute(
        "UPDATE deliveries SET state = ?, reason = ?, updated = ? "
        "WHERE payload = ? AND folder = ? AND destination = ? AND state = ?",
        (state, reason, now, payload, folder, destination, DeliveryState.FAILED),
    )
    row = database.execute(
        "SELECT * FROM deliveries WHERE payload = ? AND folder = ? AND destination = ?", (payload, folder, destination)
    ).fetchone()
    return Delivery(**row)


def find_delivery(database: sqlite3.Connection, delivery_id: int) -> Delivery | None:
    """A delivery by its id."""
    row = database.execute("SELECT * FROM deliveries WHERE id = ?", (delivery_id,)).fetchone()
    return None if row is None else Delivery(**row)


def sending_deliveries(database: sqlite3.Connection) -> list[Delivery]:
    """Deliveries that are not at their end, oldest first."""
    rows = database.execute("SELECT * FROM deliveries WHERE state = ? ORDER BY created, id", (DeliveryState.SENDING,))
    return [Delivery(**row) for row in rows]


def move_delivery(
    database: sqlite3.Connection, delivery_id: int, state: DeliveryState, reason: str, now: float
) -> None:
    """Move a delivery that is being sent."""
    database.execute(
        "UPDATE deliveries SET state = ?, reason = ?, updated = ? "
        "WHERE id = ? AND state = ? AND (state != ? OR reason != ?)",
        (state, reason, now, delivery_id, DeliveryState.SENDING, state, reason),
    )


def hold_deliveries(database: sqlite3.Connection, destination: str, reason: str, now: float) -> None:
    """Say why everything waits that goes to a destination."""
    database.execute(
        "UPDATE deliveries SET reason = ?, updated = ? WHERE destination = ? AND state = ? AND reason != ?",
        (reason, now, destination, DeliveryState.SENDING, reason),
    )


def announce_instances(database: sqlite3.Connection, delivery_id: int, sop_uids: Iterable[str]) -> set[str]:
    """Record as ours what is about to be sent, before it is sent. Answers which of them were sent already."""
    database.executemany(
        "INSERT OR IGNORE INTO sent_instances (sop_uid, delivery_id) VALUES (?, ?)",
        [(sop_uid, delivery_id) for sop_uid in sop_uids],
    )
    rows = database.execute(
        "SELECT sop_uid FROM sent_instances WHERE delivery_id = ? AND sent IS NOT NULL", (delivery_id,)
    )
    return {str(row["sop_uid"]) for row in rows}


def mark_sent(database: sqlite3.Connection, delivery_id: int, statuses: Iterable[tuple[str, int]], now: float) -> None:
    """Record instances that the destination took, each with the status it gave: 0 or a warning."""
    database.executemany(
        "UPDATE sent_instances SET sent = ?, warning = ? WHERE sop_uid = ? AND delivery_id = ?",
        [(now, status or None, sop_uid, delivery_id) for sop_uid, status in statuses],
    )
