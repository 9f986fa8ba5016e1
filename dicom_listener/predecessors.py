"""What an earlier generation of a run wrote and delivered: the objects that those of the next one supersede."""

import logging
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from clara_ops.contract.documents import read_document
from clara_ops.contract.errors import DocumentError
from clara_ops.contract.payload import payload_path
from clara_ops.contract.states import DeliveryState
from clara_ops.contract.written import OBJECTS, WrittenObject, WrittenObjects
from dicom_listener.journal.runs import Run

log = logging.getLogger(__name__)


def delivered_before(database: sqlite3.Connection, run: Run) -> list[tuple[str, str]]:
    """Payload and folder of what the newest earlier generation delivered; none where none did."""
    rows = database.execute(
        "SELECT DISTINCT d.payload, d.folder, r.generation FROM deliveries d JOIN runs r ON r.run_id = d.payload "
        "WHERE r.workflow = ? AND r.ae_title = ? AND r.group_value = ? AND r.generation < ? AND d.state = ? "
        "ORDER BY r.generation DESC, d.folder",
        (run.workflow, run.ae_title, run.group_value, run.generation, DeliveryState.DELIVERED),
    ).fetchall()
    return [(row["payload"], row["folder"]) for row in rows if row["generation"] == rows[0]["generation"]]


def written_before(data: Path, folders: Sequence[tuple[str, str]]) -> tuple[WrittenObject, ...]:
    """The objects that dicom-writer wrote into delivered folders; none of payloads that are gone."""
    found: list[WrittenObject] = []
    for payload, folder in folders:
        path = payload_path(data, payload) / folder / OBJECTS
        if not path.is_file():
            continue
        try:
            found += read_document(WrittenObjects, path).objects
        except DocumentError as error:
            log.warning("predecessors unknown", extra={"run": payload, "reason": str(error)})
    return tuple(found)
