"""What can go wrong on the way of the main job: each has a clear end, and nothing is lost."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import pytest
from pydicom.uid import CTImageStorage, MRImageStorage, generate_uid
from pynetdicom import AE
from pynetdicom.dimse_primitives import C_STORE

from clara_ops.contract.states import RunState
from clara_ops.laptop.airflow import COMPONENTS
from clara_ops.laptop.check import check_results
from clara_ops.laptop.demo import CALLED_AE, MAIN_MODALITIES, Series
from clara_ops.laptop.errors import LaptopError
from clara_ops.laptop.follow import FollowedRun, ask_for_run, follow, runs_of
from clara_ops.laptop.pacs_client import answers_echo, find_series, send_series
from clara_ops.laptop.programs import SCANNER_AE
from clara_ops.laptop.servers import Laptop

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


def send(laptop: Laptop, series: Series, called_ae: str = CALLED_AE) -> datetime:
    """Send a series to the listener; when that began."""
    started = datetime.now(UTC)
    for _ in send_series(series.files, SCANNER_AE, called_ae, laptop.run.dicom_port):
        pass
    return started


def the_run(laptop: Laptop, series: Series, started: datetime) -> FollowedRun:
    (run,) = follow(laptop, series.series_uid, started, print)
    return run


def wait_for(laptop: Laptop, test: Callable[[], Any], what: str, timeout: float = 120) -> None:
    laptop.supervisor.wait_until(lambda: bool(test()), what, timeout)


def assert_delivered(laptop: Laptop, series: Series, run: FollowedRun) -> None:
    assert run.state is RunState.DELIVERED, run
    results = check_results(laptop.pacs, SCANNER_AE, series.files, MAIN_MODALITIES)
    assert results.volumes["liver"] > 100


def test_bytes_that_are_no_dicom_are_refused_and_the_next_series_is_not_disturbed(
    laptop: Laptop, new_series: Callable[..., Series]
) -> None:
    application = AE(ae_title=SCANNER_AE)
    application.add_requested_context(CTImageStorage)
    association = application.associate("127.0.0.1", laptop.run.dicom_port, ae_title=CALLED_AE)
    assert association.is_established
    request = C_STORE()
    request.MessageID = 1
    request.AffectedSOPClassUID = CTImageStorage
    request.AffectedSOPInstanceUID = generate_uid()
    request.Priority = 0
    request.DataSet = BytesIO(b"this is no DICOM data set, but a letter to the radiologist")
    association._reactor_checkpoint.clear()
    association.dimse.send_msg(request, association.accepted_contexts[0].context_id)
    _, answer = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    association.release()
    assert answer.Status & 0xF000 == 0xC000 or answer.Status & 0xFF00 == 0xA900, f"{answer.Status:04X}"

    series = new_series("after-garbage")
    assert_delivered(laptop, series, the_run(laptop, series, send(laptop, series)))


def test_an_unknown_ae_title_is_rejected_by_name(laptop: Laptop, new_series: Callable[..., Series]) -> None:
    series = new_series("unknown-ae")
    application = AE(ae_title=SCANNER_AE)
    application.add_requested_context(CTImageStorage)
    association = application.associate("127.0.0.1", laptop.run.dicom_port, ae_title="NOBODY")
    assert association.is_rejected
    assert association.acceptor.primitive.diagnostic == 7, "PS3.8 9.3.4: called AE title not recognized"
    with pytest.raises(LaptopError, match="refused the association"):
        send(laptop, series, "NOBODY")
    assert runs_of(laptop, series.series_uid) == []


@pytest.mark.parametrize(
    ("name", "changes", "reason"),
    [
        ("mr", {"Modality": "MR", "SOPClassUID": MRImageStorage}, "modality is 'MR'"),
        ("one-slice", {"slices": 1}, "instances is 1"),
    ],
)
def test_a_series_that_is_not_for_the_workflow_ends_so_without_a_pod(
    laptop: Laptop, new_series: Callable[..., Series], name: str, changes: dict[str, Any], reason: str
) -> None:
    series = new_series(name, **changes)
    run = the_run(laptop, series, send(laptop, series))
    assert run.state is RunState.NOT_APPLICABLE
    assert reason in run.reason
    states = {step.name: step.state for step in run.steps}
    assert "failed" not in states.values()
    assert not {"dicom-reader", "ai-vnet", "dicom-writer"} & {
        name for name, state in states.items() if state == "success"
    }
    assert find_series(laptop.pacs, SCANNER_AE, series.study_uid) == []


def test_a_series_that_arrives_while_airflow_is_down_is_delivered_when_it_is_back(
    laptop: Laptop, new_series: Callable[..., Series]
) -> None:
    for component in COMPONENTS:
        laptop.supervisor.stop(component)
    series = new_series("airflow-down")
    started = send(laptop, series)
    wait_for(laptop, lambda: [run for run in runs_of(laptop, series.series_uid) if run["reason"]], "the reason")
    (waiting,) = runs_of(laptop, series.series_uid)
    assert waiting["state"] == RunState.PENDING
    assert "Airflow" in waiting["reason"]
    for component in COMPONENTS:
        laptop.supervisor.start_again(component)
    wait_for(laptop, laptop.airflow.is_healthy, "Airflow")
    assert_delivered(laptop, series, the_run(laptop, series, started))


def test_triton_down_fails_with_the_reason_and_the_run_can_be_asked_for_again(
    laptop: Laptop, new_series: Callable[..., Series]
) -> None:
    laptop.supervisor.stop("triton")
    series = new_series("triton-down")
    run = the_run(laptop, series, send(laptop, series))
    assert run.state is RunState.FAILED
    assert "ai-vnet" in run.reason
    tasks = {task["task_id"]: task for task in laptop.airflow.task_instances(run.dag_id, run.run_id)}
    assert tasks["ai-vnet"]["try_number"] >= 2, "it was tried again before it failed"
    logs = laptop.home.airflow / "logs" / "dag_id=organ-seg" / f"run_id={run.run_id}" / "task_id=ai-vnet"
    last_try = logs / f"attempt={tasks['ai-vnet']['try_number']}.log"
    assert "TritonUnavailable" in last_try.read_text(), "the log of the task names the reason"
    assert tasks["dicom-writer"]["state"] == "upstream_failed"

    laptop.supervisor.start_again("triton")
    wait_for(laptop, (laptop.home.root / "triton.json").is_file, "Triton")
    again = datetime.now(UTC)
    (workflow,) = laptop.checkout.workflows_of(CALLED_AE)
    ask_for_run(laptop, workflow, CALLED_AE, series.series_uid)
    assert_delivered(laptop, series, the_run(laptop, series, again))


def test_the_pacs_down_at_delivery_is_waited_for(laptop: Laptop, new_series: Callable[..., Series]) -> None:
    laptop.supervisor.stop("pacs")
    series = new_series("pacs-down")
    started = send(laptop, series)

    def deliver_waits() -> bool:
        runs = runs_of(laptop, series.series_uid)
        tasks = laptop.airflow.task_instances("organ-seg", runs[0]["run_id"]) if runs else []
        return any(task["task_id"] == "deliver" and task["state"] == "deferred" for task in tasks)

    wait_for(laptop, deliver_waits, "the delivery waiting for the PACS")
    time.sleep(3)
    assert deliver_waits(), "it goes on waiting"
    laptop.supervisor.start_again("pacs")
    wait_for(laptop, lambda: answers_echo(laptop.pacs), "the PACS")
    assert_delivered(laptop, series, the_run(laptop, series, started))
