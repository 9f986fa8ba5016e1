"""`make demo ONCE=1` on a clean checkout, twice, the second time with the usual ports taken by something else."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from PIL import Image

from clara_ops.laptop.servers import USUAL_PORTS

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1500)]


@pytest.fixture
def take_usual_ports() -> Iterator[Callable[[], None]]:
    """Take every usual port that is still free, as another program on the machine would."""
    with ExitStack() as held:

        def take() -> None:
            for port in USUAL_PORTS.values():
                sock = held.enter_context(socket.socket())
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    sock.bind(("127.0.0.1", port))
                except OSError:
                    continue
                sock.listen()

        yield take


def processes_of(folder: Path) -> list[str]:
    """Command lines of all processes that have to do with a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            environment = (process / "environ").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if str(folder) in command or f"AIRFLOW_HOME={folder}" in environment:
            found.append(command)
    return found


def test_a_newcomer_runs_the_demo_twice(
    clone: Path, make: Callable[..., str], take_usual_ports: Callable[[], None]
) -> None:
    first = make(clone, "demo", "ONCE=1")
    assert_demo_went_well(first, clone)

    take_usual_ports()
    second = make(clone, "demo", "ONCE=1", timeout=600)
    assert_demo_went_well(second, clone)
    assert "was here before" in second
    assert f"port {USUAL_PORTS['airflow']} is taken" in second
    assert "environment 'airflow' (" not in second, "a second run makes no environments"
    assert processes_of(clone) == []


def assert_demo_went_well(output: str, clone: Path) -> None:
    for name in ("abdomen_b", "abdomen_a"):
        picture = clone / ".clara" / "pictures" / f"{name}.png"
        assert f"picture: {picture}" in output
        with Image.open(picture) as image:
            reds, greens, blues = (channel for channel in image.convert("RGB").split())
            assert reds.tobytes() != greens.tobytes() or greens.tobytes() != blues.tobytes(), "the overlay has colour"
    for step in ("prepare", "dicom-reader", "ai-vnet", "dicom-writer", "publish", "deliver"):
        assert output.count(f" {step} ") >= 2, f"step {step} is missing in the table\n{output}"
    assert "SEG" in output
    assert "liver" in output
    assert "http://127.0.0.1:" in output
