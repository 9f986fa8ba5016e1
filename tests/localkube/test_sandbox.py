"""The parent of a container's processes, by itself: as root and as an ordinary user."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from clara_ops.localkube import sandbox

NOBODY = 65534


@dataclass
class Sandbox:
    """Starts `sandbox.py` in a folder, perhaps as another user and with another Python."""

    folder: Path
    python: str = sys.executable
    user: int | None = None

    def start(self, script: str, **launch: Any) -> subprocess.Popen[bytes]:
        self.folder.mkdir(exist_ok=True)
        program = self.folder.parent / "sandbox.py"
        shutil.copy(sandbox.__file__, program)
        if self.user is not None:
            os.chown(self.folder, self.user, self.user)
        process = subprocess.Popen(
            [self.python, "-I", "-S", str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, user=self.user
        )
        assert process.stdin is not None
        whole = {
            "folder": str(self.folder),
            "argv": ["/bin/sh", "-c", script],
            "env": {"PATH": "/usr/bin:/bin"},
            "cwd": "/",
            "isolate": True,
            "read_only_root": False,
            "mounts": [],
            "folders": [],
            "memory": None,
            **launch,
        }
        process.stdin.write(json.dumps(whole).encode())
        process.stdin.close()
        return process

    def run(self, script: str, **launch: Any) -> dict[str, Any]:
        """Run to the end; tells the exit record."""
        process = self.start(script, **launch)
        assert process.wait(30) == 0
        return dict(json.loads((self.folder / "exit.json").read_text()))

    def lines(self) -> list[str]:
        return [line.split(" ", 2)[2] for line in (self.folder / "log").read_text().splitlines()]


def _users() -> list[str]:
    """As root both ways of getting a namespace can be had; as an ordinary user only one."""
    return ["myself", "nobody"] if os.geteuid() == 0 else ["myself"]


@pytest.fixture(params=_users())
def box(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Sandbox]:
    if request.param == "myself":
        yield Sandbox(tmp_path / "container")
        return
    # pytest's folders are for its own user only.
    shared = Path("/tmp") / f"localkube-sandbox-{os.getpid()}"
    shared.mkdir(mode=0o755)
    try:
        yield Sandbox(shared / "container", python="/usr/bin/python3", user=NOBODY)
    finally:
        shutil.rmtree(shared)


def test_mounts_are_there_and_read_only_where_they_should_be(box):
    box.folder.mkdir()
    source = box.folder / "source"
    source.mkdir()
    source.chmod(0o777)
    (source / "file").write_text("content\n")
    mounts = [
        {"source": str(source), "target": "/app/input", "read_only": True},
        {"source": str(source), "target": "/app/output", "read_only": False},
        {"source": str(source / "file"), "target": "/usr/share/clara-test/one.json", "read_only": True},
        {"source": str(source / "file"), "target": "/dev/termination-log", "read_only": False},
    ]
    script = (
        "cat /app/input/file /usr/share/clara-test/one.json /dev/termination-log;"
        "touch /app/output/made && ls /app/input; touch /app/input/no || echo refused; ls /usr/share/doc >&2;"
        "echo > /dev/null && echo devices; id -u"
    )
    record = box.run(f"({script}) 2>/dev/null", mounts=mounts)
    uid = os.getuid() if box.user is None else box.user
    expected = ["content"] * 3 + ["file", "made", "refused", "devices", str(uid)]
    assert (record["exit_code"], box.lines()) == (0, expected)
    assert not Path("/usr/share/clara-test").exists()


def test_a_read_only_root_is(box):
    target = str(box.folder / "rw")
    box.folder.mkdir()
    Path(target).mkdir()
    Path(target).chmod(0o777)
    record = box.run(
        f"touch {target}/x && touch /app/y; touch {box.folder}/z; touch /w; echo end",
        read_only_root=True,
        mounts=[{"source": target, "target": "/app", "read_only": False}],
        folders=[target],
    )
    assert record["exit_code"] == 0
    refusals = [line for line in box.lines() if "Read-only file system" in line or "Permission denied" in line]
    assert len(refusals) == 2, box.lines()
    assert sorted(path.name for path in Path(target).iterdir()) == ["x", "y"]


@pytest.mark.parametrize("isolate", [True, False])
def test_tells_when_it_runs_and_how_it_ended(box, isolate):
    process = box.start("echo $((6 * 7)); exit 9", isolate=isolate)
    assert process.stdout.readline() == b"running\n"
    assert process.wait(10) == 0
    record = json.loads((box.folder / "exit.json").read_text())
    assert (record["exit_code"], record["reason"], record["message"]) == (9, "Error", "")
    assert record["started"] <= record["finished"] <= time.time()
    assert box.lines() == ["42"]


def test_a_program_that_is_not_there_is_a_start_error(box):
    process = box.start("", argv=["no-such-program"])
    assert process.stdout.read() == b""
    process.wait(10)
    record = json.loads((box.folder / "exit.json").read_text())
    assert (record["exit_code"], record["reason"]) == (128, "StartError")
    assert "no-such-program" in record["message"]


def test_sigterm_goes_on_to_the_first_process_only(box):
    script = "(trap 'echo child got it' TERM; sleep 3; echo) & trap 'echo told; exit 4' TERM; echo up; wait"
    process = box.start(script)
    while not (box.folder / "log").exists() or not box.lines():
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    process.wait(10)
    assert json.loads((box.folder / "exit.json").read_text())["exit_code"] == 4
    assert box.lines() == ["up", "told"]


def test_all_that_a_container_has_started_dies_with_it(box):
    script = "setsid sh -c 'echo $$; (setsid sleep 60 & echo $!); sleep 60' & sleep 0.5; exit 0"
    assert box.run(script)["exit_code"] == 0
    pids = [int(line) for line in box.lines()]
    assert len(pids) == 2
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def test_the_memory_of_all_processes_counts(box):
    python = f"{box.python} -I -S -c \"import time; data = b'x' * (60 << 20); time.sleep(20)\""
    started = time.monotonic()
    record = box.run(f"{python} & {python} & wait", memory=100 << 20)
    assert (record["exit_code"], record["reason"]) == (137, "OOMKilled")
    assert time.monotonic() - started < 10


def test_memory_that_processes_share_counts_once(box):
    fork = "import os, time; data = b'x' * (60 << 20); [os.fork() for _ in range(2)]; time.sleep(1)"
    record = box.run(f'{box.python} -I -S -c "{fork}"', memory=100 << 20)
    assert record["exit_code"] == 0


def test_only_one_parent_can_hold_a_container(box):
    first = box.start("sleep 1; echo first")
    assert first.stdout.readline() == b"running\n"
    second = box.start("echo second")
    assert second.wait(10) != 0
    assert first.wait(10) == 0
    assert box.lines() == ["first"]
