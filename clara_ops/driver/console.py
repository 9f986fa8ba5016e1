"""Everything that a stage prints, native code and child processes too, also goes to its log file."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO, cast

DRAIN_SECONDS = 5.0
_COPIER = Path(__file__).with_name("console_copier.py")


@contextmanager
def console_copied_to(log_file: Path | None) -> Iterator[None]:
    """Send file descriptors 1 and 2 through a process that writes them to the old stdout and to the log file.

    What the stage's own code writes to the log file, and not to its console, is sent to the old stdout as well, so that
    it is seen where Kubernetes looks. A process, and not a thread: native code may hold Python's lock while it prints,
    and what a crash printed last must not be lost.
    """
    if log_file is None:
        yield
        return
    seen = log_file.stat().st_size if log_file.exists() else 0
    _flush()
    saved = (os.dup(1), os.dup(2))
    read_end, write_end = os.pipe()
    command = [sys.executable, "-I", "-S", str(_COPIER), str(log_file), str(seen)]
    copier = subprocess.Popen(command, stdin=read_end, stdout=saved[0], start_new_session=True)
    os.close(read_end)
    os.dup2(write_end, 1)
    os.dup2(write_end, 2)
    os.close(write_end)
    _flush_every_line()
    try:
        yield
    finally:
        _flush()
        for number, original in enumerate(saved, start=1):
            os.dup2(original, number)
            os.close(original)
        # A process that the stage left behind may hold the pipe open; the container's end ends it too.
        with suppress(subprocess.TimeoutExpired):
            copier.wait(DRAIN_SECONDS)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        stream.flush()


def _flush_every_line() -> None:
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            cast("TextIO", stream).reconfigure(line_buffering=True)  # type: ignore[attr-defined]
