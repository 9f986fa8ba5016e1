"""A localkube server of the test's own, which can be stopped, killed and started again."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config

NAMESPACE = "clara"
TERMINAL = ("Succeeded", "Failed")


@dataclass
class Server:
    """`clara-localkube serve` in a folder: images `stages` (with entrypoint) and claim `clara-data`."""

    folder: Path
    process: subprocess.Popen[str] | None = None

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    @property
    def claim(self) -> Path:
        return self.folder / "data"

    def start(self, *options: str) -> None:
        """Start it, and wait until it is ready."""
        self.kubeconfig.unlink(missing_ok=True)
        self.claim.mkdir(exist_ok=True)
        images = self.folder / "images.yaml"
        images.write_text('images:\n  stages: {entrypoint: [/bin/echo], command: ["from the image"]}\n')
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "clara_ops.localkube.command", "serve"),
                *("--state", str(self.folder / "state"), "--kubeconfig", str(self.kubeconfig)),
                *("--images", str(images), "--claim", f"clara-data={self.claim}"),
                *("--cpu", "4", "--memory", "4Gi", *options),
            ],
            stderr=(self.folder / "stderr").open("w"),
            text=True,
        )
        end = time.monotonic() + 15
        while not self.kubeconfig.exists():
            assert self.process.poll() is None and time.monotonic() < end, self.stderr
            time.sleep(0.01)

    @property
    def stderr(self) -> str:
        return (self.folder / "stderr").read_text()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; tells the exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(30)

    @property
    def api(self) -> client.CoreV1Api:
        configuration = client.Configuration()
        config.load_kube_config(str(self.kubeconfig), client_configuration=configuration)
        return client.CoreV1Api(client.ApiClient(configuration))

    def create(self, name: str, script: str, **spec: Any) -> None:
        """Create a pod that runs a shell script in container `base` of image `stages`."""
        container = {
            "name": "base",
            "image": "stages",
            "command": ["/bin/sh", "-c", script],
            **spec.pop("container", {}),
        }
        body = {"metadata": {"name": name}, "spec": {"restartPolicy": "Never", "containers": [container], **spec}}
        self.api.create_namespaced_pod(NAMESPACE, body)

    def wait(self, name: str, holds: Callable[[client.V1Pod], Any], seconds: float = 20) -> client.V1Pod:
        api, end = self.api, time.monotonic() + seconds
        while not holds(pod := api.read_namespaced_pod(name, NAMESPACE)):
            assert time.monotonic() < end, pod.status
            time.sleep(0.01)
        return pod

    def wait_for_end(self, name: str) -> client.V1Pod:
        return self.wait(name, lambda pod: pod.status.phase in TERMINAL)

    def logs(self, name: str) -> str:
        return str(self.api.read_namespaced_pod_log(name, NAMESPACE, _preload_content=False).data.decode())


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that the tests of a module share; each gives its pods names of their own."""
    found = Server(tmp_path_factory.mktemp("running"))
    found.start()
    yield found
    found.stop()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server that is not started yet."""
    found = Server(tmp_path)
    yield found
    if found.process is not None and found.process.poll() is None:
        found.stop()
