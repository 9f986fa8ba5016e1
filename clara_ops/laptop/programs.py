"""The commands of our own servers, on the ports of this run."""

from pathlib import Path

import yaml
from ruamel.yaml import YAML

from clara_ops.contract import environment as names
from clara_ops.laptop import airflow
from clara_ops.laptop.checkout import Checkout
from clara_ops.laptop.ports import LOOPBACK
from clara_ops.laptop.processes import Program
from clara_ops.laptop.state import Home

SCANNER_AE = "PACS"
PACS_AE = "DCM4CHEE"


def triton(checkout: Checkout, home: Home, ports: dict[str, int]) -> Program:
    """Triton over the shipped model repository; ready when its ready file is there."""
    ready = home.root / "triton.json"
    ready.unlink(missing_ok=True)
    command = [str(checkout.binaries("clara") / "clara-triton"), "serve"]
    command += ["--environment", str(checkout.root / ".venvs" / "triton"), "--host", LOOPBACK]
    for option in ("http", "grpc", "metrics"):
        command += [f"--{option}-port", str(ports[f"triton-{option}"])]
    return Program("triton", [*command, "--ready-file", str(ready)])


def localkube(checkout: Checkout, home: Home, port: int, kubeconfig: Path) -> Program:
    """The pod API for one machine, with one made-up GPU; ready when `kubeconfig` is there."""
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


def listener(
    checkout: Checkout, home: Home, ports: dict[str, int], airflow_url: str, password: str, token: str
) -> Program:
    """The DICOM listener with the checkout's own mapping; its secrets come by environment only."""
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
