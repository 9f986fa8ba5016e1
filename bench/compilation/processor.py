"""Airflow's own DAG processor and API server over a folder of workflows: the first pass, and how soon an edit shows."""

import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from clara_ops.laptop.airflow import USERNAME, Bundle, settings
from clara_ops.laptop.ports import LOOPBACK, reserved_ports
from clara_ops.laptop.processes import Program, Supervisor
from clara_ops.laptop.setup import ROOT
from clara_ops.laptop.state import Home, kept_secret, write_private

CATALOGUE = ROOT / "helm" / "clara-workflow" / "values.yaml"
LONGEST_SECONDS = 300


@dataclass(frozen=True)
class Airflow:
    """An Airflow whose database is made and whose API server runs; its DAG processor is started by `first_pass`."""

    supervisor: Supervisor
    environment: Mapping[str, str]
    binaries: Path
    database: Path
    client: httpx.Client

    def first_pass(self, count: int) -> float:
        """Seconds from the start of the processor until `count` DAGs can be asked for."""
        begin = time.perf_counter()
        self.supervisor.start(
            Program("dag-processor", [str(self.binaries / "airflow"), "dag-processor"], self.environment)
        )
        self.supervisor.wait_until(lambda: self._serialized() == count, f"a pass over {count}", LONGEST_SECONDS)
        return time.perf_counter() - begin

    def edit(self, dag_id: str, write: Callable[[str], object]) -> float:
        """Seconds from a new description in the file until the API has it."""
        text = f"edited at {time.time()}"
        begin = time.perf_counter()
        write(text)
        self.supervisor.wait_until(lambda: self._description(dag_id) == text, "the edit's showing", LONGEST_SECONDS)
        return time.perf_counter() - begin

    def _serialized(self) -> int:
        with sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=30) as connection:
            found: int = connection.execute("select count(distinct dag_id) from serialized_dag").fetchone()[0]
        return found

    def _description(self, dag_id: str) -> str | None:
        found: str | None = self.client.get(f"/api/v2/dags/{dag_id}").raise_for_status().json()["description"]
        return found


@contextmanager
def airflow(folder: Path, binaries: Path, changes: Mapping[str, str]) -> Iterator[Airflow]:
    """An Airflow with the laptop's settings, and over them `changes`."""
    home = Home(folder)
    home.make()
    password = kept_secret(home.airflow / "password")
    write_private(home.airflow / "passwords.json", json.dumps({USERNAME: password}))
    with reserved_ports({"airflow": 0, "execution": 0}) as ports, Supervisor(home.logs) as supervisor:
        port = ports["airflow"]
        environment = {
            **settings(home, port, ports["execution"], Bundle(folder / "workflows", (CATALOGUE,))),
            **changes,
        }
        supervisor.run(Program("migrate", [str(binaries / "airflow"), "db", "migrate"], environment), LONGEST_SECONDS)
        supervisor.start(Program("api-server", [str(binaries / "airflow"), "api-server"], environment))
        with httpx.Client(base_url=f"http://{LOOPBACK}:{port}", timeout=30) as client:
            supervisor.wait_until(lambda: _answers(client), "the API server's start", LONGEST_SECONDS)
            body = {"username": USERNAME, "password": password}
            token = client.post("/auth/token", json=body).raise_for_status().json()["access_token"]
            client.headers["Authorization"] = f"Bearer {token}"
            yield Airflow(supervisor, environment, binaries, home.airflow / "airflow.db", client)


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/api/v2/version").status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
