"""The journal's file: durable changes with group commit, and reads beside them."""

import fcntl
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Generic, TypeVar

from dicom_listener.errors import JournalError, ListenerError
from dicom_listener.journal.schema import migrate

T = TypeVar("T")
Change = Callable[[sqlite3.Connection], T]


@dataclass
class _Ticket(Generic[T]):
    """A change on its way to the disk, with what became of it."""

    change: Change[T]
    folders: frozenset[Path]
    done: bool = False
    result: T | None = None
    error: Exception | None = None


class Journal:
    """SQLite in WAL mode with `synchronous=FULL`: when `write` returns, the change survives a power cut.

    Changes that arrive while another one is on its way to the disk are committed together, by whichever thread comes
    first: many associations share one sync, and a single one pays no hand-over between threads.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock_file = _lock(path)
        try:
            self._writer = _connect(path)
            migrate(self._writer)
            self._reader = _connect(path)
        except sqlite3.DatabaseError as error:
            raise JournalError(f"{path}: cannot be opened as a journal: {error}") from error
        self._waiting: list[_Ticket[object]] = []
        self._waiting_lock = threading.Lock()
        self._commit_lock = threading.Lock()
        self._read_lock = threading.Lock()

    def write(self, change: Change[T], folders: Iterable[Path] = ()) -> T:
        """Apply a change and make it durable.

        Args:
            change: executes statements on the connection; an error that it raises undoes this change only.
            folders: folders that got new names of files; they are synced before the change is committed.

        Raises:
            sqlite3.Error, OSError: the disk did not take it; nothing of the change is there.
        """
        ticket: _Ticket[T] = _Ticket(change, frozenset(folders))
        with self._waiting_lock:
            self._waiting.append(ticket)  # type: ignore[arg-type]
        with self._commit_lock:
            if not ticket.done:
                self._commit_waiting()
        if ticket.error is not None:
            raise ticket.error
        return ticket.result  # type: ignore[return-value]

    def read(self, query: Change[T]) -> T:
        """Run a query over what is committed."""
        with self._read_lock:
            return query(self._reader)

    def close(self) -> None:
        """Finish what is being committed and close the file."""
        with self._commit_lock, self._read_lock:
            self._reader.close()
            self._writer.close()
        self._lock_file.close()

    def _commit_waiting(self) -> None:
        with self._waiting_lock:
            tickets, self._waiting = self._waiting, []
        failure: Exception | None = JournalError("the change was not committed")
        try:
            for folder in frozenset().union(*(ticket.folders for ticket in tickets)):
                sync_folder(folder)
            self._writer.execute("BEGIN IMMEDIATE")
            for ticket in tickets:
                self._apply(ticket)
            self._writer.execute("COMMIT")
        except (sqlite3.Error, OSError) as error:
            failure = error
        else:
            failure = None
        finally:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            for ticket in tickets:
                ticket.done = True
                ticket.error = failure or ticket.error

    def _apply(self, ticket: _Ticket[object]) -> None:
        self._writer.execute("SAVEPOINT ticket")
        try:
            ticket.result = ticket.change(self._writer)
        except (sqlite3.Error, ListenerError) as error:
            ticket.error = error
            self._writer.execute("ROLLBACK TO ticket")
        self._writer.execute("RELEASE ticket")


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _lock(path: Path) -> IO[bytes]:
    """Keep a second listener off; the kernel lets go of the lock when the process ends, however it ends."""
    file = path.with_name(f"{path.name}.lock").open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise JournalError(f"{path}: another listener works on this journal: stop it first") from error
    return file


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
    connection.row_factory = sqlite3.Row
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "temp_store = MEMORY"):
        connection.execute(f"PRAGMA {pragma}")
    return connection
