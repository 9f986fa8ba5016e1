"""A real Airflow with the workflows of these tests, in front of a pod API: start runs, and see what becomes of them."""

import json
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from clara_ops.contract import environment as names
from clara_ops.contract.conf import RunConf, to_conf
from clara_ops.contract.run_id import make_run_id
from clara_ops.laptop import airflow
from clara_ops.laptop.airflow import AirflowApi, Bundle
from clara_ops.laptop.ports import reserved_ports
from clara_ops.laptop.processes import Supervisor
from clara_ops.laptop.setup import ROOT
from clara_ops.laptop.state import Home
from tests.dag.service import Answer, Service, running
from tests.kube.features.site import GPUS, Site, wait_until
from tests.kube.features.workflows import folders_of, workflow_id, write_workflows

BINARIES = ROOT / ".venvs" / "airflow" / "bin"
AE_TITLE = "CT_AI"
READY_SECONDS = 240
ENDED = frozenset({"success", "failed"})

# a worker that says nothing for so long is given up; minutes when not told
_HEARTBEAT = {
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "10",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
}
_RESULT = re.compile(r"GET /v1/payloads/(?P<run>[^/]+)/result\?(?P<query>.*)")


class ClaimListener(Service):
    """Answers as the listener does, from the claim of a site; it delivers nothing."""

    def __init__(self, site: Site) -> None:
        super().__init__({})
        self._site = site

    def answer(self, request: str, body: Any, token: str | None) -> Answer:
        """Folders are there already; results are read; deliveries are skipped."""
        if request.endswith("/folders"):
            return 200, {"run_id": "", "files": 0}
        if (asked := _RESULT.fullmatch(request)) is not None:
            (folder,) = parse_qs(asked["query"])["folder"]
            found = self._site.read(f"payloads/{asked['run']}/{folder}/result.json")
            return (200, json.loads(found)) if found else (404, {"error": "ResultNotFound", "message": "none"})
        if urlsplit(request).path.startswith("POST /v1/deliveries"):
            return 200, {"id": "1", "state": "skipped", "reason": "nowhere to send it"}
        return super().answer(request, body, token)


@dataclass(frozen=True)
class Run:
    """One run of one workflow, as Airflow's REST API and the pod API show it."""

    site: Site
    api: httpx.Client
    workflow: str
    id: str

    @property
    def _path(self) -> str:
        return f"/api/v2/dags/{self.workflow}/dagRuns/{self.id}"

    def state(self) -> str:
        """Of the run."""
        return str(self.api.get(self._path).raise_for_status().json()["state"])

    def tasks(self) -> dict[str, dict[str, Any]]:
        """The run's task instances, by task."""
        found = self.api.get(f"{self._path}/taskInstances").raise_for_status().json()["task_instances"]
        return {task["task_id"]: task for task in found}

    def task(self, name: str = "work") -> str:
        """State of a task."""
        return str(self.tasks()[name]["state"])

    def tries(self, name: str = "work") -> int:
        """How often a task was started."""
        return int(self.tasks()[name]["try_number"])

    def log(self, name: str = "work", attempt: int = 1) -> str:
        """What the UI shows as a task's log; empty while there is none."""
        answer = self.api.get(f"{self._path}/taskInstances/{name}/logs/{attempt}", params={"full_content": True})
        if answer.status_code == httpx.codes.NOT_FOUND:
            return ""
        lines = answer.raise_for_status().json()["content"]
        return "\n".join(line for item in lines for line in (str(item["event"]), *_errors(item)))

    def pods(self) -> list[str]:
        """Names of the run's pods that are there."""
        return [pod.metadata.name for pod in self.site.pods(self.id)]

    def note(self, name: str) -> str:
        """What a script has written to its log folder; empty where it has not."""
        return (self.site.read(f"payloads/{self.id}/logs/{name}") or b"").decode()

    def write_note(self, name: str) -> None:
        """Make a file in the scripts' log folder, which a script waits for."""
        self.site.write({f"payloads/{self.id}/logs/{name}": b""}, ())

    def wait(self, holds: Callable[[], bool], seconds: float = 120) -> None:
        """Wait until something holds of the run; fails with its tasks and its log."""
        wait_until(holds, lambda: (self.state(), self.tasks(), self.pods()), seconds)

    def ended(self, state: str, seconds: float = 120) -> None:
        """Wait for the end of the run, which has to be this one."""
        self.wait(lambda: self.state() in ENDED, seconds)
        assert self.state() == state, f"{self.tasks()}\n{self.log()}"

    def mark_failed(self) -> None:
        """What the button in the UI does."""
        self.api.patch(self._path, json={"state": "failed"}).raise_for_status()

    def delete(self) -> None:
        """What the button in the UI does; Airflow deletes no run that is still running."""
        self.api.delete(self._path).raise_for_status()


@dataclass(frozen=True)
class Scene:
    """Airflow and a pod API."""

    site: Site
    api: httpx.Client
    admin: AirflowApi

    def start(self, *workflows: str) -> list[Run]:
        """Trigger a run of each workflow, as the listener does: payload first."""
        runs = [Run(self.site, self.api, name, _new_id(name)) for name in workflows]
        files = {f"payloads/{run.id}/payload.json": b"{}" for run in runs}
        folders = [f"payloads/{run.id}/{folder}" for run in runs for folder in folders_of(run.workflow)]
        self.site.write(files, tuple(folders))
        for run in runs:
            conf = to_conf(RunConf(run.id, AE_TITLE, "SCANNER", "1.2", "1.2.3", "1.2.3", 1))
            body = {"dag_run_id": run.id, "logical_date": None, "conf": conf}
            self.api.post(f"/api/v2/dags/{run.workflow}/dagRuns", json=body).raise_for_status()
        return runs

    def set_gpu_slots(self, slots: int) -> None:
        """Size of the pool that GPU stages wait in."""
        self.admin.put_pool("clara_gpu", slots, "Stages that ask for a GPU")


@contextmanager
def running_scene(site: Site, folder: Path) -> Iterator[Scene]:
    """Airflow, ready, with all workflows parsed."""
    home = Home(folder / "home")
    home.make()
    catalogue = write_workflows(folder / "workflows")
    with (
        reserved_ports({"airflow": 8080, "airflow-execution": 8081}) as ports,
        running(ClaimListener(site)) as listener,
        Supervisor(home.logs) as supervisor,
    ):
        bundle = Bundle(folder / "workflows", (catalogue,))
        settings = airflow.settings(home, ports["airflow"], ports["airflow-execution"], bundle, host=site.host)
        settings |= {names.IMAGE_REGISTRY: site.registry, **_HEARTBEAT}
        url = f"http://{site.host}:{ports['airflow']}"
        password = airflow.prepare(supervisor, home, settings, BINARIES)
        airflow.start(supervisor, settings, BINARIES)
        admin = AirflowApi(url, ports["airflow-execution"], password)
        supervisor.wait_until(admin.is_healthy, "Airflow: becoming ready", READY_SECONDS)
        admin.log_in()
        admin.put_pool("clara_gpu", GPUS, "Stages that ask for a GPU")
        connection = {"conn_type": "http", "schema": "http", "host": "127.0.0.1", "port": listener.port}
        admin.put_connection("clara_listener", connection)
        extra = json.dumps({"kube_config_path": str(site.kubeconfig), "namespace": site.namespace})
        admin.put_connection("clara_kubernetes", {"conn_type": "kubernetes", "extra": extra})
        with _logged_in(url, password) as api:
            scene = Scene(site, api, admin)
            workflows = {path.stem for path in (folder / "workflows").iterdir()}
            supervisor.wait_until(
                lambda: all(admin.has_dag(name) for name in workflows), "all workflows: being parsed", READY_SECONDS
            )
            yield scene


def _errors(item: Mapping[str, Any]) -> list[str]:
    return [f"{error['exc_type']}: {error['exc_value']}" for error in item.get("error_detail") or []]


def task_processes(instance_id: str) -> list[int]:
    """Process ids of Airflow's processes that carry out a task instance now."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(FileNotFoundError, ProcessLookupError):
                title = (entry / "cmdline").read_bytes().decode(errors="replace")
                if title.startswith("airflow worker") and instance_id in title:
                    found.append(int(entry.name))
    return found


@contextmanager
def _logged_in(url: str, password: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=60) as api:
        body = {"username": airflow.USERNAME, "password": password}
        token = api.post("/auth/token", json=body).raise_for_status().json()["access_token"]
        api.headers["Authorization"] = f"Bearer {token}"
        yield api


def _new_id(workflow: str) -> str:
    return make_run_id(workflow_id(workflow), AE_TITLE, secrets.token_hex(8), 1)
