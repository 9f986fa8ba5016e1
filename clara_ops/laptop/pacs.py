"""The PACS of the laptop: Orthanc where it can be had, else pynetdicom's `qrscp`."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from clara_ops.laptop.ports import LOOPBACK
from clara_ops.laptop.processes import Program
from clara_ops.laptop.setup import find_program


@dataclass(frozen=True)
class Pacs:
    """A PACS on loopback. `page` is what a person opens; empty where there is none."""

    ae_title: str
    dicom_port: int
    page: str


def pacs_program(
    folder: Path, ae_title: str, dicom_port: int, http_port: int, peers: dict[str, int], *, any_host: bool = False
) -> tuple[Program, Pacs]:
    """The PACS that this machine can run, its files in `folder`.

    Args:
        folder: its database and images.
        ae_title: its own AE title.
        dicom_port: where it listens for DICOM.
        http_port: where Orthanc shows its page.
        peers: AE title and port of those on this machine who may talk to it.
        any_host: others may store too, whatever their address: for pods of a test cluster on this machine.
    """
    folder.mkdir(parents=True, exist_ok=True)
    orthanc = find_program("Orthanc")
    if orthanc is None:
        return _qrscp(folder, ae_title, dicom_port)
    configuration = {
        "Name": "PACS of the Clara demo",
        "StorageDirectory": str(folder / "orthanc"),
        "IndexDirectory": str(folder / "orthanc"),
        "DicomAet": ae_title,
        "DicomPort": dicom_port,
        "DicomCheckCalledAet": True,
        "DicomCheckModalityHost": not any_host,
        "DicomAlwaysAllowEcho": True,
        "DicomAlwaysAllowStore": any_host,
        "DicomModalities": {
            name: {"AET": name, "Host": LOOPBACK, "Port": port, "AllowGet": True} for name, port in peers.items()
        },
        "HttpPort": http_port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "StableAge": 1,
        "StorageCompression": False,
        "Plugins": [],
    }
    path = folder / "orthanc.json"
    path.write_text(json.dumps(configuration, indent=1))
    page = f"http://{LOOPBACK}:{http_port}/app/explorer.html"
    # DCMTK, which Orthanc is made of, waits for acknowledgements otherwise: 40 ms an instance
    return Program("pacs", [orthanc, str(path)], {"TCP_NODELAY": "1"}), Pacs(ae_title, dicom_port, page)


def _qrscp(folder: Path, ae_title: str, dicom_port: int) -> tuple[Program, Pacs]:
    configuration = folder / "qrscp.ini"
    configuration.write_text(
        f"[DEFAULT]\nae_title: {ae_title}\nport: {dicom_port}\nmax_pdu: 131072\nacse_timeout: 30\ndimse_timeout: 30\n"
        f"network_timeout: 30\nbind_address: {LOOPBACK}\ninstance_location: {folder / 'instances'}\n"
        f"database_location: {folder / 'instances.sqlite'}\n"
    )
    command = [sys.executable, "-m", "pynetdicom", "qrscp", "--config", str(configuration)]
    return Program("pacs", command), Pacs(ae_title, dicom_port, "")
