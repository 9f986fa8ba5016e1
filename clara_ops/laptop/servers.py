"""Start every server of the laptop, in the order in which they need each other, and say where each can be reached."""

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from clara_ops.laptop import airflow, programs
from clara_ops.laptop.airflow import AirflowApi
from clara_ops.laptop.checkout import Checkout
from clara_ops.laptop.errors import LaptopError
from clara_ops.laptop.pacs import Pacs, pacs_program
from clara_ops.laptop.pacs_client import answers_echo
from clara_ops.laptop.ports import LOOPBACK, reserved_ports
from clara_ops.laptop.processes import Supervisor
from clara_ops.laptop.programs import PACS_AE, SCANNER_AE
from clara_ops.laptop.state import Home, Run, read_run, write_run
from clara_ops.laptop.wiring import introduce_to_airflow, make_config_map

USUAL_PORTS = {
    "airflow": 8080,
    "airflow-execution": 8081,
    "listener": 8104,
    "dicom": 10400,
    "triton-http": 8000,
    "triton-grpc": 8001,
    "triton-metrics": 8002,
    "localkube": 8443,
    "pacs": 8042,
    "pacs-dicom": 11112,
}
READY_SECONDS = 240

Say = Callable[[str], None]


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
    listener_token = secrets.token_urlsafe(32)
    with reserved_ports(USUAL_PORTS) as ports, Supervisor(home.logs) as supervisor:
        for name, port in ports.items():
            if port != USUAL_PORTS[name]:
                say(f"port {USUAL_PORTS[name]} is taken: {name} listens on {port}")
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
    supervisor.start(programs.triton(checkout, home, ports))
    kubeconfig = home.root / "localkube" / "kubeconfig"
    supervisor.start(programs.localkube(checkout, home, ports["localkube"], kubeconfig))
    settings = airflow.settings(home, ports["airflow"], ports["airflow-execution"], checkout.bundle)
    password = airflow.prepare(supervisor, home, settings, checkout.binaries("airflow"))
    airflow.start(supervisor, settings, checkout.binaries("airflow"))
    airflow_url = f"http://{LOOPBACK}:{ports['airflow']}"
    supervisor.start(programs.listener(checkout, home, ports, airflow_url, password, listener_token))
    say(f"started: {'Orthanc' if pacs.page else 'qrscp'} as PACS {PACS_AE}, Triton, pod API, Airflow, DICOM listener")

    listener = httpx.Client(
        base_url=f"http://{LOOPBACK}:{ports['listener']}",
        headers={"Authorization": f"Bearer {listener_token}"},
        timeout=30,
    )
    api = AirflowApi(airflow_url, ports["airflow-execution"], password)
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
    make_config_map(kubeconfig, ports)
    api.log_in()
    introduce_to_airflow(api, ports, listener_token, kubeconfig)
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


def _answers(client: httpx.Client, path: str) -> bool:
    try:
        return client.get(path).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
