"""Write and read claim `clara-data` through the pod `shell`, as the user that owns it."""

import base64
import io
import tarfile
from collections.abc import Mapping

from kubernetes import client
from kubernetes.stream import stream

from tests.kube.platform.deployment import Platform

_CHUNK = 1 << 16
_UNPACK = """
import base64, io, sys, tarfile
tarfile.open(fileobj=io.BytesIO(base64.b64decode(sys.stdin.readline()))).extractall("/data")
"""
_PACK = """
import base64, sys
sys.stdout.write(base64.b64encode(open(sys.argv[1], "rb").read()).decode())
"""


def write_files(platform: Platform, files: Mapping[str, bytes], folders: tuple[str, ...] = ()) -> None:
    """Put files, and empty folders, into claim `clara-data`; paths are relative to it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as archive:
        for folder in folders:
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    _shell(platform, ["python3", "-c", _UNPACK], base64.b64encode(packed.getvalue()).decode())


def read_file(platform: Platform, path: str) -> bytes:
    """Content of a file in claim `clara-data`."""
    return base64.b64decode(_shell(platform, ["python3", "-c", _PACK, f"/data/{path}"]))


def list_files(platform: Platform, folder: str) -> list[str]:
    """All files below a folder of claim `clara-data`, relative to it."""
    return _shell(platform, ["find", f"/data/{folder}", "-type", "f", "-printf", "%P\\n"]).split()


def _shell(platform: Platform, command: list[str], line: str = "") -> str:
    """Run a command in the pod `shell`, with one line as its input; its output.

    Through a client of its own: for as long as it lasts, `stream` turns every request of the client into a web socket.
    """
    core = client.CoreV1Api(client.ApiClient(platform.client.configuration))
    process = stream(
        core.connect_get_namespaced_pod_exec,
        "shell",
        platform.namespace,
        command=command,
        stdin=bool(line),
        stdout=True,
        stderr=True,
        _preload_content=False,
    )
    for start in range(0, len(line), _CHUNK):
        process.write_stdin(line[start : start + _CHUNK])
    if line:
        process.write_stdin("\n")
    process.run_forever(timeout=60)
    output, errors = process.read_stdout(), process.read_stderr()
    assert process.returncode == 0, f"{command}: {errors}"
    return str(output)
