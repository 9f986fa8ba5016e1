"""SIGTERM, from Kubernetes or Ctrl-C, as an exception, so that a stage cleans up behind itself."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StageStopped(BaseException):
    """The stage is told to stop. Not an Exception: no handler of the stage's own may swallow it."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.exit_code = 128 + number


class StopSignals:
    """The first signal raises StageStopped within `raising()`, at its start if it came before; later ones are ignored.

    The time around `raising()` is the driver's own: it empties, renames and reports, and is done in milliseconds.
    """

    def __init__(self) -> None:
        self._received: int | None = None
        self._armed = False

    @contextmanager
    def held(self) -> Iterator["StopSignals"]:
        """Take the signals over, and give them back at the end.

        Python allows that in the main thread only; in another one nothing changes.
        """
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        before: dict[signal.Signals, Any] = {number: signal.signal(number, self._handle) for number in SIGNALS}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def raising(self) -> Iterator[None]:
        """The part that a signal interrupts."""
        self._armed = True
        try:
            if self._received is not None:
                raise StageStopped(self._received)
            yield
        finally:
            self._armed = False

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self._received is None:
            self._received = number
            if self._armed:
                raise StageStopped(number)
