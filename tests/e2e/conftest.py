"""Real peers for the end-to-end tests: one laptop for a module, and clones of the checkout."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench import series
from clara_ops.laptop.checkout import Checkout
from clara_ops.laptop.demo import MAIN_WORKFLOW, Series, wait_for_dag
from clara_ops.laptop.servers import Laptop, running
from clara_ops.laptop.setup import ROOT
from clara_ops.laptop.state import Home


@pytest.fixture(scope="module")
def laptop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laptop]:
    """Everything of `make demo`, started for one test module, its state in a folder of its own."""
    home = Home(tmp_path_factory.mktemp("laptop"))
    with running(Checkout(ROOT), home, print) as started:
        wait_for_dag(started, MAIN_WORKFLOW)
        yield started


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean checkout of what is committed, as a newcomer has it after `git clone`; one for a test module."""
    folder = tmp_path_factory.mktemp("newcomer") / "clone"
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(folder)], check=True)
    return folder


NewSeries = Callable[..., Series]


@pytest.fixture
def new_series(tmp_path: Path) -> NewSeries:
    """Makes copies of abdomen_b under UIDs of their own: `new_series(name, slices=None, **DICOM keyword to value)`."""
    return lambda name, **changes: series.new_series(tmp_path / name, **changes)


Shell = Callable[..., str]


@pytest.fixture
def shell() -> Shell:
    """Run a command line in a folder, as a user does; gives the output, and fails with it when the command does."""

    def run(folder: Path, command: str, timeout: float = 900) -> str:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode == 0, f"{command}: exit code {done.returncode}\n{done.stdout}"
        return done.stdout

    return run
