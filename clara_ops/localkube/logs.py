"""Reading a container's log file: `<RFC 3339 time> <F|P> <line>`, P for a line that goes on in the next entry."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

POLL_INTERVAL = 0.02
_STAMP = len("2006-01-02T15:04:05.000000000Z")
_TEXT = _STAMP + len(" F ")


@dataclass(frozen=True)
class LogQuery:
    """What of a log is asked for: with its times, from a time on, the last lines only, at most so many bytes."""

    timestamps: bool = False
    since: datetime | None = None
    tail: int | None = None
    limit: int | None = None


class LogReader:
    """Reads a log from its beginning, and then what has come since."""

    def __init__(self, path: Path, query: LogQuery) -> None:
        self._file = path.open("rb")
        self._timestamps = query.timestamps
        self._since = query.since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z").encode() if query.since else b""
        self._tail = query.tail
        self._left = query.limit
        self._rest = b""
        self._line_is_open = False

    def read(self) -> bytes:
        """What is new, as the API sends it."""
        *entries, self._rest = (self._rest + self._file.read()).split(b"\n")
        chosen = deque((entry for entry in entries if entry[:_STAMP] >= self._since), maxlen=self._tail)
        self._tail = None
        text = b"".join(map(self._text, chosen))[: self._left]
        if self._left is not None:
            self._left -= len(text)
        return text

    def _text(self, entry: bytes) -> bytes:
        stamp = entry[:_STAMP] + b" " if self._timestamps and not self._line_is_open else b""
        self._line_is_open = entry[_STAMP + 1 : _STAMP + 2] == b"P"
        return stamp + entry[_TEXT:] + (b"" if self._line_is_open else b"\n")

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def read_log(path: Path, query: LogQuery) -> bytes:
    """What a log holds now; nothing where the container has none."""
    if not path.exists():
        return b""
    with closing(LogReader(path, query)) as reader:
        return reader.read()


async def follow_log(path: Path, query: LogQuery, ended: Callable[[], bool]) -> AsyncIterator[bytes]:
    """What a log holds and then what comes, until `ended` says that nothing more will."""
    if not path.exists():
        return
    with closing(LogReader(path, query)) as reader:
        while True:
            last = ended()
            text = reader.read()
            if text:
                yield text
            elif last:
                return
            else:
                await asyncio.sleep(POLL_INTERVAL)
