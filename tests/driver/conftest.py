import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from clara_ops.contract.source import SourceMap
from clara_ops.driver.folders import StageFolders

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """What a stage container finds at /app."""
    folder = tmp_path / "app"
    for name in ("input", "output", "locks", "logs", "publish", "dicom"):
        (folder / name).mkdir(parents=True)
    return folder


@pytest.fixture
def folders(app: Path) -> StageFolders:
    return StageFolders(app / "input", app / "output", app / "locks", app / "logs", app / "publish", app / "dicom")


@pytest.fixture
def environ(app: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "CLARA_APP_DIR": str(app),
        "CLARA_STAGE": "user-ai",
        "CLARA_RUN_ID": "ct-ai-0123456789abcdef0123-g1",
        "CLARA_LOCK_NAME": "user-ai.lock",
        "CLARA_LOG_NAME": "/app/logs/user-ai.log",
    }


@pytest.fixture
def start_script(tmp_path: Path, environ: dict[str, str]) -> Callable[[str], subprocess.Popen[str]]:
    """Starts a program of a few lines as a stage container would."""

    def start(source: str) -> subprocess.Popen[str]:
        script = tmp_path / "user_ai.py"
        script.write_text(source)
        command = [sys.executable, str(script)]
        return subprocess.Popen(command, env=environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    return start


@pytest.fixture
def run_script(start_script: Callable[[str], subprocess.Popen[str]]) -> Callable[[str], tuple[int, str]]:
    """Runs such a program to its end: exit code, and all that it printed."""

    def run(source: str) -> tuple[int, str]:
        with start_script(source) as process:
            output, _ = process.communicate(timeout=60)
        return process.returncode, output

    return run


@pytest.fixture
def read_events(app: Path) -> Callable[[], list[dict[str, object]]]:
    def read() -> list[dict[str, object]]:
        lines = (app / "logs" / "user-ai.events.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    return read


@pytest.fixture
def source_map() -> SourceMap:
    return SourceMap(
        series_instance_uid="1.2.3",
        study_instance_uid="1.2",
        frame_of_reference_uid="1.2.4",
        modality="CT",
        rows=2,
        columns=2,
        row_direction=(1.0, 0.0, 0.0),
        column_direction=(0.0, 1.0, 0.0),
        pixel_spacing=(1.0, 1.0),
        slice_spacing=1.0,
        slices=(),
    )
