"""What a command costs as a whole: seconds, processor seconds, and memory, with all processes that it starts."""

import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

_SAMPLE_SECONDS = 0.01
_PROC = Path("/proc")


@dataclass(frozen=True)
class Cost:
    """Of one run: wall clock and processor seconds, from before the process is made until it is gone."""

    wall: float
    cpu: float


class CommandFailed(Exception):
    """A command that is measured did not end with exit code 0."""


def cost_of(command: Sequence[str]) -> Cost:
    """Run a command once.

    Raises:
        CommandFailed: with the end of what it said.
    """
    with TemporaryFile("w+") as said:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        _check(command, process.returncode, said)
    return Cost(wall, usage.ru_utime + usage.ru_stime)


def peak_memory_of(command: Sequence[str]) -> float:
    """Run a command once; the largest sum of the proportional set sizes (Pss) of its processes, MiB.

    Pages that processes share count once; the page cache does not count. Sampled a hundred times a second.
    """
    peak = 0.0
    with TemporaryFile("w+") as said:
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)
        while process.poll() is None:
            peak = max(peak, sum(map(_proportional_set_size, _tree(process.pid))))
            time.sleep(_SAMPLE_SECONDS)
        _check(command, process.returncode, said)
    return peak / 1024


def _check(command: Sequence[str], exit_code: int, said: IO[str]) -> None:
    if exit_code:
        said.seek(0)
        raise CommandFailed(f"{' '.join(command)}: exit code {exit_code}: {''.join(list(said)[-5:])}")


def _tree(pid: int) -> Iterator[int]:
    yield pid
    with suppress(OSError):
        for task in (_PROC / str(pid) / "task").iterdir():
            for child in (task / "children").read_text().split():
                yield from _tree(int(child))


def _proportional_set_size(pid: int) -> float:
    """KiB; 0 of a process that is gone."""
    with suppress(OSError):
        for line in (_PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return float(line.split()[1])
    return 0.0
