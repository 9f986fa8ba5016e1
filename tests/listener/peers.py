"""Peers of the listener for its tests: an Airflow that can fail on demand, a PACS, and the listener as a process."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, evt
from pynetdicom.association import Association

from dicom_listener.live_config import LiveConfig
from dicom_listener.service import Places, Service

WORKFLOW = "1db65f99-c9b7-4329-ab9c-d519e0557638"
TOKEN = "test-token"
ROOT = Path(__file__).parents[2]
SERIES_B = ROOT / "tests" / "data" / "abdomen_b"


@dataclass
class FakeAirflow:
    """Airflow's REST API as far as the listener uses it; the answers follow what was measured on Airflow 3.3."""

    dags: list[dict[str, Any]] = field(default_factory=lambda: [{"dag_id": "organ-seg", "is_paused": False}])
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    posts: list[str] = field(default_factory=list)
    token: str = "first"
    logins: int = 0
    fail_with: int | None = None
    answer_after_taking: int | None = None
    url: str = ""

    def answer(self, method: str, url: str, headers: Any, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        path = urlsplit(url).path
        if path == "/auth/token":
            self.logins += 1
            good = body == {"username": "clara", "password": "secret"}
            return (201, {"access_token": self.token}) if good else (401, {"detail": "Invalid credentials"})
        if headers.get("Authorization") != f"Bearer {self.token}":
            return 401, {"detail": "Invalid JWT token"}
        if self.fail_with is not None:
            return self.fail_with, {"detail": "made to fail"}
        if method == "POST":
            return self._trigger(path.split("/")[4], body)
        return self._get(path, parse_qs(urlsplit(url).query))

    def _get(self, path: str, query: dict[str, list[str]]) -> tuple[int, dict[str, Any]]:
        parts = path.split("/")
        if path == "/api/v2/dags":
            return 200, {"dags": self.dags if query.get("tags") == [WORKFLOW] else []}
        if path == "/api/v2/version":
            return 200, {"version": "3.3.2"}
        if len(parts) == 5:
            found = [dag for dag in self.dags if dag["dag_id"] == parts[4]]
            return (200, found[0]) if found else (404, {"detail": "not found"})
        run_id = parts[6]
        if path.endswith("/taskInstances"):
            return 200, {"task_instances": [{"task_id": "ai-vnet", "state": "failed", "end_date": "2026-01-01"}]}
        if run_id not in self.runs:
            return 404, {"detail": "not found"}
        return 200, {"dag_run_id": run_id, "state": self.states.get(run_id, "queued")}

    def _trigger(self, dag_id: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        run_id = body["dag_run_id"]
        self.posts.append(run_id)
        if "logical_date" not in body:
            return 422, {"detail": "logical_date is missing"}
        if run_id in self.runs:
            return 409, {"detail": "exists"}
        self.runs[run_id] = {"dag_id": dag_id, **body}
        return (self.answer_after_taking or 200), {"dag_run_id": run_id}


def _say_nothing(*_: object) -> None:
    """In place of a line on stderr for every request."""


class AirflowHandler(BaseHTTPRequestHandler):
    airflow: FakeAirflow

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length) or b"{}")
        status, answer = self.airflow.answer(self.command, self.path, self.headers, body)
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = _answer  # noqa: N815

    log_message = _say_nothing


@dataclass
class Pacs:
    """A storage SCP that keeps what it gets in memory; `status` is what it answers while it has room."""

    port: int
    received: list[Dataset] = field(default_factory=list)
    status: int = 0
    room: int = 1000


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_pacs(peer: Pacs, classes: list[str] | None = None) -> Any:
    entity = AE("DCM4CHEE")
    for context in AllStoragePresentationContexts:
        if classes is None or context.abstract_syntax in classes:
            entity.add_supported_context(context.abstract_syntax, ALL_TRANSFER_SYNTAXES)
    entity.add_supported_context("1.2.840.10008.1.1")

    def store(event: evt.Event) -> int:
        if len(peer.received) >= peer.room:
            return 0xA700
        if peer.status == 0:
            dataset = event.dataset
            dataset.file_meta = event.file_meta
            peer.received.append(dataset)
        return peer.status

    return entity.start_server(("127.0.0.1", peer.port), block=False, evt_handlers=[(evt.EVT_C_STORE, store)])


def configuration(airflow_url: str, pacs_port: int, **changes: Any) -> dict[str, Any]:
    """A configuration on loopback with free ports; `changes` are set in `clara` or `dicom.scp`."""
    return {
        "dicom": {
            "scp": {
                "port": 0,
                "ae-titles": changes.pop("ae_titles", [{"ae-title": "CT_AI", "timeout": 2}]),
                "reject-unknown-sources": True,
                "sources": changes.pop("sources", [{"host-ip": "127.0.0.1", "ae-title": "PACS"}]),
            },
            "scu": {
                "ae-title": "ClaraSCU",
                "destinations": [
                    {"name": "DCM4CHEE", "ae-title": "DCM4CHEE", "host-ip": "127.0.0.1", "port": pacs_port}
                ],
            },
        },
        "services": {"platform-endpoint": airflow_url},
        "workflows": changes.pop(
            "workflows",
            [
                {
                    "name": "organ-seg",
                    "clara-ae-title": "CT_AI",
                    "destination-name": "DCM4CHEE",
                    "workflow": WORKFLOW,
                }
            ],
        ),
        "clara": {
            "api": {"host": "127.0.0.1", "port": 0},
            "network": {"host": "127.0.0.1", "drain": 3},
            "storage": {"min-free-percent": 0, "min-free-gb": 0},
            **changes,
        },
    }


@dataclass
class Listener:
    """A listener in this process, with its folder; `config.yaml` in it is the configuration."""

    folder: Path
    dicom_port: int = 0
    api_url: str = ""
    service: Service | None = None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def start(self) -> None:
        places = Places(self.data, self.folder / "journal" / "journal.db", self.folder / "ready.json")
        self.service = Service(LiveConfig(self.folder / "config.yaml"), places)
        self.service.start()
        self._read_ready_file()

    def stop(self) -> None:
        if self.service is not None:
            self.service.close()
            self.service = None

    def stored(self) -> list[Dataset]:
        """What lies in the spool."""
        files = sorted((self.data / "spool").rglob("*.dcm"))
        return [dcmread(file) for file in files if file.stat().st_size]

    def _read_ready_file(self) -> None:
        facts = json.loads((self.folder / "ready.json").read_text())
        self.dicom_port, self.api_url = facts["dicom_port"], facts["api_url"]

    def ask(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        return httpx.request(method, self.api_url + path, headers=headers, trust_env=False, **arguments)

    def get(self, path: str) -> Any:
        answer = self.ask("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def runs(self) -> list[dict[str, Any]]:
        return self.get("/v1/runs")

    def series(self) -> list[dict[str, Any]]:
        return self.get("/v1/series")


@dataclass
class ListenerProcess(Listener):
    """A listener in a process of its own, as users run it."""

    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        ready = self.folder / "ready.json"
        ready.unlink(missing_ok=True)
        command = [sys.executable, "-c", "import sys; from dicom_listener.command import main; sys.exit(main())"]
        options = {"--config": "config.yaml", "--data": "data", "--journal": "journal/journal.db"}
        command += ["serve", "--ready-file", str(ready)]
        for name, value in options.items():
            command += [name, str(self.folder / value)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        with (self.folder / "log.jsonl").open("ab") as log:
            self.process = subprocess.Popen(command, env=environment, stderr=log)
        wait_for(lambda: ready.exists() or self.process.poll() is not None, 20)
        assert self.process.poll() is None, self.log()
        self._read_ready_file()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.end(signal.SIGTERM)

    def end(self, how: int) -> int:
        assert self.process is not None
        self.process.send_signal(how)
        return self.process.wait(30)

    def log(self) -> str:
        return (self.folder / "log.jsonl").read_text()


def wait_for(what: Callable[[], Any], seconds: float = 10) -> Any:
    """The first true answer of `what`; fails when there is none in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = what()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"did not happen within {seconds} s")


def make_instance(series: str, number: int, study: str = "1.2.3", content: int = 0, modality: str = "CT") -> Dataset:
    """A small CT slice; slices lie 2 mm apart."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = f"{series}.{number}"
    dataset.StudyInstanceUID = study
    dataset.SeriesInstanceUID = series
    dataset.Modality = modality
    dataset.BodyPartExamined = "ABDOMEN"
    dataset.PatientName = "Secret^Patient"
    dataset.PatientID = "SECRET-ID"
    dataset.InstanceNumber = number
    dataset.ImagePositionPatient = [0, 0, 2.0 * number]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.Rows = dataset.Columns = 8
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation, dataset.SamplesPerPixel = 0, 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.PixelData = bytes([content % 256]) * 128
    return dataset


def make_series(count: int, series: str | None = None) -> list[Dataset]:
    """Neighbouring slices of one series, a new one unless it is named."""
    name = series or new_series()
    return [make_instance(name, number) for number in range(1, count + 1)]


def send(listener: Listener, datasets: list[Dataset], called: str = "CT_AI", calling: str = "PACS") -> list[int]:
    """Send over one association and release it; answers the statuses."""
    entity = AE(calling)
    pairs = {(item.SOPClassUID, item.file_meta.TransferSyntaxUID) for item in datasets}
    for sop_class, syntax in pairs:
        entity.add_requested_context(sop_class, syntax)
    association = entity.associate("127.0.0.1", listener.dicom_port, ae_title=called)
    assert association.is_established
    with reactor_held(association):
        statuses = [association.send_c_store(item).Status for item in datasets]
    association.release()
    return statuses


class _NeverSet(threading.Event):
    def set(self) -> None:
        """What is held stays held."""


@contextmanager
def reactor_held(association: Association) -> Iterator[None]:
    """While instances are sent: pynetdicom's reactor takes an answer before its own `send_c_store` now and then."""
    before, held = association._reactor_checkpoint, _NeverSet()
    association._reactor_checkpoint = held
    time.sleep(0.01)
    try:
        yield
    finally:
        association._reactor_checkpoint = before
        before.set()
        threading.Event.set(held)


def new_series() -> str:
    return f"2.25.{uuid4().int >> 16}"


def abdomen_b() -> list[Dataset]:
    return [dcmread(path) for path in sorted(SERIES_B.glob("*.dcm"))]
