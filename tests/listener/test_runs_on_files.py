"""POST /v1/runs with files: they reach the payload, alone or beside a series, again as the next generation."""

import json
import os
import signal
import socket
from urllib.parse import urlsplit

import httpx
import pytest

from clara_ops.contract.documents import read_document
from clara_ops.contract.payload import Manifest
from tests.listener.peers import TOKEN, WORKFLOW, make_series, send, wait_for

pytestmark = pytest.mark.e2e

SCAN = os.urandom(300_000)
FIELDS = {"workflow": WORKFLOW, "ae_title": "CT_AI"}


@pytest.fixture
def listener(make_listener):
    return make_listener()


def post(listener, fields=None, name="scan.npz", content=SCAN):
    return listener.ask("POST", "/v1/runs", data={**FIELDS, **(fields or {})}, files={"files": (name, content)})


def payload_of(listener, run_id):
    """The manifest of a run, and the files of its workflow's input folder."""
    payload = listener.data / "payloads" / run_id
    manifest = read_document(
        Manifest, wait_for(lambda: (payload / "payload.json").is_file() and payload / "payload.json")
    )
    answer = listener.ask("PUT", f"/v1/payloads/{run_id}/folders", json={"input": "dicom/input", "folders": ["out"]})
    assert answer.status_code == 200
    return manifest, {path.name: path for path in (payload / "dicom/input").rglob("*") if path.is_file()}


def test_files_are_the_input_of_a_run(listener, airflow):
    answer = post(listener, {"parameters": '{"threshold": 0.25}'})
    run = answer.json()
    assert (answer.status_code, run["generation"], run["workflow"]) == (201, 1, WORKFLOW)
    wait_for(lambda: run["run_id"] in airflow.posts)
    manifest, files = payload_of(listener, run["run_id"])
    assert (manifest.files, manifest.instances, manifest.group) == (("received/scan.npz",), (), run["group"])
    assert {name: path.read_bytes() for name, path in files.items()} == {"scan.npz": SCAN}
    assert files["scan.npz"].stat().st_mode & 0o777 == 0o440
    conf = airflow.runs[run["run_id"]]["conf"]
    assert (conf["threshold"], conf["facts"]["instances"], conf["group"]) == (0.25, 0, run["group"])


def test_the_same_files_again_are_the_next_generation(listener, airflow):
    first, second = post(listener).json(), post(listener).json()
    assert (second["generation"], second["group"]) == (2, first["group"])
    other = post(listener, content=SCAN[:-1]).json()
    assert other["generation"] == 1
    wait_for(lambda: other["run_id"] in airflow.posts)
    assert len(list((listener.data / "uploads").iterdir())) == 3, "two groups, and the folder of what comes in"


def test_a_request_asked_again_is_the_same_run(listener, airflow):
    run_ids = {post(listener, {"request_id": "r-1"}).json()["run_id"] for _ in range(3)}
    assert len(run_ids) == len(listener.runs()) == 1


def test_files_that_are_there_run_again_by_their_group(listener, airflow):
    first = post(listener).json()
    again = listener.ask("POST", "/v1/runs", json={**FIELDS, "group": first["group"]})
    assert (again.status_code, again.json()["generation"]) == (201, 2)
    _, files = payload_of(listener, again.json()["run_id"])
    assert list(files) == ["scan.npz"]


def test_a_series_and_files_come_in_one_payload(listener, airflow):
    series = make_series(3)
    uid = str(series[0].SeriesInstanceUID)
    send(listener, series)
    wait_for(lambda: airflow.posts)
    run = post(listener, {"group": uid}, name=f"{uid}.npz").json()
    manifest, files = payload_of(listener, run["run_id"])
    assert len(manifest.instances) == 3
    assert manifest.files == (f"received/{uid}.npz",)
    assert set(files) == {f"{uid}.npz", *(f"{item.SOPInstanceUID}.dcm" for item in series)}
    conf = airflow.runs[run["run_id"]]["conf"]
    assert (conf["facts"]["modality"], conf["series_uid"]) == ("CT", uid)
    assert run["group"] != uid
    assert {found["state"] for found in listener.runs()} == {"triggered"}, "the run of the series goes on beside it"


@pytest.mark.parametrize(
    ("fields", "name", "status", "error"),
    [
        ({"ae_title": "NOT_OURS"}, "scan.npz", 422, "BadRequest"),
        ({"group": "1.2.3.4"}, "scan.npz", 404, "SeriesNotFound"),
        ({"unknown": "x"}, "scan.npz", 422, "BadRequest"),
        ({"parameters": "no JSON"}, "scan.npz", 422, "BadRequest"),
        ({"workflow": ""}, "scan.npz", 422, "BadRequest"),
        ({}, "slice.dcm", 422, "BadRequest"),
    ],
)
def test_errors_have_a_name_and_leave_nothing(listener, fields, name, status, error):
    answer = post(listener, fields, name)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert answer.json()["message"]
    assert listener.runs() == []
    assert not [path for path in (listener.data / "uploads").rglob("*") if path.is_file()]


def test_without_the_token_nothing_is_kept(listener):
    files = {"files": ("scan.npz", SCAN)}
    refused = httpx.post(f"{listener.api_url}/v1/runs", data=FIELDS, files=files, trust_env=False)
    assert (refused.status_code, refused.json()["error"]) == (401, "Unauthorised")
    assert not (listener.data / "uploads").exists()


def test_limits_of_the_configuration_hold(make_listener):
    listener = make_listener(uploads={"max-gb": 1e-4})
    answer = post(listener)
    assert (answer.status_code, answer.json()["error"]) == (413, "UploadTooLarge")


def test_a_sender_that_goes_away_leaves_nothing(listener):
    address = urlsplit(listener.api_url)
    with socket.create_connection((address.hostname, address.port)) as sender:
        head = (
            f"POST /v1/runs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 900000\r\n"
            "Content-Type: multipart/form-data; boundary=limit\r\n\r\n--limit\r\n"
            'Content-Disposition: form-data; name="files"; filename="a.npz"\r\n\r\n'
        )
        sender.sendall(head.encode() + SCAN)
        incoming = listener.data / "uploads" / ".incoming"
        wait_for(lambda: incoming.is_dir() and list(incoming.rglob("a.npz")))
    wait_for(lambda: not list(incoming.iterdir()))
    assert listener.runs() == []


def test_what_was_answered_outlives_a_kill(make_process, airflow):
    airflow.fail_with = 503
    listener = make_process()
    run = post(listener).json()
    listener.end(signal.SIGKILL)
    airflow.fail_with = None
    listener.start()
    wait_for(lambda: run["run_id"] in airflow.posts, 20)
    _, files = payload_of(listener, run["run_id"])
    assert files["scan.npz"].read_bytes() == SCAN


def test_the_interface_describes_both_forms(listener):
    described = listener.ask("GET", "/openapi.json").json()["paths"]["/v1/runs"]["post"]["requestBody"]["content"]
    assert set(described) == {"application/json", "multipart/form-data"}
    assert "files" in json.dumps(described["multipart/form-data"])
