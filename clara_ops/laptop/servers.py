"""Start every server of the laptop, in the order in which they need each other, and say where each can be reached."""

import json
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import yaml
from ruamel.yaml import YAML

from clara_ops.contract import environment as names
from clara_ops.laptop import airflow
from clara_ops.laptop.airflow import AirflowApi, Bundle
from clara_ops.laptop.errors import LaptopError
from clara_ops.laptop.pacs import Pacs, answers_echo, pacs_program
from clara_ops.laptop.ports import LOOPBACK, choose_ports
from clara_ops.laptop.processes import Program, Supervisor
from clara_ops.laptop.state import Home, Run, read_run, write_run

USUAL_PORTS = {
    "airflow": 8080,
    "listener": 8104,
    "dicom": 10400,
    "triton-http": 8000,
    "triton-grpc": 8001,
    "triton-metrics": 8002,
    "localkube": 8443,
    "pacs": 8042,
    "pacs-dicom": 11112,
}
SCANNER_AE = "PACS"
PACS_AE = "DCM4CHEE"
READY_SECONDS = 240

Say = Callable[[str], None]


@dataclass(frozen=True)
class Checkout:
    """Where the laptop finds what it runs: the checkout, or a copy of its layout."""

    root: Path

    @property
    def bundle(self) -> Bundle:
        """Workflows and catalogue."""
        return Bundle(self.root / "dags" / "workflows", (self.root / "helm" / "clara-workflow" / "values.yaml",))

    @property
    def listener_configuration(self) -> Path:
        """The mapping from AE titles to workflows."""
        return self.root / "helm" / "clara-platform" / "files" / "dicom-server-config.yaml"

    def workflows_of(self, ae_title: str) -> list[str]:
        """Ids or names of the workflows that an AE title starts, as the mapping has them."""
        mapping = yaml.safe_load(self.listener_configuration.read_text())["workflows"]
        return [str(entry["workflow"]) for entry in mapping if entry["clara-ae-title"] == ae_title]

    def binaries(self, environment: str) -> Path:
        """The programs of an environment."""
        return self.root / ".venvs" / environment / "bin"


@dataclass(frozen=True)
class Laptop:
    """Everything that runs, and how to talk to it."""

    run: Run
    supervisor: Supervisor
    airflow: AirflowApi
    listener: httpx.Client
    pacs: Pacs
    checkout: Checkout
    home: Home


@contextmanager
def running(checkout: Checkout, home: Home, say: Say) -> Iterator[Laptop]:
    """Everything started and ready; stopped again when the block ends.

    Raises:
        LaptopError: it runs already, or a server does not become ready.
    """
    if (other := read_run(home.run_file)) is not None:
        raise LaptopError(f"a demo runs already (process {other.pid}, {home.run_file}): stop it with Ctrl-C first")
    home.make()
    ports = choose_ports(USUAL_PORTS)
    for name, port in ports.items():
        if port != USUAL_PORTS[name]:
            say(f"port {USUAL_PORTS[name]} is taken: {name} listens on {port}")
    listener_token = secrets.token_urlsafe(32)
    with Supervisor(home.logs) as supervisor:
        try:
            laptop = _start(checkout, home, ports, listener_token, supervisor, say)
            write_run(laptop.run, home.run_file)
            yield laptop
        finally:
            home.run_file.unlink(missing_ok=True)


def _start(
    checkout: Checkout, home: Home, ports: dict[str, int], listener_token: str, supervisor: Supervisor, say: Say
) -> Laptop:
    peers = {SCANNER_AE: ports["dicom"], "ClaraSCU": ports["dicom"]}
    program, pacs = pacs_program(home.root / "pacs", PACS_AE, ports["pacs-dicom"], ports["pacs"], peers)
    supervisor.start(program)
    supervisor.start(_triton(checkout, home, ports))
    kubeconfig = home.root / "localkube" / "kubeconfig"
    supervisor.start(_localkube(checkout, home, ports["localkube"], kubeconfig))
    settings = airflow.settings(home, ports["airflow"], checkout.bundle)
    password = airflow.prepare(supervisor, home, settings, checkout.binaries("airflow"))
    airflow.start(supervisor, settings, checkout.binaries("airflow"))
    airflow_url = f"http://{LOOPBACK}:{ports['airflow']}"
    supervisor.start(_listener(checkout, home, ports, airflow_url, password, listener_token))
    say(f"started: {'Orthanc' if pacs.page else 'qrscp'} as PACS {PACS_AE}, Triton, pod API, Airflow, DICOM listener")

    listener = httpx.Client(
        base_url=f"http://{LOOPBACK}:{ports['listener']}",
        headers={"Authorization": f"Bearer {listener_token}"},
        timeout=30,
    )
    api = AirflowApi(airflow_url, password)
    ready: dict[str, Callable[[], bool]] = {
        "the PACS": lambda: answers_echo(pacs),
        "the pod API": kubeconfig.is_file,
        "the DICOM listener": lambda: _answers(listener, "/readyz"),
        "Triton": lambda: (home.root / "triton.json").is_file(),
        "Airflow": api.is_healthy,
    }
    for what, test in ready.items():
        supervisor.wait_until(test, f"{what}: becoming ready", READY_SECONDS)
        say(f"ready: {what}")
    _make_config_map(kubeconfig, ports)
    api.log_in()
    _introduce(api, ports, listener_token, kubeconfig)
    run = Run(
        pid=os.getpid(),
        airflow=airflow_url,
        airflow_username=airflow.USERNAME,
        airflow_password=password,
        listener=f"http://{LOOPBACK}:{ports['listener']}",
        listener_token=listener_token,
        dicom_port=ports["dicom"],
        triton_http=f"{LOOPBACK}:{ports['triton-http']}",
        triton_grpc=f"{LOOPBACK}:{ports['triton-grpc']}",
        kubeconfig=str(kubeconfig),
        pacs=pacs.page,
        pacs_ae_title=pacs.ae_title,
        pacs_dicom_port=pacs.dicom_port,
    )
    return Laptop(run, supervisor, api, listener, pacs, checkout, home)


def _triton(checkout: Checkout, home: Home, ports: dict[str, int]) -> Program:
    ready = home.root / "triton.json"
    ready.unlink(missing_ok=True)
    command = [str(checkout.binaries("clara") / "clara-triton"), "serve"]
    command += ["--environment", str(checkout.root / ".venvs" / "triton"), "--host", LOOPBACK]
    for option in ("http", "grpc", "metrics"):
        command += [f"--{option}-port", str(ports[f"triton-{option}"])]
    return Program("triton", [*command, "--ready-file", str(ready)])


def _localkube(checkout: Checkout, home: Home, port: int, kubeconfig: Path) -> Program:
    kubeconfig.unlink(missing_ok=True)
    state = home.root / "localkube"
    state.mkdir(exist_ok=True)
    images = state / "images.yaml"
    clara = checkout.binaries("clara")
    stages = {"path": [str(clara)], "workdir": str(checkout.root), "folders": [str(checkout.root)]}
    images.write_text(yaml.safe_dump({"default": stages, "images": {"clara-stages": {"entrypoint": ["clara-stage"]}}}))
    command = [str(clara / "clara-localkube"), "serve", "--state", str(state / "state"), "--port", str(port)]
    command += ["--claim", f"clara-data={home.data}", "--images", str(images), "--kubeconfig", str(kubeconfig)]
    return Program("localkube", [*command, "--gpus", "1", "--workdir", str(checkout.root)])


def _listener(
    checkout: Checkout, home: Home, ports: dict[str, int], airflow_url: str, password: str, token: str
) -> Program:
    configuration = home.root / "dicom-server-config.yaml"
    _write_listener_configuration(checkout.listener_configuration, configuration, ports, airflow_url)
    journal = home.root / "journal"
    journal.mkdir(exist_ok=True)
    command = [str(checkout.binaries("clara") / "dicom-listener"), "serve", "--config", str(configuration)]
    command += ["--data", str(home.data), "--journal", str(journal / "journal.sqlite")]
    environment = {
        names.LISTENER_TOKEN: token,
        names.AIRFLOW_USERNAME: airflow.USERNAME,
        names.AIRFLOW_PASSWORD: password,
    }
    return Program("dicom-listener", command, environment)


def _write_listener_configuration(source: Path, target: Path, ports: dict[str, int], airflow_url: str) -> None:
    """The checkout's own configuration, AE titles and mapping untouched, on the addresses of this run."""
    round_trip = YAML()
    configuration = round_trip.load(source)
    dicom = configuration["dicom"]
    dicom["scp"]["port"] = ports["dicom"]
    dicom["scp"]["sources"] = [
        {"host-ip": LOOPBACK, "ae-title": SCANNER_AE},
        {"host-ip": LOOPBACK, "ae-title": PACS_AE},
    ]
    for destination in dicom["scu"]["destinations"]:
        if destination["name"] == PACS_AE:
            destination.update({"ae-title": PACS_AE, "host-ip": LOOPBACK, "port": ports["pacs-dicom"]})
    configuration["services"]["platform-endpoint"] = airflow_url
    ours = configuration.setdefault("clara", {})
    ours.setdefault("api", {}).update({"host": LOOPBACK, "port": ports["listener"]})
    with target.open("w") as file:
        round_trip.dump(configuration, file)


def _make_config_map(kubeconfig: Path, ports: dict[str, int]) -> None:
    """ConfigMap `clara-platform`, from which every stage pod takes the addresses of the platform."""
    grpc = f"{LOOPBACK}:{ports['triton-grpc']}"
    http = f"{LOOPBACK}:{ports['triton-http']}"
    data = {names.TRITON_URI: f"http://{http}", names.TRITON_GRPC: grpc, names.TRTIS_URI: http}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "clara-platform"}, "data": data}
    client, namespace = _kubernetes(kubeconfig)
    with client:
        collection = f"/api/v1/namespaces/{namespace}/configmaps"
        client.delete(f"{collection}/clara-platform")
        client.post(collection, json=body).raise_for_status()


def _kubernetes(kubeconfig: Path) -> tuple[httpx.Client, str]:
    configuration = yaml.safe_load(kubeconfig.read_text())
    server = configuration["clusters"][0]["cluster"]["server"]
    token = configuration["users"][0]["user"]["token"]
    namespace = configuration["contexts"][0]["context"].get("namespace", "default")
    return httpx.Client(base_url=server, headers={"Authorization": f"Bearer {token}"}, timeout=10), namespace


def _introduce(api: AirflowApi, ports: dict[str, int], listener_token: str, kubeconfig: Path) -> None:
    """Pools and connections. `clara_render` stays away until there is a Render Server."""
    api.put_pool("clara_gpu", 1, "Stages that ask for a GPU; one slot a GPU")
    listener = {
        "conn_type": "http",
        "host": LOOPBACK,
        "port": ports["listener"],
        "schema": "http",
        "password": listener_token,
    }
    api.put_connection("clara_listener", listener)
    _, namespace = _kubernetes(kubeconfig)
    extra = json.dumps({"kube_config_path": str(kubeconfig), "namespace": namespace})
    api.put_connection("clara_kubernetes", {"conn_type": "kubernetes", "extra": extra})


def _answers(client: httpx.Client, path: str) -> bool:
    try:
        return client.get(path).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
