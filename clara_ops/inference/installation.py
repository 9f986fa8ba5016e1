"""Where the real tritonserver lies: in PyPI's `nvidia-pytriton`, of which nothing else is used.

An environment is a virtual environment of what models import, with the server in its folder `server/`:

    <environment>/bin/python3                                   runs python-backend models; its numpy is older than 2
    <environment>/server/pytriton/tritonserver/bin/tritonserver
    <environment>/server/pytriton/tritonserver/backends/
    <environment>/server/pytriton/tritonserver/python_backend_stubs/<Python version>/
"""

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clara_ops.inference.errors import GlibcTooOld, TritonNotInstalled

_OLDEST_GLIBC = (2, 35)
STUB = "triton_python_backend_stub"
_ASK_PYTHON = """
import json, sys, sysconfig
library, multiarch = sysconfig.get_config_vars("LIBDIR", "MULTIARCH")
print(json.dumps({"version": "%d.%d" % sys.version_info[:2],
                  "folders": [library, "%s/%s" % (library, multiarch), sys.base_prefix + "/lib"]}))
"""


@dataclass(frozen=True)
class Installation:
    """A tritonserver that can run here.

    Attributes:
        python_folder: comes first on PATH: the stub takes its packages from the first `python3` there.
        server: the program `tritonserver`.
        backends: folder of the backends that came with it.
        stub: the python backend's process, built for the environment's Python version.
        libpython_folder: where the stub finds the interpreter's shared library.
    """

    python_folder: Path
    server: Path
    backends: Path
    stub: Path
    libpython_folder: Path

    def link_backends(self, folder: Path) -> None:
        """Make `folder` a backend directory: all backends of the server, and the stub beside the python backend.

        Links, no copies: server and stub look for their libraries relative to where they really lie.
        """
        for backend in self.backends.iterdir():
            linked = folder / backend.name
            linked.mkdir(parents=True)
            for file in backend.iterdir():
                (linked / file.name).symlink_to(file)
        (folder / "python" / STUB).symlink_to(self.stub)

    def process_environment(self) -> dict[str, str]:
        """Our environment, changed so that server and stubs find this installation and no other Python."""
        inherited = {name: value for name, value in os.environ.items() if name not in ("PYTHONHOME", "PYTHONPATH")}
        path = f"{self.python_folder}:{inherited.get('PATH', os.defpath)}"
        return {**inherited, "PATH": path, "LD_LIBRARY_PATH": str(self.libpython_folder)}


def find_installation(environment: Path) -> Installation:
    """The tritonserver of an environment.

    Raises:
        GlibcTooOld: it cannot run on this machine.
        TritonNotInstalled: something is missing, and the message says what.
    """
    _check_glibc()
    environment = environment.absolute()
    root = environment / "server" / "pytriton" / "tritonserver"
    python = _existing(environment / "bin" / "python3")
    about = json.loads(subprocess.run([python, "-I", "-c", _ASK_PYTHON], capture_output=True, check=True).stdout)
    return Installation(
        python_folder=python.parent,
        server=_existing(root / "bin" / "tritonserver"),
        backends=_existing(root / "backends"),
        stub=_existing(root / "python_backend_stubs" / about["version"] / STUB),
        libpython_folder=_libpython_folder(about["version"], about["folders"]),
    )


def _existing(path: Path) -> Path:
    if not path.exists():
        raise TritonNotInstalled(f"{path}: not there; run 'make setup', or name the environment with --environment")
    return path


def _libpython_folder(version: str, folders: Sequence[str]) -> Path:
    library = f"libpython{version}.so.1.0"
    for folder in folders:
        if Path(folder, library).exists():
            return Path(folder)
    raise TritonNotInstalled(
        f"{library}: in none of {', '.join(folders)}, and Triton's python backend needs it; install it "
        f"(Debian: 'apt-get install libpython{version}') or make the environment with another Python {version}"
    )


def _check_glibc() -> None:
    library, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "no glibc").partition(" ")
    found = tuple(int(part) for part in version.split(".")[:2]) if library == "glibc" else (0, 0)
    if found < _OLDEST_GLIBC:
        raise GlibcTooOld(
            f"this machine has {library} {version}; tritonserver needs glibc 2.35 or newer (Debian 12, Ubuntu 22.04): "
            "run Triton on another machine or in a container, and set CLARA_TRITON_GRPC to its host:port"
        )
