"""A MONAI application package as a stage: an application that keeps to the specification to the letter, run unchanged.

The specification: Project-MONAI/monai-deploy, guidelines/monai-application-package.md. What is checked here is what it
asks of the platform: command and environment of the manifest, folders, and that the output is handed on as it is.
"""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
import yaml

pytestmark = pytest.mark.e2e

Command = Callable[..., subprocess.CompletedProcess[str]]

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "tests" / "data" / "abdomen_b"
MANIFEST = {
    "apiVersion": "1.0.0",
    "command": ["python", "bones/__main__.py"],
    "environment": {
        "HOLOSCAN_APPLICATION": "bones",
        "HOLOSCAN_MODEL_PATH": "bones/models",
        "HOLOSCAN_INPUT_PATH": "/var/holoscan/input",
        "HOLOSCAN_OUTPUT_PATH": "/var/holoscan/output",
        "HOLOSCAN_WORKDIR": "/var/holoscan",
        "HOLOSCAN_LOGS": "/var/holoscan/logs",
    },
    "input": {"path": "input", "formats": []},
    "output": {"path": "output", "format": {}},
}
"""`/etc/holoscan/app.json`; the folders are the defaults of the specification."""

APPLICATION = """
import json, os, tempfile
from pathlib import Path

import numpy as np, pydicom
from pydicom.uid import SecondaryCaptureImageStorage, generate_uid

folders = {name: Path(os.environ[f"HOLOSCAN_{name}"]) for name in ("INPUT_PATH", "OUTPUT_PATH", "WORKDIR", "LOGS")}
threshold = json.loads(Path(os.environ["HOLOSCAN_MODEL_PATH"], "bones.json").read_text())["threshold"]
folders["LOGS"].joinpath("bones.txt").write_text("started")
with tempfile.TemporaryFile() as scratch:
    scratch.write(b"x")
try:
    folders["INPUT_PATH"].joinpath("new").touch()
    raise SystemExit("the input can be written to")
except OSError:
    pass
study = folders["OUTPUT_PATH"] / "study"
study.mkdir()
series = generate_uid()
for path in sorted(folders["INPUT_PATH"].rglob("*.dcm")):
    ds = pydicom.dcmread(path)
    ds.decompress()
    hu = ds.pixel_array * float(ds.RescaleSlope) + float(ds.RescaleIntercept)
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    ds.SeriesInstanceUID = series
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    del ds.RescaleSlope, ds.RescaleIntercept
    ds.PixelData = ((hu > threshold) * 255).astype(np.uint8).tobytes()
    ds.save_as(study / f"{ds.SOPInstanceUID}.dcm", enforce_file_format=True)
folders["OUTPUT_PATH"].joinpath("report.json").write_text(json.dumps({"cwd": os.getcwd()}))
print("bones of", len(list(study.iterdir())), "slices")
"""


@pytest.fixture
def package(project_folder: Path) -> Path:
    """A project whose one workflow is a package, as a user writes it down."""
    entry = {
        "image": {"repository": "example/bones", "tag": "1.0"},
        "stageName": "bones",
        "logName": "/app/logs/bones.log",
        "lockName": "bones.lock",
        "timeout": "120",
        "map": True,
        "command": MANIFEST["command"],
        "env": {"HOLOSCAN_MODEL_PATH": "bones/models"},
    }
    (project_folder / "helm/clara-workflow/values.yaml").write_text(yaml.safe_dump({"stages": {"bones": entry}}))
    (project_folder / "dags/workflows/bones.yaml").write_text(
        "id: 6d6a52f0-8a4d-4a0c-8ba1-0f1a5d8f7c11\nname: bones\naccepts: {modality: CT}\nstages: [{stage: bones}]\n"
    )
    models = project_folder / "bones" / "models"
    models.mkdir(parents=True)
    (models / "bones.json").write_text('{"threshold": 200}')
    (project_folder / "bones" / "__main__.py").write_text(APPLICATION)
    return project_folder


def test_a_package_runs_unchanged_and_what_it_writes_is_the_result(package: Path, clara_wf: Command) -> None:
    done = clara_wf("test", "bones", "--input", str(SAMPLE), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    outcome = json.loads(done.stdout)
    results = Path(outcome["results"])
    log = (package / ".clara" / "jobs" / outcome["job"] / "log" / "bones.log").read_text()
    assert "bones of 20 slices" in log
    assert {path.name for path in results.iterdir()} == {"study", "report.json"}
    masks = [pydicom.dcmread(path) for path in (results / "study").iterdir()]
    assert len(masks) == len(list(SAMPLE.glob("*.dcm"))) == 20
    assert {mask.StudyInstanceUID for mask in masks} == {
        pydicom.dcmread(path, stop_before_pixels=True).StudyInstanceUID for path in SAMPLE.glob("*.dcm")
    }
    assert any(mask.pixel_array.any() for mask in masks)
    payload = package / ".clara" / "jobs" / outcome["job"] / "payloads" / outcome["job"]
    assert (payload / "logs" / "bones.txt").read_text() == "started"
