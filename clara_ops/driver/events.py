"""What a stage says while it works: JSON lines in `logs/<stage>.events.jsonl`, and a line of its log for each."""

import json
from datetime import UTC, datetime
from pathlib import Path

from clara_ops.driver.progress import Progress, clamp_percent


class StageEvents:
    """Writes the events of one try of one stage.

    A retry adds its events to the file: the last `start` begins the try that counts.
    """

    def __init__(self, stage: str, file: Path | None = None, show: Progress | None = None) -> None:
        """Without `file` nothing is written; `show` is told of progress in place of the log."""
        self._stage = stage
        self._file = file
        self._show = show
        self._last: tuple[int, str] | None = None

    def start(self) -> None:
        """The driver has taken over; the stage may still wait for locks."""
        self._write("start", percent=0.0)

    def progress(self, percent: float, message: str = "", /) -> None:
        """What a stage calls; repeated calls within one percent and with the same message count once."""
        percent = clamp_percent(percent)
        if self._last == (int(percent), message):
            return
        self._last = (int(percent), message)
        self._write("progress", percent=percent, message=message)
        if self._show is None:
            print(f"progress {percent:.0f}% {message}".rstrip(), flush=True)
        else:
            self._show(percent, message)

    def end(self, exit_code: int, message: str) -> None:
        """The stage is over; `message` is its error, if any."""
        percent = 100.0 if exit_code == 0 else None
        self._write("end", percent=percent, exit_code=exit_code, message=message)

    def _write(self, event: str, percent: float | None = None, exit_code: int | None = None, message: str = "") -> None:
        if self._file is None:
            return
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "event": event,
            "percent": percent,
            "exit_code": exit_code,
            "message": message,
        }
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def events_file(logs: Path, stage: str) -> Path:
    """Where the events of a stage are."""
    return logs / f"{stage}.events.jsonl"
