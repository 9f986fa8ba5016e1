"""A newcomer's first hour, on a clean checkout: the demo, then the README's own commands, then the demo again."""

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from PIL import Image

from clara_ops.laptop.ports import reserved_ports
from clara_ops.laptop.servers import USUAL_PORTS
from clara_ops.laptop.setup import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1500)]

WALK = "Your own AI in ten lines"
BY_HAND = "For data scientists"
RUN_BY_CI_ITSELF = {"make demo", "make test", "make e2e-kube KUBECONFIG=$HOME/.kube/config"}
STEPS = ("prepare", "dicom-reader", "ai-vnet", "dicom-writer", "publish", "deliver")


def shell_blocks(text: str) -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def chapter(title: str) -> str:
    return (ROOT / "README.md").read_text().split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


@pytest.fixture
def take_usual_ports() -> Iterator[Callable[[], None]]:
    """Take every usual port that is still free, as another program on the machine would.

    Those of a laptop that another test runs beside this one are left to it: it may stop a server, and start it again.
    """
    with ExitStack() as held:

        def take() -> None:
            free = held.enter_context(reserved_ports(USUAL_PORTS))
            for port in set(free.values()) & set(USUAL_PORTS.values()):
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


def test_the_demo_on_a_clean_checkout(clone: Path, shell: Callable[..., str]) -> None:
    output = shell(clone, "make demo ONCE=1")
    for name in ("abdomen_b", "abdomen_a"):
        with Image.open(clone / ".clara" / "pictures" / f"{name}.png") as picture:
            red, green, _ = picture.convert("RGB").split()
        assert red.tobytes() != green.tobytes(), "the overlay has colour"
    for step in STEPS:
        assert output.count(f" {step} ") >= 2, f"step {step} is missing in a table\n{output}"
    assert output.count("source grid: SEG") == 2
    assert "http://127.0.0.1:" in output
    assert processes_of(clone) == []


def test_stages_and_workflows_by_hand(clone: Path, shell: Callable[..., str]) -> None:
    for block in shell_blocks(chapter(BY_HAND)):
        shell(clone, block)
    assert list((clone / "volumes").glob("*.mhd"))


def test_the_walk_and_the_demo_again_with_the_usual_ports_taken(
    clone: Path, shell: Callable[..., str], take_usual_ports: Callable[[], None]
) -> None:
    *walk, demo = shell_blocks(chapter(WALK))
    for block in walk:
        shell(clone, block)

    take_usual_ports()
    output = shell(clone, demo, timeout=600)

    assert demo.strip() == "make demo ONCE=1"
    assert f"port {USUAL_PORTS['airflow']} is taken" in output
    assert "environment 'airflow' (" not in output, "a second run makes no environments"
    assert output.count("was here before") == 2
    assert output.count("user-workflow delivered") == 2, output
    assert output.count("organ-seg delivered") == 2, output
    assert processes_of(clone) == []


def test_no_command_of_the_readme_is_left_out() -> None:
    run_here = {*shell_blocks(chapter(WALK)), *shell_blocks(chapter(BY_HAND))}
    others = {block.strip() for block in shell_blocks((ROOT / "README.md").read_text()) if block not in run_here}
    assert others == RUN_BY_CI_ITSELF
