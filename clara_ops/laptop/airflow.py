"""Airflow of the laptop: its settings, its processes, and the pools and connections that workflows need.

The processes of `airflow standalone` are started one by one: standalone's log servers listen on every address, and
here the API server reads the task logs from disk. The API of the tasks has a process of its own: the other one writes
to SQLite from its event loop (Airflow 3.3, its audit log), and waits there for requests that it keeps from ending.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from clara_ops.laptop.errors import LaptopError
from clara_ops.laptop.ports import LOOPBACK
from clara_ops.laptop.processes import Program, Supervisor
from clara_ops.laptop.state import Home, kept_secret, write_private

USERNAME = "admin"
COMPONENTS: Mapping[str, Sequence[str]] = {
    "airflow-api-server": ("api-server", "--apps", "core"),
    "airflow-execution-api": ("api-server", "--apps", "execution"),
    "airflow-scheduler": ("scheduler", "--skip-serve-logs"),
    "airflow-dag-processor": ("dag-processor",),
    "airflow-triggerer": ("triggerer", "--skip-serve-logs"),
}
PARALLELISM = 8
MIGRATION_SECONDS = 180


@dataclass(frozen=True)
class Bundle:
    """Where workflows come from: the folder of YAML files, and the stage catalogues."""

    workflows: Path
    catalogues: tuple[Path, ...]


def settings(home: Home, port: int, execution_port: int, bundle: Bundle, *, host: str = LOOPBACK) -> dict[str, str]:
    """The environment of every Airflow process. Nothing of it reaches a stage's pod.

    Args:
        home: where Airflow writes.
        port: of its API, which listens at `host`.
        execution_port: of the API that only its own tasks use, on loopback.
        bundle: the workflows.
        host: an address of this machine.
    """
    url = f"http://{host}:{port}"
    folder = home.airflow
    secret = kept_secret(folder / "secret")
    bundles = [
        {
            "name": "clara-workflows",
            "classpath": "clara_ops.dag.bundle.WorkflowBundle",
            "kwargs": {
                "source": str(bundle.workflows),
                "catalogues": [str(path) for path in bundle.catalogues],
                "refresh_interval": 2,
            },
        }
    ]
    return {
        "AIRFLOW_HOME": str(folder),
        "PYTHONDONTWRITEBYTECODE": "",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "clara_ops.dag.executor.WarmLocalExecutor",
        "AIRFLOW__CORE__MAX_TEMPLATED_FIELD_LENGTH": "32768",
        "AIRFLOW__CORE__PARALLELISM": str(PARALLELISM),
        "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "0",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://{LOOPBACK}:{execution_port}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USERNAME}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(folder / "passwords.json"),
        "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(hashlib.sha256(secret.encode()).digest()).decode(),
        "AIRFLOW__API__HOST": host,
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__SECRET_KEY": secret,
        "AIRFLOW__API_AUTH__JWT_SECRET": secret,
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "2",
        "AIRFLOW__DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "1",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "300",
        "AIRFLOW__DAG_PROCESSOR__STALE_DAG_THRESHOLD": "10",
        "AIRFLOW__SCHEDULER__PARSING_CLEANUP_INTERVAL": "10",
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": str(folder / "bundles"),
        "AIRFLOW__DAG_PROCESSOR__STALE_BUNDLE_CLEANUP_AGE_THRESHOLD": str(7 * 24 * 3600),
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles),
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }


def prepare(supervisor: Supervisor, home: Home, environment: Mapping[str, str], binaries: Path) -> str:
    """Make login and database; the database is migrated only when Airflow's lock changed. Returns the password."""
    password = kept_secret(home.airflow / "password")
    write_private(home.airflow / "passwords.json", json.dumps({USERNAME: password}))
    migrated = home.airflow / "migrated-to"
    version = (binaries.parent / ".clara-lock").read_text()
    if not migrated.is_file() or migrated.read_text() != version:
        program = Program("airflow-migrate", [str(binaries / "airflow"), "db", "migrate"], environment)
        supervisor.run(program, MIGRATION_SECONDS)
        migrated.write_text(version)
    return password


def start(supervisor: Supervisor, environment: Mapping[str, str], binaries: Path) -> None:
    """Start the processes."""
    execution = httpx.URL(environment["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"])
    its_own = {"AIRFLOW__API__HOST": execution.host, "AIRFLOW__API__PORT": str(execution.port)}
    for name, arguments in COMPONENTS.items():
        changed = its_own if "execution" in arguments else {}
        supervisor.start(Program(name, [str(binaries / "airflow"), *arguments], {**environment, **changed}))


class AirflowApi:
    """The part of Airflow's REST API that the laptop uses, logged in."""

    def __init__(self, url: str, execution_port: int, password: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=30)
        self._execution_health = f"http://{LOOPBACK}:{execution_port}/execution/health"
        self._password = password

    def is_healthy(self) -> bool:
        """Whether every component says it is alive."""
        try:
            answer = self._client.get("/api/v2/monitor/health")
            if answer.status_code != httpx.codes.OK:
                return False
            components = answer.json()
            names = ("metadatabase", "scheduler", "triggerer", "dag_processor")
            if not all((components.get(name) or {}).get("status") == "healthy" for name in names):
                return False
            # the API of the tasks is built at its first request: seconds that the first task would wait
            return self._client.get(self._execution_health).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def log_in(self) -> None:
        """Get a token for what follows."""
        body = {"username": USERNAME, "password": self._password}
        token = self._client.post("/auth/token", json=body).raise_for_status().json()["access_token"]
        self._client.headers["Authorization"] = f"Bearer {token}"

    def put_pool(self, name: str, slots: int, description: str) -> None:
        """Make a pool, or set its slots; deferred tasks hold theirs."""
        body = {"name": name, "slots": slots, "description": description, "include_deferred": True}
        self._create_or_patch("/api/v2/pools", name, body)

    def put_connection(self, connection_id: str, body: Mapping[str, Any]) -> None:
        """Make a connection, or replace its values."""
        self._create_or_patch("/api/v2/connections", connection_id, {"connection_id": connection_id, **body})

    def has_dag(self, dag_id: str) -> bool:
        """Whether a DAG has been parsed."""
        return self._client.get(f"/api/v2/dags/{dag_id}").status_code == httpx.codes.OK

    def import_errors(self) -> list[str]:
        """What Airflow says about files that could not be parsed."""
        errors = self._client.get("/api/v2/importErrors").raise_for_status().json()["import_errors"]
        return [error["stack_trace"].strip() for error in errors]

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """The run's task instances, as the REST API has them; empty while there is no such run."""
        answer = self._client.get(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances")
        if answer.status_code == httpx.codes.NOT_FOUND:
            return []
        found: list[dict[str, Any]] = answer.raise_for_status().json()["task_instances"]
        return found

    def _create_or_patch(self, collection: str, name: str, body: Mapping[str, Any]) -> None:
        answer = self._client.post(collection, json=body)
        if answer.status_code == httpx.codes.CONFLICT:
            answer = self._client.patch(f"{collection}/{name}", json=body)
        if answer.is_error:
            raise LaptopError(f"Airflow refused {collection}/{name}: {answer.status_code} {answer.text}")
