"""What is shown of series: their group's state, counts, the newest decision."""

import json
import sqlite3
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class SeriesRow:
    """One series of one called AE title. `own`, `ignored` and conflicting instances are counted apart, and so are
    those that were removed when their retention was over."""

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
    removed: int
    first_instance: float
    last_instance: float
    evidence: Any
    runs: tuple[str, ...]


_SERIES = """
SELECT s.series_uid, s.study_uid, g.ae_title, g.id AS group_id, g.calling_ae, g.state, g.reason, g.generation,
  sum(i.status = 'kept') AS instances, sum(i.status = 'conflict') AS conflicts, sum(i.status = 'aside') AS aside,
  sum(i.status IN ('expired', 'removed')) AS removed,
  min(i.received) AS first_instance, max(i.received) AS last_instance
FROM groups g JOIN series s ON s.group_id = g.id JOIN instances i ON i.series_id = s.id
"""


def list_series(database: sqlite3.Connection, limit: int) -> list[SeriesRow]:
    """The series that came last, newest first."""
    rows = database.execute(
        f"{_SERIES} WHERE s.id IN (SELECT id FROM series ORDER BY id DESC LIMIT ?) GROUP BY s.id ORDER BY s.id DESC",
        (limit,),
    ).fetchall()
    return [_series(database, row) for row in rows]


def find_series(database: sqlite3.Connection, series_uid: str, ae_title: str | None) -> SeriesRow | None:
    """A series; the one last sent to where several AE titles have it and none is named."""
    row = database.execute(
        f"{_SERIES} WHERE s.series_uid = ? AND (? IS NULL OR g.ae_title = ?) "
        "GROUP BY s.id ORDER BY last_instance DESC LIMIT 1",
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
