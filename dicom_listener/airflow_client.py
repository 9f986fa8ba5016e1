"""Airflow's stable REST API (v2), as far as the listener needs it."""

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx

from clara_ops.contract import environment
from clara_ops.contract.names import is_workflow_id
from clara_ops.contract.states import SHADOW_OPERATOR
from dicom_listener.config import AirflowLogin
from dicom_listener.errors import AirflowError, AirflowRefused

_TIMEOUT = httpx.Timeout(30, connect=5)
_FINE_TO_SHOW = 300


@dataclass(frozen=True)
class DagRun:
    """State of a DAG run: queued, running, success or failed; of a failed one, the task that failed first."""

    state: str
    failed_task: str | None = None


class AirflowClient:
    """Thread-safe. Logs in when it has to, and again when the token is refused."""

    def __init__(self, endpoint: str, login: AirflowLogin) -> None:
        self._login = login
        self._token: str | None = None
        self._token_lock = threading.Lock()
        self._http = httpx.Client(
            base_url=endpoint.rstrip("/"),
            timeout=_TIMEOUT,
            trust_env=False,
            verify=str(login.ca_file) if login.ca_file else True,
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def find_dag(self, workflow: str) -> str:
        """The one active DAG of a workflow: by its tag when `workflow` is an id, else by its name.

        Raises:
            AirflowError: none, two, or a paused one; or Airflow does not answer.
        """
        if is_workflow_id(workflow):
            answer = self._ask("GET", "/api/v2/dags", params={"tags": workflow, "limit": 3})
            dags = _ok(answer, "listing DAGs").get("dags", [])
        else:
            answer = self._ask("GET", f"/api/v2/dags/{workflow}")
            dags = [] if answer.status_code == HTTPStatus.NOT_FOUND else [_ok(answer, "reading the DAG")]
        if not dags:
            raise AirflowError(
                f"Airflow has no DAG for workflow {workflow}: put its YAML under dags/workflows, or mend it"
            )
        if len(dags) > 1:
            names = ", ".join(sorted(dag["dag_id"] for dag in dags))
            raise AirflowError(f"Airflow has several DAGs for workflow {workflow} ({names}): keep one")
        dag_id = str(dags[0]["dag_id"])
        if dags[0].get("is_paused"):
            raise AirflowError(f"DAG {dag_id} is paused: unpause it in Airflow")
        return dag_id

    def trigger(self, dag_id: str, run_id: str, conf: Mapping[str, Any]) -> bool:
        """Start a DAG run; False when Airflow has a run of that id already.

        Raises:
            AirflowRefused: it will never be taken as it is.
            AirflowError: it was not taken now.
        """
        body = {"dag_run_id": run_id, "logical_date": None, "conf": dict(conf)}
        answer = self._ask("POST", f"/api/v2/dags/{dag_id}/dagRuns", json=body)
        if answer.status_code == HTTPStatus.CONFLICT:
            return False
        if answer.status_code in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY):
            raise AirflowRefused(f"DAG {dag_id} does not take the run: {answer.text[:_FINE_TO_SHOW]}")
        _ok(answer, f"triggering DAG {dag_id}")
        return True

    def dag_run(self, dag_id: str, run_id: str) -> DagRun | None:
        """What became of a run; None when Airflow does not know it (any more).

        Raises:
            AirflowError: Airflow does not answer.
        """
        answer = self._ask("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}")
        if answer.status_code == HTTPStatus.NOT_FOUND:
            return None
        state = str(_ok(answer, "reading the run").get("state"))
        return DagRun(state, self._failed_task(dag_id, run_id) if state == "failed" else None)

    def check(self) -> str:
        """Log in and ask for the version.

        Raises:
            AirflowError: that does not work.
        """
        version = _ok(self._ask("GET", "/api/v2/version"), "asking for the version")
        _ok(self._ask("GET", "/api/v2/dags", params={"limit": 1}), "listing DAGs")
        return str(version.get("version", "unknown"))

    def _failed_task(self, dag_id: str, run_id: str) -> str | None:
        answer = self._ask("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances", params={"limit": 100})
        tasks = _ok(answer, "listing the tasks").get("task_instances", [])
        failed = [task for task in tasks if task.get("state") == "failed" and task.get("operator") != SHADOW_OPERATOR]
        failed.sort(key=lambda task: task.get("end_date") or "")
        return str(failed[0]["task_id"]) if failed else None

    def _ask(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        token = self._current_token(refused=None)
        answer = self._send(method, path, token, arguments)
        if answer.status_code == HTTPStatus.UNAUTHORIZED:
            answer = self._send(method, path, self._current_token(refused=token), arguments)
        return answer

    def _send(self, method: str, path: str, token: str, arguments: Mapping[str, Any]) -> httpx.Response:
        try:
            return self._http.request(method, path, headers={"Authorization": f"Bearer {token}"}, **arguments)
        except httpx.HTTPError as error:
            raise AirflowError(f"Airflow at {self._http.base_url} does not answer: {type(error).__name__}") from error

    def _current_token(self, refused: str | None) -> str:
        with self._token_lock:
            if self._token is None or self._token == refused:
                self._token = self._log_in()
            return self._token

    def _log_in(self) -> str:
        body = {
            "username": _secret(environment.AIRFLOW_USERNAME, self._login.username_file),
            "password": _secret(environment.AIRFLOW_PASSWORD, self._login.password_file),
        }
        try:
            answer = self._http.post("/auth/token", json=body)
        except httpx.HTTPError as error:
            raise AirflowError(f"Airflow at {self._http.base_url} does not answer: {type(error).__name__}") from error
        token = _ok(answer, "logging in").get("access_token")
        if not isinstance(token, str):
            raise AirflowError("Airflow's answer to the login holds no access_token")
        return token


def _secret(variable: str, file: Path | None) -> str:
    value = os.environ.get(variable)
    if value:
        return value
    if file is None:
        raise AirflowError(f"no login for Airflow: set {variable}, or name a file under clara.airflow")
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise AirflowError(f"{file}: the login for Airflow cannot be read: {error.strerror}") from error


def _ok(answer: httpx.Response, doing: str) -> dict[str, Any]:
    if not answer.is_success:
        raise AirflowError(f"Airflow answered {answer.status_code} to {doing}")
    try:
        body = answer.json()
    except ValueError as error:
        raise AirflowError(f"Airflow's answer to {doing} is not JSON") from error
    if not isinstance(body, dict):
        raise AirflowError(f"Airflow's answer to {doing} is not an object")
    return body
