"""Lock files of a payload: how a stage tells the next one that it is done, where no Airflow orders them."""

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from clara_ops.contract.documents import write_durably
from clara_ops.contract.errors import ClaraError

POLL_SECONDS = 0.2


class LockTimeout(ClaraError):
    """A stage that this one waits for has not dropped its lock in time."""


def wait_for_locks(folder: Path, names: Iterable[str], seconds: float) -> None:
    """Return when all locks are there.

    Raises:
        LockTimeout: after `seconds`, naming the locks that are missing.
    """
    deadline = time.monotonic() + seconds
    while missing := [name for name in names if not (folder / name).exists()]:
        if time.monotonic() >= deadline:
            raise LockTimeout(
                f"{folder}: no {', '.join(missing)} after {seconds:g} s; see the log of the stage that drops it, "
                "or give CLARA_WAIT_TIMEOUT more seconds"
            )
        time.sleep(POLL_SECONDS)


def drop_lock(folder: Path, name: str) -> None:
    """Say that the stage is done; the lock holds the time, for a person who looks."""
    write_durably(folder / name, f"{datetime.now(UTC).isoformat(timespec='seconds')}\n".encode())


def remove_lock(folder: Path, name: str) -> None:
    """Take back what an earlier try of this stage may have said."""
    (folder / name).unlink(missing_ok=True)
