"""The two places that these tests run in, localkube and a real Kubernetes: a pod API, its claim, and two GPUs."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kubernetes import client, config

from clara_ops.laptop.ports import LOOPBACK
from clara_ops.laptop.processes import Program, Supervisor
from clara_ops.workflow.pod import RUN_LABEL
from tests.kube.platform import claim
from tests.kube.platform.deployment import Platform
from tests.kube.platform.image import REGISTRY

GPUS = 2
_NAMESPACE = "clara"


@dataclass(frozen=True)
class Site:
    """A pod API as Airflow and the tests see it.

    Attributes:
        core: with all rights.
        kubeconfig: with those that Airflow has.
        host: this machine's address as Airflow's tasks see it.
        registry: what goes in front of image names.
        write: puts files, and empty folders, into claim `clara-data`.
        read: content of a file in it; None where there is none.
    """

    name: str
    namespace: str
    core: client.CoreV1Api
    kubeconfig: Path
    host: str
    registry: str
    write: Callable[[Mapping[str, bytes], tuple[str, ...]], None]
    read: Callable[[str], bytes | None]

    def pods(self, run_id: str) -> list[client.V1Pod]:
        """The pods of a run that are there now."""
        selector = f"{RUN_LABEL}={run_id}"
        return list(self.core.list_namespaced_pod(self.namespace, label_selector=selector).items)


@contextmanager
def localkube_site(folder: Path) -> Iterator[Site]:
    """localkube, with a folder as its claim."""
    data, kubeconfig, images = folder / "data", folder / "kubeconfig", folder / "images.yaml"
    data.mkdir()
    images.write_text("images: {clara-stages: {}}\n")
    command = [sys.executable, "-m", "clara_ops.localkube.command", "serve", "--state", str(folder / "state")]
    command += ["--kubeconfig", str(kubeconfig), "--claim", f"clara-data={data}", "--images", str(images)]
    command += ["--gpus", str(GPUS), "--cpu", "64", "--memory", "64Gi"]
    with Supervisor(folder / "log") as supervisor:
        supervisor.start(Program("localkube", command))
        supervisor.wait_until(kubeconfig.is_file, "the pod API: becoming ready", 30)
        yield Site(
            "localkube",
            _NAMESPACE,
            _core(kubeconfig),
            kubeconfig,
            LOOPBACK,
            "",
            lambda files, folders: _write(data, files, folders),
            lambda path: (data / path).read_bytes() if (data / path).is_file() else None,
        )


def kubernetes_site(platform: Platform, folder: Path) -> Site:
    """A namespace of a real Kubernetes that enforces Pod Security `restricted`; Airflow has an account of its own."""
    kubeconfig = folder / "kubeconfig"
    platform.write_airflow_kubeconfig(kubeconfig)

    def read(path: str) -> bytes | None:
        name = Path(path).name
        return claim.read_file(platform, path) if name in claim.list_files(platform, str(Path(path).parent)) else None

    return Site(
        "kubernetes",
        platform.namespace,
        platform.core,
        kubeconfig,
        platform.here,
        REGISTRY,
        lambda files, folders: claim.write_files(platform, files, folders),
        read,
    )


def wait_until(holds: Callable[[], bool], what: Callable[[], object], seconds: float = 120) -> None:
    """Wait for something; fails with what there is instead."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"waited {seconds} s: {what()}"
        time.sleep(0.1)


def _core(kubeconfig: Path) -> client.CoreV1Api:
    configuration = client.Configuration()
    config.load_kube_config(str(kubeconfig), client_configuration=configuration)
    return client.CoreV1Api(client.ApiClient(configuration))


def _write(data: Path, files: Mapping[str, bytes], folders: tuple[str, ...]) -> None:
    for folder in folders:
        (data / folder).mkdir(parents=True, exist_ok=True)
    for path, content in files.items():
        (data / path).write_bytes(content)
