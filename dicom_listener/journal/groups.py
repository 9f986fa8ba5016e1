"""Groups of instances (a series, or a study): from receiving to the decision that makes runs of them."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from clara_ops.contract.conf import FactValue
from clara_ops.contract.run_id import make_run_id
from clara_ops.contract.states import RunState, SeriesState
from dicom_listener.dataset import plane
from dicom_listener.journal.sources import learn

FILES_LEVEL = "files"
"""Level of a group of files that are no DICOM."""


@dataclass(frozen=True)
class Group:
    """A group as the journal has it; `newest` is the row of the newest instance that counts."""

    id: int
    ae_title: str
    level: str
    value: str
    study_uid: str
    series_uid: str
    calling_ae: str
    state: str
    reason: str
    generation: int
    instances: int
    last_instance: float
    newest: int


@dataclass(frozen=True)
class Slice:
    """What an instance says of its place in the series; `position` in mm along the slice normal."""

    series: int
    number: int | None
    position: float | None
    orientation: str | None


@dataclass(frozen=True)
class Start:
    """A workflow that a group is to start, and where its results go; `parameters` are those that somebody set."""

    workflow: str
    destination: str | None
    parameters: Mapping[str, FactValue] = field(default_factory=dict)
    request_id: str | None = None


_GROUP = """
SELECT g.id, g.ae_title, g.level, g.value, g.study_uid, g.series_uid, g.calling_ae, g.state, g.reason, g.generation,
  count(i.id) AS instances, coalesce(max(i.received), 0.0) AS last_instance, coalesce(max(i.id), 0) AS newest
FROM groups g LEFT JOIN series s ON s.group_id = g.id LEFT JOIN instances i ON i.series_id = s.id AND i.status = 'kept'
"""
_KEPT_OF_GROUP = "instances i JOIN series s ON s.id = i.series_id WHERE s.group_id = ? AND i.status = 'kept'"


def receiving_groups(database: sqlite3.Connection) -> list[int]:
    """Groups whose decision is still to come."""
    return [
        int(row["id"]) for row in database.execute("SELECT id FROM groups WHERE state = ?", (SeriesState.RECEIVING,))
    ]


def get_group(database: sqlite3.Connection, group_id: int) -> Group:
    """A group by its row."""
    return Group(**database.execute(f"{_GROUP} WHERE g.id = ? GROUP BY g.id", (group_id,)).fetchone())


def find_group_of_series(database: sqlite3.Connection, ae_title: str, series_uid: str) -> Group | None:
    """The group that a series belongs to, whatever its AE title groups by; the newest of several."""
    row = database.execute(
        "SELECT g.id FROM groups g JOIN series s ON s.group_id = g.id WHERE g.ae_title = ? AND s.series_uid = ? "
        "ORDER BY g.id DESC LIMIT 1",
        (ae_title, series_uid),
    ).fetchone()
    return None if row is None else get_group(database, row["id"])


def find_group(database: sqlite3.Connection, ae_title: str, value: str) -> Group | None:
    """A group by its value: the Series (or Study) Instance UID."""
    row = database.execute(f"{_GROUP} WHERE g.ae_title = ? AND g.value = ? GROUP BY g.id", (ae_title, value)).fetchone()
    return None if row is None else Group(**row)


def note_files_group(database: sqlite3.Connection, ae_title: str, value: str) -> Group:
    """The group of files that came by REST; it holds no instance, and nothing of it is still to come."""
    database.execute(
        "INSERT OR IGNORE INTO groups (ae_title, level, value, study_uid, series_uid, calling_ae, state, reason, "
        "generation) VALUES (?, ?, ?, '', '', '', ?, 'files, by POST /v1/runs', 1)",
        (ae_title, FILES_LEVEL, value, SeriesState.COMPLETE),
    )
    row = database.execute(
        f"{_GROUP} WHERE g.ae_title = ? AND g.level = ? AND g.value = ? GROUP BY g.id", (ae_title, FILES_LEVEL, value)
    ).fetchone()
    return Group(**row)


def slices(database: sqlite3.Connection, group_id: int) -> list[Slice]:
    """Where the instances of a group lie."""
    query = f"SELECT i.series_id AS series, i.number, i.position, i.orientation FROM {_KEPT_OF_GROUP}"
    return [Slice(**row) for row in database.execute(query, (group_id,))]


def kept_paths(database: sqlite3.Connection, group_id: int) -> list[str]:
    """Where the instances of a group lie, relative to the spool."""
    return [
        str(row["path"]) for row in database.execute(f"SELECT i.path FROM {_KEPT_OF_GROUP} ORDER BY i.id", (group_id,))
    ]


def announced(database: sqlite3.Connection, group_id: int) -> int | None:
    """How many instances a group has, where its sender says so for every series."""
    row = database.execute(
        "SELECT count(*) AS series, count(announced) AS known, sum(announced) AS total FROM series WHERE group_id = ?",
        (group_id,),
    ).fetchone()
    return int(row["total"]) if row["series"] and row["series"] == row["known"] else None


def facts(database: sqlite3.Connection, group_id: int) -> dict[str, FactValue]:
    """Allow-listed attributes of a group: nothing that identifies."""
    row = database.execute(
        "SELECT count(*) AS instances, min(i.modality) AS modality, max(i.modality) AS other, "
        f"min(i.body_part) AS body_part, max(i.body_part) AS other_part FROM {_KEPT_OF_GROUP}",
        (group_id,),
    ).fetchone()
    found: dict[str, FactValue] = {"instances": int(row["instances"])}
    if row["modality"] and row["modality"] == row["other"]:
        found["modality"] = row["modality"]
    if row["body_part"] and row["body_part"] == row["other_part"]:
        found["body_part"] = row["body_part"]
    planes = {
        plane(row["orientation"])
        for row in database.execute(f"SELECT DISTINCT i.orientation FROM {_KEPT_OF_GROUP}", (group_id,))
        if row["orientation"]
    }
    if len(planes) == 1:
        found["orientation"] = planes.pop()
    return found


def decide_group(
    database: sqlite3.Connection,
    group: Group,
    state: SeriesState,
    reason: str,
    evidence: Mapping[str, Any],
    now: float,
    *,
    by_release: bool = False,
) -> bool:
    """Store a decision and its evidence, and learn from it; False when the group changed since `group` was read."""
    if get_group(database, group.id) != group:
        return False
    database.execute("UPDATE groups SET state = ?, reason = ? WHERE id = ?", (state, reason, group.id))
    database.execute(
        "INSERT INTO decisions (group_id, generation, decided, state, reason, by_release, evidence) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        (group.id, group.generation, now, state, reason, by_release, json.dumps(evidence, sort_keys=True)),
    )
    learn(database, group.id, group.generation, by_release=by_release)
    return True


def decided_groups(database: sqlite3.Connection, since: float) -> list[tuple[int, dict[str, Any]]]:
    """Groups that were decided since a time and are not receiving again, with the evidence of the newest decision."""
    rows = database.execute(
        "SELECT d.group_id, d.evidence FROM decisions d JOIN groups g ON g.id = d.group_id WHERE g.state != ? "
        "AND d.rowid IN (SELECT max(rowid) FROM decisions GROUP BY group_id) AND d.decided >= ? ORDER BY d.decided",
        (SeriesState.RECEIVING, since),
    )
    return [(int(row["group_id"]), json.loads(row["evidence"])) for row in rows]


def make_runs(
    database: sqlite3.Connection, group: Group, starts: Sequence[Start], known: Mapping[str, FactValue], now: float
) -> list[str]:
    """A pending run for every workflow, with the next free generation; earlier ones that still wait make way."""
    run_ids = []
    for start in starts:
        generation = _next_generation(database, group, start.workflow)
        run_id = make_run_id(start.workflow, group.ae_title, group.value, generation)
        database.execute(
            "UPDATE runs SET state = ?, reason = ?, updated = ?, finished = ? "
            "WHERE workflow = ? AND ae_title = ? AND group_value = ? AND state = ?",
            (
                RunState.SUPERSEDED,
                f"by {run_id}",
                now,
                now,
                start.workflow,
                group.ae_title,
                group.value,
                RunState.PENDING,
            ),
        )
        database.execute(
            "INSERT INTO runs (run_id, workflow, ae_title, group_id, group_value, generation, newest, calling_ae, "
            "study_uid, series_uid, facts, destination, state, reason, created, updated, last_instance, parameters, "
            "request_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '', ?, ?, ?, ?, ?)",
            (
                run_id,
                start.workflow,
                group.ae_title,
                group.id,
                group.value,
                generation,
                group.newest,
                group.calling_ae,
                group.study_uid,
                group.series_uid,
                json.dumps(known, sort_keys=True),
                start.destination,
                RunState.PENDING,
                now,
                now,
                group.last_instance,
                json.dumps(dict(start.parameters), sort_keys=True),
                start.request_id,
            ),
        )
        run_ids.append(run_id)
    return run_ids


def _next_generation(database: sqlite3.Connection, group: Group, workflow: str) -> int:
    (last,) = database.execute(
        "SELECT max(generation) FROM runs WHERE workflow = ? AND ae_title = ? AND group_value = ?",
        (workflow, group.ae_title, group.value),
    ).fetchone()
    return int(last or 0) + 1
