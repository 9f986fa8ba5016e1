"""A series goes in, its workflow is triggered, the result goes out: with peers that we did not write."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest
from pydicom import dcmread

from clara_ops.contract.documents import read_document
from clara_ops.contract.payload import Manifest
from tests.listener.peers import SERIES_B, WORKFLOW, abdomen_b, make_instance, make_series, new_series, send, wait_for


@pytest.mark.e2e
def test_series_by_storescu_triggers_its_workflow_within_a_second(make_listener, airflow):
    listener = make_listener(ae_titles=[{"ae-title": "CT_AI", "timeout": 60}])
    command = ["storescu", "-aet", "PACS", "-aec", "CT_AI", "-xv", "127.0.0.1", str(listener.dicom_port)]
    subprocess.run([*command, *map(str, SERIES_B.glob("*.dcm"))], check=True)
    (run,) = wait_for(lambda: [run for run in listener.runs() if run["state"] != "pending"])

    assert run["run_id"] == next(iter(airflow.runs))
    assert _seconds(run["triggered"]) - _seconds(run["last_instance"]) < 1.0
    posted = airflow.runs[run["run_id"]]
    assert posted["logical_date"] is None
    sent = abdomen_b()
    assert posted["conf"] == {
        "payload": run["run_id"],
        "ae_title": "CT_AI",
        "calling_ae": "PACS",
        "group": sent[0].SeriesInstanceUID,
        "study_uid": sent[0].StudyInstanceUID,
        "series_uid": sent[0].SeriesInstanceUID,
        "generation": 1,
        "facts": {
            "modality": "CT",
            "body_part": "ABDOMEN",
            "instances": 20,
            "complete": True,
            "orientation": "axial",
        },
    }
    (series,) = listener.series()
    assert (series["state"], series["instances"], series["runs"]) == ("complete", 20, [run["run_id"]])
    assert "without a gap" in series["reason"]


def test_payload_holds_every_instance_as_it_was_sent(make_listener, airflow):
    listener = make_listener()
    sent = {item.SOPInstanceUID: item for item in abdomen_b()}
    assert set(send(listener, list(sent.values()))) == {0}
    wait_for(lambda: airflow.runs)
    (run_id,) = airflow.runs
    payload = listener.data / "payloads" / run_id
    manifest = read_document(Manifest, payload / "payload.json")
    assert {item.sop_instance_uid for item in manifest.instances} == set(sent)
    for item in manifest.instances:
        file = payload / item.path
        assert file.stat().st_mode & 0o777 == 0o440
        assert file.stat().st_nlink == 2
        assert (item.size, item.sha256) == (file.stat().st_size, hashlib.sha256(file.read_bytes()).hexdigest())
        stored, original = dcmread(file), sent[item.sop_instance_uid]
        assert stored == original
        assert stored.PixelData == original.PixelData
        assert stored.file_meta.TransferSyntaxUID == original.file_meta.TransferSyntaxUID
        assert item.source == "PACS@127.0.0.1"
    assert manifest.workflow == WORKFLOW


def test_results_are_delivered_and_never_trigger_when_the_pacs_forwards_them(make_listener, airflow, pacs):
    listener = make_listener()
    send(listener, make_series(3))
    run_id = wait_for(lambda: next(iter(airflow.runs), None))
    folders = {"input": "dicom-reader/input", "folders": ["dicom-reader/output", "dicom-writer/output"]}
    for _ in range(2):
        answer = listener.ask("PUT", f"/v1/payloads/{run_id}/folders", json=folders)
        assert (answer.status_code, answer.json()) == (200, {"run_id": run_id, "files": 3})
    output = listener.data / "payloads" / run_id / "dicom-writer" / "output"
    result = make_instance(new_series(), 1)
    result.save_as(output / "result.dcm", enforce_file_format=True)
    (output / "result.json").write_text('{"version": 1, "facts": {"volume": 3}}')
    assert listener.get(f"/v1/payloads/{run_id}/result?folder=dicom-writer/output")["facts"] == {"volume": 3}

    airflow.states[run_id] = "running"
    wait_for(lambda: listener.get(f"/v1/runs/{run_id}")["state"] == "running")
    request = {"payload": run_id, "folder": "dicom-writer/output"}
    first = listener.ask("POST", "/v1/deliveries", json=request).json()
    wait_for(lambda: listener.get(f"/v1/deliveries/{first['id']}")["state"] == "delivered")
    again = listener.ask("POST", "/v1/deliveries", json=request).json()
    assert again == {"id": first["id"], "state": "delivered", "reason": ""}
    (delivered,) = pacs.received
    assert delivered.SOPInstanceUID == result.SOPInstanceUID
    assert delivered.PixelData == result.PixelData
    run = listener.get(f"/v1/runs/{run_id}")
    assert run["state"] == "delivered"
    assert run["delivered"] is not None

    assert send(listener, [result]) == [0]
    shown = listener.get(f"/v1/series/{result.SeriesInstanceUID}")
    assert (shown["state"], shown["reason"]) == ("discarded", "our own result, sent back to us")
    assert listener.runs() == [run]


def test_folder_without_dicom_is_skipped_with_the_reason(make_listener, airflow):
    listener = make_listener()
    send(listener, make_series(2))
    run_id = wait_for(lambda: next(iter(airflow.runs), None))
    answer = listener.ask("POST", "/v1/deliveries", json={"payload": run_id, "folder": "ai/output"}).json()
    assert (answer["state"], answer["reason"]) == ("skipped", "ai/output holds no DICOM file")
    airflow.states[run_id] = "success"
    wait_for(lambda: listener.get(f"/v1/runs/{run_id}")["state"] == "done")


def test_failed_run_names_the_task(make_listener, airflow):
    listener = make_listener()
    send(listener, make_series(2))
    run_id = wait_for(lambda: next(iter(airflow.runs), None))
    airflow.states[run_id] = "failed"
    wait_for(lambda: listener.get(f"/v1/runs/{run_id}")["state"] == "failed")
    assert listener.get(f"/v1/runs/{run_id}")["reason"] == "task ai-vnet failed"


@pytest.mark.e2e
def test_echo_with_echoscu(make_listener):
    listener = make_listener()
    subprocess.run(["echoscu", "-aet", "PACS", "-aec", "CT_AI", "127.0.0.1", str(listener.dicom_port)], check=True)


@pytest.mark.e2e
@pytest.mark.parametrize(("called", "calling", "said"), [("NOBODY", "PACS", "Called AE"), ("CT_AI", "X", "Calling AE")])
def test_unknown_titles_are_rejected_with_the_standards_reason(make_listener, called, calling, said):
    listener = make_listener()
    command = ["echoscu", "-aet", calling, "-aec", called, "127.0.0.1", str(listener.dicom_port)]
    answer = subprocess.run(command, capture_output=True, text=True)
    assert answer.returncode != 0
    assert f"{said} Title Not Recognized" in answer.stdout + answer.stderr


def test_nothing_that_identifies_is_logged_or_named(make_process, airflow):
    listener = make_process()
    send(listener, make_series(2))
    wait_for(lambda: airflow.runs)
    listener.stop()
    names = " ".join(str(path) for path in listener.folder.rglob("*"))
    for text in (listener.log(), names, str(airflow.runs)):
        assert "secret" not in text.lower()
    assert b"secret" not in Path(listener.folder / "journal" / "journal.db").read_bytes().lower()


def test_data_folder_is_all_that_a_payload_needs(make_listener, airflow, tmp_path):
    listener = make_listener()
    send(listener, make_series(2))
    run_id = wait_for(lambda: next(iter(airflow.runs), None))
    shutil.copytree(listener.data / "payloads" / run_id, tmp_path / "copy")
    assert len(list((tmp_path / "copy").rglob("*.dcm"))) == 2


def _seconds(moment: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(moment).timestamp()
