"""What the laptop keeps in `.clara/`, and `run.json`: the addresses and logins of what runs now."""

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Home:
    """The folder of everything that the laptop writes, `.clara/` in the checkout."""

    root: Path

    @property
    def data(self) -> Path:
        """The claim `clara-data`: spool and payloads."""
        return self.root / "data"

    @property
    def logs(self) -> Path:
        """One log file a server."""
        return self.root / "log"

    @property
    def airflow(self) -> Path:
        """AIRFLOW_HOME."""
        return self.root / "airflow"

    @property
    def run_file(self) -> Path:
        """Addresses, ports, logins and tokens of what runs now; there only while it runs."""
        return self.root / "run.json"

    def make(self) -> None:
        """Make the folders, for our own eyes only: received images lie here."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.root.chmod(0o700)
        for folder in (self.data, self.logs, self.airflow):
            folder.mkdir(exist_ok=True)


@dataclass(frozen=True)
class Run:
    """What runs now. Ports are on 127.0.0.1."""

    pid: int
    airflow: str
    airflow_username: str
    airflow_password: str
    listener: str
    listener_token: str
    dicom_port: int
    triton_http: str
    triton_grpc: str
    kubeconfig: str
    pacs: str
    pacs_ae_title: str
    pacs_dicom_port: int


def write_run(run: Run, path: Path) -> None:
    """Write `run.json`, readable by its owner only."""
    write_private(path, json.dumps(asdict(run), indent=1) + "\n")


def read_run(path: Path) -> Run | None:
    """What runs now; None when nothing does, or when what ran was killed."""
    if not path.is_file():
        return None
    run = Run(**json.loads(path.read_text()))
    try:
        os.kill(run.pid, 0)
    except ProcessLookupError:
        return None
    return run


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, from its first byte on."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)


def kept_secret(path: Path) -> str:
    """A random secret that stays the same from run to run."""
    if not path.is_file():
        write_private(path, secrets.token_urlsafe(32))
    return path.read_text()
