"""A workflow that de-identifies what it delivers, with its key from a Secret, as `clara-wf test` runs it."""

import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pydicom
import pytest

from .conftest import ROOT

pytestmark = pytest.mark.e2e

WORKFLOW = """
id: 22222222-2222-4333-8444-555555555555
name: without-patient
kind: {input: dicom, output: dicom}
sample: ../../sample
stages:
  - stage: dicom-reader
  - stage: dicom-writer
  - stage: dicom-deid
"""


@pytest.fixture
def project(project_folder: Path) -> Path:
    """A project with our own catalogue, and three slices of a real CT for sample."""
    shutil.copy(ROOT / "helm/clara-workflow/values.yaml", project_folder / "helm/clara-workflow/values.yaml")
    (project_folder / "dags/workflows/without-patient.yaml").write_text(WORKFLOW)
    images = sorted(map(pydicom.dcmread, (ROOT / "tests/data/abdomen_b").glob("*.dcm")), key=_height)
    for number, image in enumerate(images[:3]):
        image.save_as(project_folder / "sample" / f"{number}.dcm")
    return project_folder


def _height(image: pydicom.FileDataset) -> float:
    return float(image.ImagePositionPatient[2])


def test_what_is_delivered_knows_no_patient(
    project: Path, clara_wf: Callable[..., CompletedProcess[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLARA_DEID_KEY", "the key of this site")
    run = clara_wf("test", "without-patient")
    assert run.returncode == 0, run.stdout + run.stderr
    original = pydicom.dcmread(project / "sample" / "0.dcm", stop_before_pixels=True)
    written = list((project / ".clara").rglob("results/*.dcm"))
    assert len(written) == 3
    for path in written:
        found = pydicom.dcmread(path)
        assert found.PatientIdentityRemoved == "YES"
        assert found.DeidentificationMethodCodeSequence[0].CodeValue == "113100"
        assert str(found.PatientName).startswith("ANON^ANON-")
        assert path.stem == found.SOPInstanceUID
        for identifying in (str(original.PatientName), original.PatientID, original.StudyInstanceUID):
            assert identifying.encode() not in path.read_bytes()


def test_without_the_key_nothing_starts(
    project: Path, clara_wf: Callable[..., CompletedProcess[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CLARA_DEID_KEY", raising=False)
    run = clara_wf("test", "without-patient")
    assert run.returncode != 0
    assert "set CLARA_DEID_KEY" in run.stderr
    assert not list((project / ".clara").rglob("*.dcm"))
