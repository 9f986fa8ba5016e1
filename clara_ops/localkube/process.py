"""A container's processes on this machine, through their parent (`sandbox.py`), which outlives the server."""

import asyncio
import contextlib
import dataclasses
import fcntl
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from clara_ops.localkube.volumes import Mount

SANDBOX = Path(__file__).with_name("sandbox.py")


@dataclass(frozen=True)
class Launch:
    """What `sandbox.py` reads from its standard input; `memory` is a limit in bytes."""

    folder: str
    argv: list[str]
    env: dict[str, str]
    cwd: str
    isolate: bool
    read_only_root: bool
    mounts: list[Mount]
    folders: list[str]
    memory: int | None


@dataclass(frozen=True)
class Exit:
    """How a container ended; times in seconds since the epoch."""

    exit_code: int
    reason: str
    message: str
    started: float
    finished: float


class Process:
    """A running container: the parent of its processes, by a pidfd."""

    def __init__(self, pid: int, folder: Path, started: subprocess.Popen[bytes] | None = None) -> None:
        self._fd = os.pidfd_open(pid)
        self._folder = folder
        self._started = started

    async def wait(self) -> Exit | None:
        """Wait for the end. None: the parent itself was killed, nobody knows how the container ended."""
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        loop.add_reader(self._fd, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(self._fd)
        os.close(self._fd)
        self._fd = -1
        if self._started is not None:
            self._started.wait()
        return read_exit(self._folder)

    def terminate(self) -> None:
        """SIGTERM to the container's first process."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL to all of the container's processes."""
        self._signal(signal.SIGUSR1)

    def _signal(self, number: signal.Signals) -> None:
        if self._fd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._fd, number)


async def start(launch: Launch) -> tuple[Process, bool]:
    """Start a container: its process, and whether it runs. Where it does not, `wait` tells why."""
    sandbox, running = await asyncio.to_thread(_spawn, launch)
    return Process(sandbox.pid, Path(launch.folder), sandbox), running


def _spawn(launch: Launch) -> tuple[subprocess.Popen[bytes], bool]:
    with Path(launch.folder, "sandbox.stderr").open("wb") as errors:
        sandbox = subprocess.Popen(
            [sys.executable, "-I", "-S", str(SANDBOX)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={},
            start_new_session=True,
        )
    if sandbox.stdin is None or sandbox.stdout is None:
        raise RuntimeError("subprocess made no pipes")
    with sandbox.stdin, sandbox.stdout:
        with contextlib.suppress(BrokenPipeError):
            sandbox.stdin.write(json.dumps(dataclasses.asdict(launch)).encode())
            sandbox.stdin.close()
        return sandbox, sandbox.stdout.readline() == b"running\n"


def find(folder: Path) -> Process | Exit | None:
    """What became of a container that was started in `folder`, perhaps by an earlier server. None: it was not started,
    or its parent was killed."""
    try:
        with (folder / "lock").open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return Process(int(lock.read()), folder)
    except FileNotFoundError:
        return None
    return read_exit(folder)


def read_exit(folder: Path) -> Exit | None:
    """The record that the container's parent has left, None where there is none."""
    try:
        return Exit(**json.loads((folder / "exit.json").read_text()))
    except FileNotFoundError:
        return None
