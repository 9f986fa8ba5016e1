"""The walk that the article of 2019 gives a user: his own AI between reader and writer, in ten lines."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest

pytestmark = pytest.mark.e2e

Command = Callable[..., subprocess.CompletedProcess[str]]

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "tests" / "data" / "abdomen_b"
WORKFLOW_ID = "7b413e24-d018-4689-8c41-73272f6649d4"
USER_AI = """\
import clara, SimpleITK as sitk
from pathlib import Path

@clara.execute_cb
def execute(driver, payload):
    source, target = Path(payload.input_entries[0].path), Path(payload.output_entries[0].path)
    for volume in source.glob("*.mhd"):
        sitk.WriteImage(sitk.Cast(sitk.ReadImage(volume) > 200, sitk.sitkUInt8), target / volume.name)

clara.start()
"""


def test_my_own_ai_in_ten_lines(project_folder: Path, clara_wf: Command) -> None:
    catalogue = project_folder / "helm" / "clara-workflow" / "values.yaml"
    shutil.copy(ROOT / "helm" / "clara-workflow" / "values.yaml", catalogue)
    assert clara_wf("cs", "user-ai").returncode == 0
    last = 'lockName: "user-ai.lock"\n    timeout: "300"\n'
    text = catalogue.read_text()
    assert last in text
    catalogue.write_text(text.replace(last, last + '    command: ["python", "user_ai.py"]\n'))
    lines = (ROOT / "tests" / "data" / "clara2019" / "workflow-lines.yaml").read_text().splitlines(keepends=True)
    workflow = project_folder / "dags" / "workflows" / "user-workflow.yaml"
    workflow.write_text(f"{WORKFLOW_ID}:\n" + "".join(f"  {line}" for line in lines if not line.startswith("#")))
    (project_folder / "user_ai.py").write_text(USER_AI)

    done = clara_wf("test", WORKFLOW_ID, "--json")

    assert done.returncode == 0, done.stdout + done.stderr
    outcome = json.loads(done.stdout)
    assert [stage["stage"] for stage in outcome["stages"]] == ["dicom-reader", "user-ai", "dicom-writer"]
    assert {stage["state"] for stage in outcome["stages"]} == {"done"}
    source = {pydicom.dcmread(path, stop_before_pixels=True).StudyInstanceUID for path in SAMPLE.glob("*.dcm")}
    results = [pydicom.dcmread(path) for path in Path(outcome["results"]).rglob("*.dcm")]
    assert results
    assert {result.StudyInstanceUID for result in results} == source
    assert any(result.pixel_array.any() for result in results), "the bones were found"
