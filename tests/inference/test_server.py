"""What the launcher does around tritonserver, with processes that only stand in its place."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from clara_ops.inference.command import main
from clara_ops.inference.errors import PortTaken
from clara_ops.inference.server import Ports, choose_ports
from clara_ops.inference.stubs import StubWatch


def test_free_ports_differ() -> None:
    ports = choose_ports("127.0.0.1", Ports())
    assert len({ports.http, ports.grpc, ports.metrics}) == 3
    assert min(ports.http, ports.grpc, ports.metrics) > 1024


def test_a_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        with pytest.raises(PortTaken, match=rf"127.0.0.1:{taken} \(--grpc-port\)"):
            choose_ports("127.0.0.1", Ports(grpc=taken))


def test_the_command_names_its_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--environment", str(tmp_path)]) == 1
    assert "TritonNotInstalled" in capsys.readouterr().err


def start_stub(repository: Path, model: str) -> "subprocess.Popen[bytes]":
    """A child that looks like the stub of a model: by the name of its program and its first argument."""
    script = repository / model / "1" / "model.py"
    script.parent.mkdir(parents=True)
    script.write_text("import time; time.sleep(60)")
    return subprocess.Popen(["/backends/python/triton_python_backend_stub", str(script)], executable=sys.executable)


def eventually(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_model_whose_process_died_is_noticed_once(tmp_path: Path) -> None:
    organs, lesions = start_stub(tmp_path, "organs"), start_stub(tmp_path, "lesions")
    try:
        watch = StubWatch(os.getpid())
        eventually(lambda: not watch.models_that_died() and len(watch._models) == 2)
        organs.kill()
        organs_ended = Path(f"/proc/{organs.pid}/stat")
        eventually(lambda: ") Z " in organs_ended.read_text())
        assert watch.models_that_died() == {"organs"}
        assert watch.models_that_died() == set()
    finally:
        for process in (organs, lesions):
            process.kill()
            process.wait()
