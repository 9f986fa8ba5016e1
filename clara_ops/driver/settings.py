"""What the driver has to know of its stage, beside the folders."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from clara_ops.contract import environment
from clara_ops.contract.errors import ClaraError

TERMINATION_LOG = Path("/dev/termination-log")
DEFAULT_WAIT_SECONDS = 300.0


class SettingsError(ClaraError, ValueError):
    """An environment variable of the stage cannot be read."""


@dataclass(frozen=True)
class StageSettings:
    """How one stage is run.

    Attributes:
        stage: the stage's name, which names its events file.
        lock_name: lock file that this stage drops at its end, without a folder; None drops none.
        log_name: log file, without a folder; None writes none.
        wait_locks: lock files that have to be there before the stage works; empty under Airflow, whose graph does that.
        wait_seconds: how long to wait for them.
        termination_log: where Kubernetes looks for a container's last words; None outside of a container.
    """

    stage: str
    lock_name: str | None = None
    log_name: str | None = None
    wait_locks: tuple[str, ...] = ()
    wait_seconds: float = DEFAULT_WAIT_SECONDS
    termination_log: Path | None = None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> "StageSettings":
        """The settings of this container.

        Raises:
            SettingsError: `CLARA_WAIT_TIMEOUT` is not a number of seconds.
        """
        lock_name = _file_name(environ.get(environment.LOCK_NAME))
        no_locks = environ.get(environment.NO_SYNC_LOCK, "").upper() in ("TRUE", "1")
        waits = () if no_locks else environ.get(environment.WAIT_LOCK, "").replace(",", " ").split()
        return cls(
            stage=environ.get(environment.STAGE) or (Path(lock_name).stem if lock_name else "stage"),
            lock_name=lock_name,
            log_name=_file_name(environ.get(environment.LOG_NAME)),
            wait_locks=tuple(Path(name).name for name in waits),
            wait_seconds=_seconds(environ.get(environment.WAIT_TIMEOUT) or str(DEFAULT_WAIT_SECONDS)),
            termination_log=TERMINATION_LOG,
        )


def _file_name(path: str | None) -> str | None:
    return Path(path).name if path else None


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise SettingsError(f"{environment.WAIT_TIMEOUT}={text!r}: expected a number of seconds") from error
