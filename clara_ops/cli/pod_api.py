"""The part of core/v1 that a local run needs, over REST: make a pod, see how it is, read its log."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from ruamel.yaml import YAML

from clara_ops.cli.errors import PodRefused

REQUEST_SECONDS = 30.0
_HOPELESS = {
    "CreateContainerConfigError",
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "CreateContainerError",
    "RunContainerError",
}

Json = dict[str, Any]


@dataclass(frozen=True)
class PodEnd:
    """How a pod ended: `exit_code` of its container, None when that never ran; `reason` is a sentence for a person."""

    exit_code: int | None
    reason: str


class PodApi:
    """A client for one namespace."""

    def __init__(self, client: httpx.Client, namespace: str) -> None:
        self._client = client
        self._path = f"/api/v1/namespaces/{namespace}"

    @classmethod
    def from_kubeconfig(cls, path: Path) -> "PodApi":
        """A client for what localkube has written; for a real cluster Airflow's own client is used."""
        configuration = YAML(typ="safe", pure=True).load(path)
        server = configuration["clusters"][0]["cluster"]["server"]
        token = configuration["users"][0]["user"]["token"]
        namespace = configuration["contexts"][0]["context"].get("namespace", "default")
        headers = {"Authorization": f"Bearer {token}"}
        return cls(httpx.Client(base_url=server, headers=headers, timeout=REQUEST_SECONDS), namespace)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def put_config_map(self, name: str, data: dict[str, str]) -> None:
        """Make a ConfigMap."""
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}
        self._request("POST", "configmaps", json=body)

    def put_secret(self, name: str, values: dict[str, str]) -> None:
        """Make a Secret."""
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": values}
        self._request("POST", "secrets", json=body)

    def create(self, pod: Json) -> str:
        """Make a pod; returns its name.

        Raises:
            PodRefused: with all that is wrong with it.
        """
        name: str = self._request("POST", "pods", json=pod).json()["metadata"]["name"]
        return name

    def status(self, name: str) -> Json:
        """The status of a pod."""
        status: Json = self._request("GET", f"pods/{name}").json()["status"]
        return status

    def log(self, name: str) -> str:
        """The log of a pod; empty when its container never ran."""
        response = self._client.get(f"{self._path}/pods/{name}/log")
        return response.text if response.is_success else ""

    def delete(self, name: str) -> None:
        """Delete a pod, and what it runs."""
        self._request("DELETE", f"pods/{name}")

    def _request(self, method: str, path: str, json: Json | None = None) -> httpx.Response:
        try:
            response = self._client.request(method, f"{self._path}/{path}", json=json)
        except httpx.HTTPError as error:
            raise PodRefused(f"pod API at {self._client.base_url}: {error or type(error).__name__}") from error
        if not response.is_success:
            raise PodRefused(f"{method} {path}: {response.json().get('message', response.text)}")
        return response


def end_of(status: Json) -> PodEnd | None:
    """How a pod ended; None while it runs, or still may."""
    states = [container.get("state", {}) for container in _containers(status)]
    if status.get("phase") in ("Succeeded", "Failed"):
        return _end(status, [state["terminated"] for state in states if "terminated" in state])
    for state in states:
        waiting = state.get("waiting", {})
        if waiting.get("reason") in _HOPELESS:
            return PodEnd(None, f"{waiting['reason']}: {waiting.get('message', '')}")
    return None


def waiting_reason(status: Json) -> str:
    """Why a pod has no place on the machine; empty when it has one."""
    conditions = status.get("conditions", [])
    unplaced = [item for item in conditions if item["type"] == "PodScheduled" and item["status"] == "False"]
    return f"{unplaced[0].get('reason', '')}: {unplaced[0].get('message', '')}" if unplaced else ""


def _containers(status: Json) -> list[Json]:
    return [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]


def _end(status: Json, ended: list[Json]) -> PodEnd:
    bad = next((state for state in ended if state["exitCode"] != 0), None)
    if status.get("reason"):
        return PodEnd(bad["exitCode"] if bad else None, f"{status['reason']}: {status.get('message', '')}")
    if bad is None:
        return PodEnd(0 if status["phase"] == "Succeeded" else None, "")
    words = bad.get("message", "").strip().splitlines()
    said = words[-1] if words else f"exit code {bad['exitCode']}"
    return PodEnd(bad["exitCode"], said if bad.get("reason") in (None, "Error") else f"{bad['reason']}: {said}")
