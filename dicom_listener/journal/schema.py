"""Tables of the journal, as a list of migrations: `PRAGMA user_version` counts how many were applied.

Times are seconds since 1970 (UTC). Nothing here identifies a patient.
"""

import sqlite3

from dicom_listener.errors import JournalError

_FIRST = """
CREATE TABLE associations (
  id TEXT PRIMARY KEY,
  called_ae TEXT NOT NULL,
  calling_ae TEXT NOT NULL,
  address TEXT NOT NULL,
  opened REAL NOT NULL,
  closed REAL,
  ended TEXT
) STRICT;

CREATE TABLE groups (
  id INTEGER PRIMARY KEY,
  ae_title TEXT NOT NULL,
  level TEXT NOT NULL,
  value TEXT NOT NULL,
  study_uid TEXT NOT NULL,
  series_uid TEXT NOT NULL,
  calling_ae TEXT NOT NULL,
  state TEXT NOT NULL,
  reason TEXT NOT NULL,
  generation INTEGER NOT NULL,
  UNIQUE (ae_title, level, value)
) STRICT;
CREATE INDEX groups_by_state ON groups (state);

CREATE TABLE series (
  id INTEGER PRIMARY KEY,
  group_id INTEGER NOT NULL REFERENCES groups (id),
  series_uid TEXT NOT NULL,
  study_uid TEXT NOT NULL,
  announced INTEGER,
  UNIQUE (group_id, series_uid)
) STRICT;
CREATE INDEX series_by_uid ON series (series_uid);
CREATE INDEX series_by_study ON series (study_uid);

CREATE TABLE instances (
  id INTEGER PRIMARY KEY,
  series_id INTEGER NOT NULL REFERENCES series (id),
  ae_title TEXT NOT NULL,
  sop_uid TEXT NOT NULL,
  sop_class TEXT NOT NULL,
  transfer_syntax TEXT NOT NULL,
  path TEXT NOT NULL,
  size INTEGER NOT NULL,
  association TEXT NOT NULL REFERENCES associations (id),
  received REAL NOT NULL,
  status TEXT NOT NULL,
  generation INTEGER,
  number INTEGER,
  position REAL,
  orientation TEXT,
  modality TEXT,
  body_part TEXT
) STRICT;
CREATE INDEX instances_by_series ON instances (series_id);
CREATE UNIQUE INDEX one_that_counts ON instances (sop_uid, ae_title) WHERE status NOT IN ('conflict', 'replaced');
CREATE INDEX others_of_a_uid ON instances (sop_uid, ae_title) WHERE status IN ('conflict', 'replaced');

CREATE TABLE decisions (
  group_id INTEGER NOT NULL REFERENCES groups (id),
  generation INTEGER NOT NULL,
  decided REAL NOT NULL,
  state TEXT NOT NULL,
  reason TEXT NOT NULL,
  by_release INTEGER NOT NULL,
  evidence TEXT NOT NULL
) STRICT;
CREATE INDEX decisions_by_group ON decisions (group_id);

CREATE TABLE sources (
  calling_ae TEXT NOT NULL,
  address TEXT NOT NULL,
  longest_gap REAL NOT NULL,
  releases_right INTEGER NOT NULL,
  releases_wrong INTEGER NOT NULL,
  PRIMARY KEY (calling_ae, address)
) STRICT, WITHOUT ROWID;

CREATE TABLE runs (
  run_id TEXT PRIMARY KEY,
  workflow TEXT NOT NULL,
  dag_id TEXT,
  ae_title TEXT NOT NULL,
  group_id INTEGER NOT NULL REFERENCES groups (id),
  group_value TEXT NOT NULL,
  generation INTEGER NOT NULL,
  newest INTEGER NOT NULL,
  calling_ae TEXT NOT NULL,
  study_uid TEXT NOT NULL,
  series_uid TEXT NOT NULL,
  facts TEXT NOT NULL,
  destination TEXT,
  state TEXT NOT NULL,
  reason TEXT NOT NULL,
  created REAL NOT NULL,
  updated REAL NOT NULL,
  last_instance REAL NOT NULL,
  triggered REAL,
  finished REAL,
  delivered REAL,
  UNIQUE (workflow, ae_title, group_value, generation)
) STRICT;
CREATE INDEX runs_by_state ON runs (state);
CREATE INDEX runs_by_group ON runs (group_id);

CREATE TABLE deliveries (
  id INTEGER PRIMARY KEY,
  payload TEXT NOT NULL,
  folder TEXT NOT NULL,
  destination TEXT NOT NULL,
  state TEXT NOT NULL,
  reason TEXT NOT NULL,
  created REAL NOT NULL,
  updated REAL NOT NULL,
  UNIQUE (payload, folder, destination)
) STRICT;
CREATE INDEX deliveries_by_state ON deliveries (state);

CREATE TABLE sent_instances (
  sop_uid TEXT NOT NULL,
  delivery_id INTEGER NOT NULL,
  sent REAL,
  warning INTEGER,
  PRIMARY KEY (sop_uid, delivery_id)
) STRICT, WITHOUT ROWID;
"""

_RETENTION = """
DROP INDEX one_that_counts;
CREATE UNIQUE INDEX one_that_counts ON instances (sop_uid, ae_title)
  WHERE status NOT IN ('conflict', 'replaced', 'expired', 'removed', 'lost');
CREATE INDEX expired_instances ON instances (path) WHERE status = 'expired';
CREATE TABLE removed_payloads (run_id TEXT PRIMARY KEY, removed REAL NOT NULL) STRICT, WITHOUT ROWID;
"""

_PAUSES = """
CREATE TABLE pauses (id INTEGER PRIMARY KEY CHECK (id = 1), since REAL NOT NULL, reason TEXT NOT NULL) STRICT;
"""

_PARAMETERS = """
ALTER TABLE runs ADD COLUMN parameters TEXT NOT NULL DEFAULT '{}';
ALTER TABLE runs ADD COLUMN request_id TEXT;
CREATE UNIQUE INDEX runs_by_request ON runs (request_id);
"""

MIGRATIONS = (_FIRST, _RETENTION, _PAUSES, _PARAMETERS)


def migrate(database: sqlite3.Connection) -> None:
    """Bring a journal to this release's form, each step in a transaction of its own.

    Raises:
        JournalError: a later release wrote it.
    """
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version > len(MIGRATIONS):
        raise JournalError(
            f"the journal has schema {version}, this release knows up to {len(MIGRATIONS)}: "
            "start the release that wrote it, or a later one"
        )
    for number, statements in enumerate(MIGRATIONS[version:], start=version + 1):
        database.executescript(f"BEGIN IMMEDIATE; {statements}; PRAGMA user_version = {number}; COMMIT;")
