"""Deletes what is over and old enough, and, when the disk fills, what is over; never what is needed or undelivered."""

import logging
import shutil
import sqlite3
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from clara_ops.contract.payload import MANIFEST, PAYLOADS
from clara_ops.contract.states import RunState
from dicom_listener.config import Retention
from dicom_listener.journal import Journal
from dicom_listener.journal.retention import (
    Due,
    due_groups,
    due_payloads,
    expire,
    expired_paths,
    groups_in_use,
    mark_removed,
    removed_payloads,
)
from dicom_listener.journal.store import sync_folder
from dicom_listener.live_config import LiveConfig
from dicom_listener.uploads import UPLOADS

log = logging.getLogger(__name__)

_WELL = (RunState.DONE, RunState.DELIVERED, RunState.REJECTED, RunState.NOT_APPLICABLE, RunState.SUPERSEDED)
_INTERVAL = 60.0
_BATCH = 50
_FILES = 2000
_LEAST_AGE = 3600.0


class Retainer:
    """The step of a worker.

    Args:
        free: free share of the claim, percent.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        journal: Journal,
        live: LiveConfig,
        data: Path,
        free: Callable[[Path], float] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._journal = journal
        self._live = live
        self._data = data
        self._free = free or free_percent
        self._clock = clock

    def step(self) -> float:
        """Delete a batch of what is due; answers the seconds until the next look."""
        retention = self._live.current.clara.retention
        now = self._clock()
        due = self._journal.read(partial(_due_by_age, retention=retention, now=now))
        if not due and self._free(self._data) < retention.make_room_below_percent:
            due = self._journal.read(partial(_due_for_room, now=now))
            if not due:
                log.warning("the disk fills and nothing is over that could go", extra={"free": self._free(self._data)})
        gone = [item for item in due if self._journal.write(partial(expire, due=item, now=now))]
        files = self._remove_files() + self._remove_payloads() + self._remove_uploads(now)
        if gone or files:
            log.info("removed by retention", extra={"payloads_and_groups": len(gone), "files": files})
        return 0.0 if gone else _INTERVAL

    def _remove_files(self) -> int:
        count = 0
        while paths := self._journal.read(partial(expired_paths, limit=_FILES)):
            for path in paths:
                (self._data / "spool" / path).unlink(missing_ok=True)
            for folder in {(self._data / "spool" / path).parent for path in paths}:
                if folder.is_dir():
                    sync_folder(folder)
            self._journal.write(partial(mark_removed, paths=paths))
            count += len(paths)
        return count

    def _remove_payloads(self) -> int:
        """Folders of payloads that the journal has given up; the manifest goes first, so that none is used half."""
        folder = self._data / PAYLOADS
        there = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
        given_up = there & self._journal.read(removed_payloads) if there else set()
        for run_id in given_up:
            (folder / run_id / MANIFEST).unlink(missing_ok=True)
            shutil.rmtree(folder / run_id)
        return len(given_up)

    def _remove_uploads(self, now: float) -> int:
        """Files that came by REST, once no payload of their runs is left; new ones may still get their run."""
        folder = self._data / UPLOADS
        old = {path.name for path in _folders(folder) if path.stat().st_mtime < now - _LEAST_AGE}
        unused = old - self._journal.read(groups_in_use) if old else set()
        for group in unused:
            shutil.rmtree(folder / group)
        return len(unused)


def _folders(parent: Path) -> list[Path]:
    """The folders in a folder that may not be there; hidden ones are left out."""
    if not parent.is_dir():
        return []
    return [path for path in parent.iterdir() if path.is_dir() and not path.name.startswith(".")]


def _due_by_age(database: sqlite3.Connection, retention: Retention, now: float) -> list[Due]:
    before = {**dict.fromkeys(_WELL, now - retention.payloads), RunState.FAILED: now - retention.failed}
    groups = due_groups(database, now - retention.received, now - retention.failed, now - retention.discarded, _BATCH)
    return due_payloads(database, before, _BATCH) + groups


def _due_for_room(database: sqlite3.Connection, now: float) -> list[Due]:
    """A few of what is over and went well, oldest first: payloads before images, and nothing of a failed run."""
    moment, never = now - _LEAST_AGE, float("-inf")
    payloads = due_payloads(database, dict.fromkeys(_WELL, moment), _BATCH // 5)
    return payloads or due_groups(database, moment, never, moment, _BATCH // 5)


def free_percent(folder: Path) -> float:
    """Free share of a file system, percent."""
    usage = shutil.disk_usage(folder)
    return usage.free / usage.total * 100
