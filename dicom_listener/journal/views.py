"""What is shown of series: their group's state, counts, the newest decision."""

import json
import sqlite3
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class SeriesRow:
    """One series of one called AE title. `own`, `ignored` and conflicting instances are counted apart."""

    series_uid: str
    study_uid: str
    ae_title: str
    calling_ae: str
    state: str
    reason: str
    generation: int
    instances: int
    conflicts: int
    aside: int
    first_instance: float
    last_instance: float
    evidence: Any
    runs: tuple[str, ...]


_SERIES = """
SELECT i.series_uid, i.study_uid, i.ae_title, g.id AS group_id, g.calling_ae, g.state, g.reason, g.generation,
  sum(i.status = 'kept') AS instances, sum(i.status = 'conflict') AS conflicts, sum(i.status = 'aside') AS aside,
  min(i.received) AS first_instance, max(i.received) AS last_instance
FROM instances i JOIN groups g ON g.id = i.group_id
"""


def list_series(database: sqlite3.Connection, limit: int) -> list[SeriesRow]:
    """Series of the groups that were last sent to, newest first."""
    rows = database.execute(
        f"{_SERIES} WHERE g.id IN (SELECT id FROM groups ORDER BY last_instance DESC LIMIT ?) "
        "GROUP BY i.series_uid, i.ae_title, g.id ORDER BY last_instance DESC LIMIT ?",
        (limit, limit),
    ).fetchall()
    return [_series(database, row) for row in rows]


def find_series(database: sqlite3.Connection, series_uid: str, ae_title: str | None) -> SeriesRow | None:
    """A series; the one last sent to where several AE titles have it and none is named."""
    row = database.execute(
        f"{_SERIES} WHERE i.series_uid = ? AND (? IS NULL OR i.ae_title = ?) "
        "GROUP BY i.series_uid, i.ae_title, g.id ORDER BY last_instance DESC LIMIT 1",
        (series_uid, ae_title, ae_title),
    ).fetchone()
    return None if row is None else _series(database, row)


def _series(database: sqlite3.Connection, row: sqlite3.Row) -> SeriesRow:
    values = dict(row)
    group_id = values.pop("group_id")
    decision = database.execute(
        "SELECT evidence FROM decisions WHERE group_id = ? ORDER BY rowid DESC LIMIT 1", (group_id,)
    ).fetchone()
    runs = database.execute("SELECT run_id FROM runs WHERE group_id = ? ORDER BY created", (group_id,))
    return SeriesRow(
        **values,
        evidence=None if decision is None else json.loads(decision["evidence"]),
        runs=tuple(run["run_id"] for run in runs),
    )
