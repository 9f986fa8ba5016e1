"""`clara-wf` as a user runs it, on the real pod API of one machine; the stages are programs of a few lines."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
import yaml

from clara_ops.cli.create_stage import create_stage
from clara_ops.cli.project import find_project

T = TypeVar("T")
Command = Callable[..., subprocess.CompletedProcess[str]]

pytestmark = pytest.mark.e2e

COPY = """
import clara, pathlib, shutil

@clara.execute_cb
def execute(driver, payload):
    for path in pathlib.Path(payload.input_entries[0].path).rglob("*.mhd"):
        shutil.copy(path, payload.output_entries[0].path)
        print("copied", path.name)
    clara.report_progress(100, "copied")
clara.start()
"""
WORKFLOW = """
id: 11111111-2222-4333-8444-555555555555
name: copies
kind: {input: mhd, output: mhd}
sample: ../../sample
stages:
  - {stage: first, resources: {gpu: 1}}
  - stage: second
  - {stage: second, name: other, after: first, when: {attribute: first.volumes, op: gt, value: 1}}
"""
ZERO = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def copies(project_folder: Path) -> Path:
    """A project with a workflow that copies volumes twice, made as a user makes one."""
    for name in ("first", "second"):
        create_stage(find_project(project_folder, project_folder), name)
    values = project_folder / "helm/clara-workflow/values.yaml"
    catalogue = yaml.safe_load(values.read_text())
    for entry in catalogue["stages"].values():
        entry["command"] = ["python", "copy_volumes.py"]
        entry["resources"] = {"cpu": "100m", "memory": "128Mi"}
    values.write_text(yaml.safe_dump(catalogue, sort_keys=False))
    (project_folder / "copy_volumes.py").write_text(COPY)
    (project_folder / "dags/workflows/copies.yaml").write_text(WORKFLOW)
    (project_folder / "sample" / "1.2.3.mhd").write_text("volume")
    return project_folder


@pytest.mark.parametrize("command", ["cs", "create", "create_stage"])
def test_create_stage_under_each_of_its_names(command: str, project_folder: Path, clara_wf: Command) -> None:
    done = clara_wf(command, "user-ai")
    assert done.returncode == 0, done.stderr
    assert "added stages.user-ai" in done.stdout
    stages = yaml.safe_load((project_folder / "helm/clara-workflow/values.yaml").read_text())["stages"]
    assert stages["user-ai"]["lockName"] == "user-ai.lock"
    again = clara_wf(command, "user-ai", "--json", cwd=project_folder / "dags")
    assert json.loads(again.stdout)["added"] == []


def test_a_workflow_runs_here(copies: Path, clara_wf: Command) -> None:
    done = clara_wf("test", "--json")
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert [(stage["stage"], stage["state"]) for stage in outcome["stages"]] == [
        ("first", "done"),
        ("second", "done"),
        ("other", "skipped"),
    ]
    assert outcome["stages"][2]["reason"] == "its 'when' cannot be decided: first.volumes is missing"
    job = copies / ".clara" / "jobs" / ZERO
    assert (job / "results" / "second" / "1.2.3.mhd").read_text() == "volume"
    assert "copied 1.2.3.mhd" in (job / "log" / "first.log").read_text()
    assert "first: 100% copied" in done.stderr
    payload = job / "payloads" / ZERO
    assert {path.name for path in (payload / "locks").iterdir()} == {"input.lock", "first.lock", "second.lock"}
    assert not (job / "localkube" / "kubeconfig").exists(), "the pod API was stopped"


def test_a_stage_that_fails_is_shown_with_its_log(copies: Path, clara_wf: Command) -> None:
    (copies / "copy_volumes.py").write_text(COPY.replace("    for", "    raise clara.BadInput('one slice')\n    for"))
    done = clara_wf("test", "copies", "my-job")
    assert done.returncode == 1
    for text in ("BadInput: one slice", "the end of .clara/jobs/my-job/log/first.log", "first failed"):
        assert text in done.stdout
    again = clara_wf("test", "copies", "my-job")
    assert again.returncode == 1
    assert "JobTaken" in again.stderr
    assert "remove the folder, or give another JOB_ID" in again.stderr


def test_a_value_from_a_secret_is_the_variable_of_that_name(
    copies: Path, clara_wf: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = copies / "helm/clara-workflow/values.yaml"
    catalogue = yaml.safe_load(values.read_text())
    catalogue["stages"]["first"]["env"] = {"SITE_KEY": {"secret": "site", "key": "key.txt"}}
    values.write_text(yaml.safe_dump(catalogue, sort_keys=False))
    (copies / "copy_volumes.py").write_text("import os\n" + COPY.replace('"copied"', 'len(os.getenv("SITE_KEY", ""))'))
    done = clara_wf("test")
    assert done.returncode == 1
    assert done.stderr == (
        "clara-wf: SecretMissing: stage 'first' takes SITE_KEY from key 'key.txt' of Secret 'site'; "
        "here, set SITE_KEY in the environment of this command\n"
    )
    monkeypatch.setenv("SITE_KEY", "twelve chars")
    done = clara_wf("test")
    assert done.returncode == 0, done.stdout + done.stderr
    log = copies / ".clara" / "jobs" / ZERO / "log" / "first.log"
    assert "12 1.2.3.mhd" in log.read_text()


def test_an_image_that_is_not_here_says_what_to_do(copies: Path, clara_wf: Command) -> None:
    values = copies / "helm/clara-workflow/values.yaml"
    catalogue = yaml.safe_load(values.read_text())
    del catalogue["stages"]["first"]["command"]
    values.write_text(yaml.safe_dump(catalogue, sort_keys=False))
    done = clara_wf("test", "--json")
    assert done.returncode == 1
    reason = json.loads(done.stdout)["stages"][0]["reason"]
    assert reason.startswith("ErrImagePull: ")
    assert "command" in reason


def test_ctrl_c_stops_everything(copies: Path) -> None:
    (copies / "copy_volumes.py").write_text("import time\nprint('sleeping', flush=True)\ntime.sleep(60)\n")
    command = [sys.executable, "-m", "clara_ops.cli.app", "test", "copies"]
    with subprocess.Popen(
        command,
        cwd=copies,
        text=True,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background job ignores it
    ) as process:
        assert process.stderr is not None
        while "first: started" not in process.stderr.readline():
            assert process.poll() is None
        sleeping = _wait_for(lambda: _processes_in(copies, "copy_volumes.py"))
        process.send_signal(signal.SIGINT)
        _, printed = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in printed
    _wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in sleeping))
    assert _processes_in(copies, "clara_ops.localkube") == []


def test_validate_prints_lines_or_json_and_its_exit_code_says_whether_there_are_errors(
    copies: Path, clara_wf: Command
) -> None:
    done = clara_wf("validate")
    assert (done.returncode, done.stdout) == (0, "2 files, 1 sound workflow, 0 errors\n")
    values = copies / "helm/clara-workflow/values.yaml"
    catalogue = yaml.safe_load(values.read_text())
    catalogue["stages"]["second"]["securityContext"] = {"allowPrivilegeEscalation": True}
    values.write_text(yaml.safe_dump(catalogue, sort_keys=False))
    bad = "id: 22222222-2222-4333-8444-555555555555\nname: bad\nstages: [{stage: frist}]\nunknown: 5\n"
    (copies / "dags/workflows/bad.yaml").write_text(bad)
    done = clara_wf("validate", "dags")
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[0].startswith("dags/workflows/bad.yaml:3:18: stage 'frist' is not in the catalogue")
    assert lines[-1] == "2 files, 1 sound workflow, 2 errors"
    done = clara_wf("validate", "dags", "--json")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert [(item["file"], item["line"], item["column"]) for item in found["problems"]] == [
        ("dags/workflows/bad.yaml", 3, 18),
        ("dags/workflows/bad.yaml", 4, 1),
    ]
    assert found["workflows"][0]["pod_security"] == "baseline"


def _processes_in(folder: Path, word: str) -> list[str]:
    """Ids of the processes whose command has a word, and which work in a folder or name it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_text()
            place = (process / "cwd").readlink()
        except OSError:
            continue
        if word in command and (place == folder or str(folder) in command):
            found.append(process.name)
    return found


def _wait_for(condition: Callable[[], T]) -> T:
    deadline = time.monotonic() + 20
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        (["test", "nope"], 1, "UnknownWorkflow"),
        (["test", "copies", "../up"], 1, "NameRuleError"),
        (["test", "copies", "--input", "nowhere"], 1, "InputMissing"),
        (["cs", "Not_A_Name"], 1, "NameRuleError"),
        (["cs"], 2, "Missing argument"),
        (["cs", "x", "--root", "/"], 1, "ProjectNotFound"),
        (["validate", "--root", "/"], 1, "ProjectNotFound"),
        (["fly"], 2, "No such command"),
    ],
)
def test_errors_are_one_line(copies: Path, clara_wf: Command, words: list[str], code: int, error: str) -> None:
    done = clara_wf(*words)
    assert done.returncode == code
    assert error in done.stderr
    assert "Traceback" not in done.stderr
    if code == 1:
        assert done.stderr.startswith("clara-wf: ")
        assert len(done.stderr.splitlines()) == 1
