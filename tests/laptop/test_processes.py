"""The supervisor stops what it started, all of it, and nothing else; a server that dies is noticed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from clara_ops.laptop.errors import NotInTime, ProgramDied
from clara_ops.laptop.processes import Program, Supervisor

FOREVER = "import time; print('up', flush=True); time.sleep(600)"
WITH_CHILD = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
"""


def python(name: str, code: str) -> Program:
    return Program(name, [sys.executable, "-c", code])


def is_alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def wait_for_text(path: Path) -> str:
    deadline = time.monotonic() + 10
    while not (path.exists() and path.read_text().endswith("\n")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return path.read_text()


def test_everything_is_stopped_children_too_and_a_stranger_is_left_alone(tmp_path: Path) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", FOREVER], stdout=subprocess.DEVNULL)
    try:
        with Supervisor(tmp_path) as supervisor:
            supervisor.start(python("parent", WITH_CHILD))
            child = int(wait_for_text(supervisor.log_file("parent")))
            assert is_alive(child)
        deadline = time.monotonic() + 5
        while is_alive(child) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not is_alive(child)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_program_that_dies_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        supervisor.start(python("broken", "import sys; print('no such port'); sys.exit(3)"))
        with pytest.raises(ProgramDied, match=r"'broken' stopped by itself, exit code 3.*\n.*no such port"):
            supervisor.wait_until(lambda: False, "anything", timeout=10)


def test_what_does_not_happen_in_time_is_named(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor, pytest.raises(NotInTime, match="Triton did not happen"):
        supervisor.wait_until(lambda: False, "Triton", timeout=0.1)


def test_a_program_run_to_its_end(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        supervisor.run(python("fine", "pass"), timeout=30)
        with pytest.raises(ProgramDied, match="exit code 1"):
            supervisor.run(python("wrong", "raise SystemExit(1)"), timeout=30)
        with pytest.raises(NotInTime, match="'slow' did not end"):
            supervisor.run(python("slow", FOREVER), timeout=0.3)


SHOW_PID = "import os; print(os.getpid(), flush=True); "


def test_servers_end_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from clara_ops.laptop.processes import Program, Supervisor\n"
        f"with Supervisor(Path({str(tmp_path)!r})) as s:\n"
        f"    s.start(Program('server', [sys.executable, '-c', {SHOW_PID + FOREVER!r}]))\n"
        "    time.sleep(600)\n"
    )
    supervisor = subprocess.Popen([sys.executable, "-c", code])
    try:
        server = int(wait_for_text(tmp_path / "server.log").split()[0])
    finally:
        os.kill(supervisor.pid, signal.SIGKILL)
        supervisor.wait()
    deadline = time.monotonic() + 5
    while is_alive(server) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_alive(server)
