import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

ROOT = Path(__file__).resolve().parents[2]

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def project_folder(tmp_path: Path) -> Path:
    """A checkout of a user: our layout, with one workflow of two stages that are programs of a few lines."""
    root = tmp_path / "project"
    for folder in ("helm/clara-workflow", "dags/workflows", "sample"):
        (root / folder).mkdir(parents=True)
    (root / "helm/clara-workflow/values.yaml").write_text("stages:\n")
    return root


@pytest.fixture
def clara_wf(project_folder: Path) -> Command:
    """Runs `clara-wf` in the project."""

    def run(*words: str, cwd: Path = project_folder) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "clara_ops.cli.app", *words]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
        return subprocess.run(command, cwd=cwd, env=environment, text=True, capture_output=True, timeout=120)

    return run


@pytest.fixture
def write_ct() -> Callable[[Path, str, str], None]:
    """Writes a CT slice of no pixels: path, Series Instance UID, SOP Instance UID."""

    def write(path: Path, series_uid: str, sop_uid: str) -> None:
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = CTImageStorage
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = UID(sop_uid)
        dataset.SeriesInstanceUID = series_uid
        dataset.StudyInstanceUID = "1.2"
        dataset.Modality = "CT"
        dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        path.parent.mkdir(parents=True, exist_ok=True)
        pydicom.dcmwrite(path, dataset, enforce_file_format=True)

    return write
