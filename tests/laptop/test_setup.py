"""Set-up says what is missing and what for, and makes an environment anew only when it must."""

import subprocess
import sys
from pathlib import Path

import pytest

from clara_ops.laptop import setup
from clara_ops.laptop.setup import Environment, SetupError, SystemProgram


def test_what_is_missing_is_said_with_its_purpose_where_we_are_not_root(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(setup.os, "geteuid", lambda: 1000)
    setup.install_programs([SystemProgram("no-such-program", "no-such-package", "tests of nothing")])
    said = capsys.readouterr().out
    assert "missing: no-such-program (tests of nothing)" in said
    assert "as root, 'apt-get install no-such-package' brings it" in said


def test_what_is_there_is_not_mentioned(capsys: pytest.CaptureFixture[str]) -> None:
    setup.install_programs([SystemProgram("sh", "dash", "everything")])
    assert capsys.readouterr().out == ""


def test_an_environment_is_made_anew_when_its_lock_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "requirements").mkdir()
    lock = tmp_path / "requirements" / "clara.txt"
    lock.write_text("numpy==2.0\n")
    made = []
    monkeypatch.setattr(setup, "ROOT", tmp_path)
    monkeypatch.setattr(setup, "VENVS", tmp_path / ".venvs")
    monkeypatch.setattr(setup, "ENVIRONMENTS", (Environment("clara", "tests", installs_project=False),))
    monkeypatch.setattr(setup, "find_uv", lambda: "uv")

    def make(uv: str, environment: Environment) -> None:
        (tmp_path / ".venvs" / environment.name).mkdir(parents=True, exist_ok=True)
        made.append(environment.name)

    monkeypatch.setattr(setup, "_make_environment", make)
    setup.make_environments()
    setup.make_environments()
    assert made == ["clara"]
    lock.write_text("numpy==2.1\n")
    setup.make_environments()
    assert made == ["clara", "clara"]


def test_a_python_that_is_too_new_for_triton_is_replaced_or_named(monkeypatch: pytest.MonkeyPatch) -> None:
    old = Environment("triton", "tests", installs_project=False, newest_python=(3, 10))
    monkeypatch.setattr(setup, "OLDEST_PYTHON", (3, 9))
    monkeypatch.setattr(setup.shutil, "which", lambda name: f"/bin/{name}" if name == "python3.9" else None)
    assert setup._python_for(old) == "/bin/python3.9"
    monkeypatch.setattr(setup.shutil, "which", lambda _name: None)
    with pytest.raises(SetupError, match=r"needs one of python3\.10, python3\.9 on the PATH"):
        setup._python_for(old)


def fake_apt(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program = folder / "apt-get"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setattr(setup.time, "sleep", lambda _seconds: None)


def test_another_apt_that_is_at_work_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = f"test -e {tmp_path}/free || {{ touch {tmp_path}/free; echo 'E: Could not get lock /x'; exit 100; }}"
    fake_apt(tmp_path, script, monkeypatch)
    setup._apt_get("update")
    assert "another apt-get is at work; waiting for it" in capsys.readouterr().out


def test_an_apt_that_fails_shows_its_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_apt(tmp_path, "echo no space left; exit 3", monkeypatch)
    with pytest.raises(subprocess.CalledProcessError):
        setup._apt_get("update")
    assert "no space left" in capsys.readouterr().out


def test_a_command_that_fails_ends_set_up() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        setup.run([sys.executable, "-c", "raise SystemExit(3)"])
