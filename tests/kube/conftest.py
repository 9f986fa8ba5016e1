"""The two APIs that the contract suite runs against: localkube always, a real Kubernetes when KUBECONFIG names one.

And the platform in a namespace of a real Kubernetes, once for all tests that need it.
"""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config

from tests.kube.platform.deployment import Platform, running_platform
from tests.kube.platform.image import provide_base_image

CLAIM = "contract"
STORAGE = "32Mi"
IMAGE = "localhost/debian:12"
TERMINAL = ("Succeeded", "Failed")

Json = dict[str, Any]


@dataclass(frozen=True)
class Cluster:
    """An API to test, and a namespace of it that holds nothing yet but claim `contract`.

    Attributes:
        name: `localkube` or `kubernetes`.
        gpus: how many GPUs all nodes have together.
        kubeconfig: file that leads to it.
    """

    name: str
    configuration: client.Configuration
    api: client.CoreV1Api
    namespace: str
    gpus: int
    kubeconfig: Path

    def create(self, pod: Json) -> client.V1Pod:
        return self.api.create_namespaced_pod(self.namespace, pod)

    def read(self, name: str) -> client.V1Pod:
        return self.api.read_namespaced_pod(name, self.namespace)

    def wait(self, name: str, holds: Callable[[client.V1Pod], Any], seconds: float = 60) -> client.V1Pod:
        """Wait until something holds of a pod; fails with the pod's status."""
        end = time.monotonic() + seconds
        while not holds(pod := self.read(name)):
            assert time.monotonic() < end, f"waited {seconds} s: {pod.status}"
            time.sleep(0.02)
        return pod

    def run(self, pod: Json) -> client.V1Pod:
        """Create a pod and wait for its end."""
        return self.wait(self.create(pod).metadata.name, lambda found: found.status.phase in TERMINAL)

    def log(self, name: str, **options: Any) -> str:
        response = self.api.read_namespaced_pod_log(name, self.namespace, _preload_content=False, **options)
        return str(response.data.decode())

    def delete(self, name: str) -> None:
        """Delete at once and wait until the name is free."""
        self.api.delete_namespaced_pod(name, self.namespace, grace_period_seconds=0)
        self.wait_gone(name)

    def delete_all(self) -> None:
        """Leave no pod in the namespace."""
        for pod in self.api.list_namespaced_pod(self.namespace).items:
            with suppress_not_found():
                self.delete(pod.metadata.name)

    def wait_gone(self, name: str, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                self.read(name)
            except client.ApiException as error:
                assert error.status == 404, error
                return
            time.sleep(0.02)
        pytest.fail(f"pod {name} is still there after {seconds} s")

    def events(self, name: str) -> list[client.CoreV1Event]:
        selector = f"involvedObject.name={name}"
        return list(self.api.list_namespaced_event(self.namespace, field_selector=selector).items)


@contextmanager
def suppress_not_found() -> Iterator[None]:
    try:
        yield
    except client.ApiException as error:
        if error.status != 404:
            raise


def _kinds() -> list[Any]:
    kubernetes = pytest.param("kubernetes", marks=pytest.mark.kube)
    return [pytest.param("localkube", marks=pytest.mark.e2e), *([kubernetes] if "KUBECONFIG" in os.environ else [])]


@pytest.fixture(scope="session", params=_kinds())
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if request.param == "localkube":
        with (
            _localkube(tmp_path_factory.mktemp("localkube")) as kubeconfig,
            _namespace("localkube", kubeconfig) as found,
        ):
            yield found
    else:
        provide_base_image()
        with _namespace("kubernetes", Path(os.environ["KUBECONFIG"])) as found:
            _create_claim(found)
            yield found


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    """Built, loaded, applied and ready; without the listener, which needs an Airflow to talk to."""
    with running_platform() as running:
        yield running


@contextmanager
def _namespace(name: str, kubeconfig: Path) -> Iterator[Cluster]:
    configuration = client.Configuration()
    config.load_kube_config(str(kubeconfig), client_configuration=configuration)
    api = client.CoreV1Api(client.ApiClient(configuration))
    namespace = f"contract-{secrets.token_hex(4)}"
    api.create_namespace({"metadata": {"name": namespace}})
    try:
        yield Cluster(name, configuration, api, namespace, _gpus(name, api), kubeconfig)
    finally:
        api.delete_namespace(namespace)


def _gpus(name: str, api: client.CoreV1Api) -> int:
    if name == "localkube":
        return 2
    return sum(int(node.status.allocatable.get("nvidia.com/gpu", 0)) for node in api.list_node().items)


def _create_claim(cluster: Cluster) -> None:
    resources = {"requests": {"storage": STORAGE}}
    spec = {"accessModes": ["ReadWriteMany"], "resources": resources}
    claim = {"metadata": {"name": CLAIM}, "spec": spec}
    cluster.api.create_namespaced_persistent_volume_claim(cluster.namespace, claim)
    account = cluster.api.read_namespaced_service_account
    for _ in range(200):
        try:
            account("default", cluster.namespace)
            return
        except client.ApiException as error:
            assert error.status == 404, error
            time.sleep(0.05)


@contextmanager
def _localkube(folder: Path) -> Iterator[Path]:
    (folder / "claim").mkdir()
    images = folder / "images.yaml"
    images.write_text("images: {debian: {}}\n")
    kubeconfig = folder / "kubeconfig"
    server = subprocess.Popen(
        [
            *(sys.executable, "-m", "clara_ops.localkube.command", "serve"),
            *("--state", str(folder / "state"), "--kubeconfig", str(kubeconfig), "--images", str(images)),
            *("--claim", f"{CLAIM}={folder / 'claim'}", "--gpus", "2", "--cpu", "64", "--memory", "64Gi"),
        ],
        env={**os.environ, "ONLY_IN_THE_SERVER": "1"},
    )
    try:
        for _ in range(500):
            if kubeconfig.exists() or server.poll() is not None:
                break
            time.sleep(0.02)
        assert kubeconfig.exists(), "localkube did not come up"
        yield kubeconfig
    finally:
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 0
