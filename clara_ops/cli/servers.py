"""What a local run needs beside it: the pod API for one machine, and Triton where a stage asks for a model."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML

from clara_ops.cli.pod_api import PodApi
from clara_ops.cli.project import INSTALLED, Project
from clara_ops.contract import environment
from clara_ops.laptop.processes import Program, Supervisor
from clara_ops.laptop.state import read_run
from clara_ops.workflow.pod import CLAIM, DRIVER_IMAGE, PLATFORM_CONFIG_MAP
from clara_ops.workflow.workflow import Workflow

READY_SECONDS = 120.0


@dataclass(frozen=True)
class Triton:
    """Addresses, `host:port`."""

    http: str
    grpc: str


@contextmanager
def local_servers(
    project: Project, job_folder: Path, workflow: Workflow, secrets: Mapping[str, dict[str, str]]
) -> Iterator[PodApi]:
    """A pod API whose claim `clara-data` is the job's folder, with ConfigMap `clara-platform`; all stopped at the end.

    Args:
        secrets: keys and values of the Secrets that the stages need, by name.

    Raises:
        LaptopError: a server did not become ready; its log is in `<job folder>/log`.
    """
    with Supervisor(job_folder / "log") as supervisor:
        kubeconfig = _start_localkube(supervisor, project, job_folder, workflow)
        triton = triton_of(supervisor, job_folder) if _models(workflow) else None
        supervisor.wait_until(kubeconfig.is_file, "the pod API: becoming ready", READY_SECONDS)
        api = PodApi.from_kubeconfig(kubeconfig)
        try:
            api.put_config_map(PLATFORM_CONFIG_MAP, platform_data(triton))
            for name, values in secrets.items():
                api.put_secret(name, values)
            yield api
        finally:
            api.close()


def _models(workflow: Workflow) -> set[str]:
    return {model for stage in workflow.stages for model in stage.entry.models}


def _start_localkube(supervisor: Supervisor, project: Project, job_folder: Path, workflow: Workflow) -> Path:
    state = job_folder / "localkube"
    state.mkdir()
    binaries = Path(sys.executable).parent
    folders = sorted({str(project.root), str(INSTALLED)})
    here = {"path": [str(binaries)], "workdir": str(project.root), "folders": folders}
    images = state / "images.yaml"
    with images.open("w") as file:
        YAML(typ="safe", pure=True).dump({"default": here, "images": {DRIVER_IMAGE.partition(":")[0]: {}}}, file)
    gpus = max((stage.resources.gpu or 0 for stage in workflow.stages), default=0)
    kubeconfig = state / "kubeconfig"
    command = [sys.executable, "-m", "clara_ops.localkube.command", "serve", "--state", str(state / "state")]
    command += ["--claim", f"{CLAIM}={job_folder}", "--images", str(images), "--kubeconfig", str(kubeconfig)]
    supervisor.start(Program("localkube", [*command, "--gpus", str(gpus), "--workdir", str(project.root)]))
    return kubeconfig


def triton_of(supervisor: Supervisor, job_folder: Path) -> Triton:
    """The Triton that the environment names, else that of a demo that runs already, else one of our own."""
    uri, grpc = os.environ.get(environment.TRITON_URI), os.environ.get(environment.TRITON_GRPC)
    if uri and grpc:
        return Triton(uri.removeprefix("http://"), grpc)
    demo = read_run(INSTALLED / ".clara" / "run.json")
    if demo is not None:
        return Triton(demo.triton_http, demo.triton_grpc)
    ready = job_folder / "triton.json"
    command = [sys.executable, "-m", "clara_ops.inference.command", "serve", "--ready-file", str(ready)]
    supervisor.start(Program("triton", [*command, "--environment", str(INSTALLED / ".venvs" / "triton")]))
    supervisor.wait_until(ready.is_file, "Triton: becoming ready", READY_SECONDS)
    addresses = json.loads(ready.read_text())
    return Triton(addresses["http"], addresses["grpc"])


def platform_data(triton: Triton | None) -> dict[str, str]:
    """The data of ConfigMap `clara-platform`."""
    if triton is None:
        return {}
    return {
        environment.TRITON_URI: f"http://{triton.http}",
        environment.TRITON_GRPC: triton.grpc,
        environment.TRTIS_URI: triton.http,
    }
