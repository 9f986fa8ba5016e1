"""The servers of the laptop under one supervisor: each in a session of its own; they, and only they, are stopped."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from clara_ops.laptop.errors import NotInTime, ProgramDied

GRACE_SECONDS = 10.0
_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Program:
    """A command to run as a server. `environment` is added to ours."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)


class Supervisor:
    """Starts programs, notices when one dies, and stops all of them when the `with` block ends, last started first."""

    def __init__(self, log_folder: Path) -> None:
        self.log_folder = log_folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._programs: dict[str, Program] = {}

    def __enter__(self) -> "Supervisor":
        self.log_folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, *error: object) -> None:
        self.stop_all()

    def log_file(self, name: str) -> Path:
        """Where a program's output goes."""
        return self.log_folder / f"{name}.log"

    def start(self, program: Program) -> None:
        """Start a program; its output is appended to its log file. It gets SIGTERM should this process be killed."""
        self._programs[program.name] = program
        with self.log_file(program.name).open("ab") as log:
            self._running[program.name] = _spawn(program, log)

    def start_again(self, name: str) -> None:
        """Start a program that was stopped, with the command that it was started with."""
        self.start(self._programs[name])

    def run(self, program: Program, timeout: float) -> None:
        """Run a program to its end.

        Raises:
            ProgramDied: it ended with another exit code than 0.
            NotInTime: it did not end within `timeout` seconds.
        """
        self.start(program)
        process = self._running.pop(program.name)
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            _stop([process])
            raise NotInTime(f"'{program.name}' did not end within {timeout:.0f} s{self._tail(program.name)}") from error
        if code != 0:
            raise ProgramDied(f"'{program.name}' ended with exit code {code}{self._tail(program.name)}")

    def stop(self, name: str) -> None:
        """Stop one program and wait for its end; nothing when it does not run."""
        process = self._running.pop(name, None)
        if process is not None:
            _stop([process])

    def stop_all(self) -> None:
        """Stop every program: SIGTERM, a grace, then SIGKILL for the whole process group."""
        processes = [self._running[name] for name in reversed(self._running)]
        _stop(processes)
        self._running.clear()

    def check(self) -> None:
        """Notice a program that died.

        Raises:
            ProgramDied: naming the program, its exit code, and the end of its log.
        """
        for name, process in self._running.items():
            if process.poll() is not None:
                raise ProgramDied(f"'{name}' stopped by itself, exit code {process.returncode}{self._tail(name)}")

    def wait_until(self, ready: Callable[[], bool], what: str, timeout: float) -> None:
        """Wait for something that the programs bring about.

        Raises:
            ProgramDied: one of them died meanwhile.
            NotInTime: `timeout` seconds have passed.
        """
        deadline = time.monotonic() + timeout
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                raise NotInTime(f"{what} did not happen within {timeout:.0f} s; the logs are in {self.log_folder}")
            time.sleep(_POLL_SECONDS)

    def _tail(self, name: str, lines: int = 15) -> str:
        log = self.log_file(name)
        tail = log.read_text(errors="replace").splitlines()[-lines:]
        return "; the end of " + str(log) + ":\n    " + "\n    ".join(tail)


def _spawn(program: Program, log: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["setpriv", "--pdeathsig", "TERM", *program.command],
        env={**os.environ, **program.environment},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def _stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        _signal_group(process, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_SECONDS
    for process in processes:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, deadline - time.monotonic()))
        _signal_group(process, signal.SIGKILL)
        process.wait()


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return
