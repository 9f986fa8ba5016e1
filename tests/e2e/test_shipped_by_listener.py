"""The shipped workflows on the way that a hospital uses: images by C-STORE, other files by POST /v1/runs, Airflow."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from clara_ops.contract.payload import payload_path
from clara_ops.contract.states import RunState
from clara_ops.laptop.demo import CALLED_AE, MAIN_WORKFLOW, wait_for_dag
from clara_ops.laptop.follow import ENDED, ask_for_run, follow
from clara_ops.laptop.pacs_client import send_series
from clara_ops.laptop.programs import SCANNER_AE
from clara_ops.laptop.servers import Laptop
from clara_ops.laptop.setup import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

SAMPLES = ROOT / "dags" / "workflows" / "samples"
FROM_DICOM = ("dicom-reader-only", "dicom-reader-writer", "liver-seg")


@pytest.fixture(scope="module")
def series(laptop: Laptop) -> Iterator[str]:
    """The sample of `ct-ai` was received by C-STORE, and the mapped workflow has run on it; its Series Instance UID."""
    for name in (*FROM_DICOM, "ct-ai", "recon-ai", MAIN_WORKFLOW):
        wait_for_dag(laptop, name)
    files = tuple((SAMPLES / "series-and-sinogram").glob("*.dcm"))
    uid = str(pydicom.dcmread(files[0], stop_before_pixels=True).SeriesInstanceUID)
    started = datetime.now(UTC)
    for _ in send_series(files, SCANNER_AE, CALLED_AE, laptop.run.dicom_port):
        pass
    follow(laptop, uid, started, print)
    yield uid


def post_files(laptop: Laptop, workflow: str, file: Path, **fields: str) -> dict[str, Any]:
    with file.open("rb") as content:
        answer = laptop.listener.post(
            "/v1/runs",
            data={"workflow": workflow, "ae_title": CALLED_AE, **fields},
            files={"files": (file.name, content)},
        )
    run: dict[str, Any] = answer.raise_for_status().json()
    return run


def ended(laptop: Laptop, run_id: str) -> dict[str, Any]:
    """A run, once it is over."""
    last: dict[str, Any] = {}

    def is_over() -> bool:
        last.update(laptop.listener.get(f"/v1/runs/{run_id}").raise_for_status().json())
        return RunState(last["state"]) in ENDED

    laptop.supervisor.wait_until(is_over, f"run {run_id}", 180)
    return last


def test_workflows_that_read_dicom_run_on_what_was_sent(laptop: Laptop, series: str) -> None:
    started = datetime.now(UTC)
    for workflow in FROM_DICOM:
        ask_for_run(laptop, workflow, CALLED_AE, series)
    runs = {run.dag_id: run.state for run in follow(laptop, series, started, print)}
    assert runs == {
        "dicom-reader-only": RunState.DONE,
        "dicom-reader-writer": RunState.DELIVERED,
        "liver-seg": RunState.DELIVERED,
    }


def test_a_sinogram_that_is_posted_becomes_labels(laptop: Laptop, series: str) -> None:
    run = ended(laptop, post_files(laptop, "recon-ai", SAMPLES / "sinogram" / "abdomen-a.npz")["run_id"])
    assert (run["state"], run["generation"]) == (RunState.DONE, 1), run
    output = payload_path(laptop.home.data, run["run_id"]) / "ai-vnet" / "output"
    labels = sitk.GetArrayFromImage(sitk.ReadImage(str(output / "abdomen-a.mhd")))
    assert np.count_nonzero(labels == 1) * 0.027 > 300, "ml of liver"


def test_a_series_and_its_sinogram_meet_in_one_run(laptop: Laptop, series: str) -> None:
    (sinogram,) = (SAMPLES / "series-and-sinogram").glob("*.npz")
    run = ended(laptop, post_files(laptop, "ct-ai", sinogram, group=series)["run_id"])
    assert run["state"] == RunState.DELIVERED, run
