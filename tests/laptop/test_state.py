"""`run.json` is for its owner only, and says nothing of a demo that was killed."""

import os
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from clara_ops.laptop.state import Home, Run, kept_secret, read_run, write_run

RUN = Run(os.getpid(), "http://a", "admin", "p", "http://l", "t", 1, "h", "g", "k", "o", "DCM4CHEE", 2)


def test_what_runs_is_found(tmp_path: Path) -> None:
    write_run(RUN, tmp_path / "run.json")
    assert read_run(tmp_path / "run.json") == RUN
    assert stat.S_IMODE((tmp_path / "run.json").stat().st_mode) == 0o600


def test_a_killed_demo_runs_no_more(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", "pass"])
    gone.wait()
    write_run(replace(RUN, pid=gone.pid), tmp_path / "run.json")
    assert read_run(tmp_path / "run.json") is None
    assert read_run(tmp_path / "nothing.json") is None


def test_secrets_are_kept_and_private(tmp_path: Path) -> None:
    first = kept_secret(tmp_path / "secret")
    assert kept_secret(tmp_path / "secret") == first
    assert len(first) >= 32
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600


def test_the_home_is_for_its_owner_only(tmp_path: Path) -> None:
    home = Home(tmp_path / ".clara")
    home.make()
    assert stat.S_IMODE(home.root.stat().st_mode) == 0o700
