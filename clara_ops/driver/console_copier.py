"""Copy stdin to stdout and to a log file that others write too; a program of its own, started by `console`.

Usage: python -I -S console_copier.py LOG_FILE BYTES_SEEN

Bytes that somebody else adds to the log file are copied to stdout. Our own are told apart by where they landed: the
file is open for appending, so the position after a write says where it ended.
"""

import os
import select
import sys

POLL_SECONDS = 0.2
CHUNK = 1 << 16


class SharedLog:
    """A log file with several writers.

    When it shrinks, another writer has started it anew and writes at positions of its own: from then on the file is
    theirs, and is only read.
    """

    def __init__(self, path: str, seen: int) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o640)
        self._seen = seen
        self._ours = True

    def added_by_others(self) -> bytes:
        """What was added since the last look."""
        size = os.fstat(self._file).st_size
        if size < self._seen:
            self._seen = 0
            self._ours = False
        return self._read_to(size)

    def append(self, chunk: bytes) -> bytes:
        """Add our bytes; returns what others have added just before."""
        if not self._ours:
            return b""
        written = os.write(self._file, chunk)
        end = os.lseek(self._file, 0, os.SEEK_CUR)
        others = self._read_to(end - written)
        self._seen = end
        return others

    def _read_to(self, end: int) -> bytes:
        parts = []
        while self._seen < end:
            part = os.pread(self._file, min(CHUNK, end - self._seen), self._seen)
            if not part:
                break
            self._seen += len(part)
            parts.append(part)
        return b"".join(parts)


def copy(source: int, target: int, log: SharedLog | None) -> None:
    """Copy until the source ends."""
    while True:
        ready, _, _ = select.select([source], [], [], POLL_SECONDS)
        chunk = os.read(source, CHUNK) if ready else None
        if log is not None:
            try:
                others = log.added_by_others()
                others += log.append(chunk) if chunk else b""
            except OSError as error:
                others = f"log file given up: {error.strerror}\n".encode()
                log = None
            _write_all(target, others)
        if chunk == b"":
            return
        _write_all(target, chunk or b"")


def _write_all(target: int, data: bytes) -> None:
    while data:
        data = data[os.write(target, data) :]


def main() -> None:
    """Copy stdin to stdout and to the log file, as long as that can be written."""
    try:
        log = SharedLog(sys.argv[1], seen=int(sys.argv[2]))
    except OSError as error:
        os.write(1, f"log file not written: {sys.argv[1]}: {error.strerror}\n".encode())
        log = None
    copy(0, 1, log)


if __name__ == "__main__":
    main()
