"""A thread that does one kind of work, when woken and when its time has come."""

import logging
import sqlite3
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)

_AFTER_JOURNAL_ERROR = 2.0


class Worker:
    """Calls `step` again and again: when `bell` is set, and after the seconds that the step asked for."""

    def __init__(
        self, name: str, step: Callable[[], float], bell: threading.Event, on_death: Callable[[], None]
    ) -> None:
        self._step = step
        self._on_death = on_death
        self._bell = bell
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, patience: float) -> None:
        """End after the step that is being done, waiting at most `patience` seconds for it."""
        self._stopping = True
        self._bell.set()
        if self._thread.ident is not None:
            self._thread.join(patience)

    def is_alive(self) -> bool:
        """Whether the thread still works."""
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._bell.clear()
                self._bell.wait(self._try_step())
        finally:
            if not self._stopping:
                self._on_death()

    def _try_step(self) -> float:
        try:
            return self._step()
        except sqlite3.Error as error:
            log.error("journal not writable, trying again", extra={"worker": self._thread.name, "reason": str(error)})
            return _AFTER_JOURNAL_ERROR
