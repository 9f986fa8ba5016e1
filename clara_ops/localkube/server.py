"""One server from start to end: state folder, machine, API, kubeconfig, and what becomes of the pods when it stops."""

import asyncio
import contextlib
import fcntl
import logging
import os
import secrets
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml
from aiohttp import web

from clara_ops.localkube.admission import admit_namespace
from clara_ops.localkube.api import application
from clara_ops.localkube.errors import StateError
from clara_ops.localkube.machine import Machine
from clara_ops.localkube.model import GPU
from clara_ops.localkube.node import Node
from clara_ops.localkube.store import Store

HOST = "127.0.0.1"
NAMESPACES = ("default", "clara")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """How a server runs.

    Attributes:
        state: folder for pods, logs, port and token; survives the server.
        port: 0 for the one of the last time, else a free one.
        kubeconfig: written when the server listens, so that its presence means ready; taken away at the end.
        keep_pods: leave the pods running at the end, for the next server to find.
        exit_grace: seconds that a pod gets at most at the end.
    """

    state: Path
    port: int
    kubeconfig: Path
    keep_pods: bool
    exit_grace: float


async def serve(machine: Machine, settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        StateError: the port is taken.
    """
    settings.kubeconfig.unlink(missing_ok=True)
    store = Store(settings.state)
    for name in NAMESPACES:
        if store.namespaces.find("", name) is None:
            store.namespaces.create(admit_namespace({"metadata": {"name": name}}))
    node = Node(store, machine)
    node.resume()
    token = _token(settings.state / "token")
    app = application(store, node, token)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0, handler_cancellation=True)
    await runner.setup()
    url = f"http://{HOST}:{await _listen(runner, settings.port, settings.state / 'port')}"
    _write_private(settings.kubeconfig, yaml.safe_dump(_kubeconfig(url, token)))
    _log.info("pod API for this machine only, not for production, at %s; kubeconfig %s", url, settings.kubeconfig)
    amounts = (machine.capacity[resource] for resource in (GPU, "cpu", "memory"))
    _log.info("offers %s made-up GPUs, %s cores, %s bytes of memory", *amounts)
    await _until_asked_to_stop()
    settings.kubeconfig.unlink(missing_ok=True)
    if not settings.keep_pods:
        await node.shut_down(settings.exit_grace)
    await runner.cleanup()
    _log.info("stopped")


@contextlib.contextmanager
def locked(state: Path) -> Iterator[None]:
    """Hold a state folder, for this user only.

    Raises:
        StateError: another server holds it.
    """
    state.mkdir(parents=True, exist_ok=True)
    state.chmod(0o700)
    with (state / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StateError(
                f"{state}: another clara-localkube uses this folder; stop it, or give another --state"
            ) from error
        yield


async def _listen(runner: web.AppRunner, port: int, remembered: Path) -> int:
    """Listen; with port 0 where the last server did, if that is free, so that its clients find this one."""
    ports = [port] if port else [*([int(remembered.read_text())] if remembered.exists() else []), 0]
    for candidate in ports:
        site = web.TCPSite(runner, HOST, candidate)
        try:
            await site.start()
        except OSError as error:
            if candidate == ports[-1]:
                raise StateError(f"port {candidate} on {HOST}: {error.strerror}; give another --port, or 0") from error
            continue
        break
    found = int(runner.addresses[0][1])
    remembered.write_text(str(found))
    return found


async def _until_asked_to_stop() -> None:
    asked = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, asked.set)
    await asked.wait()


def _token(path: Path) -> str:
    if not path.exists():
        _write_private(path, secrets.token_urlsafe(32))
    return path.read_text()


def _write_private(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.part")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    temporary.replace(path)


def _kubeconfig(server: str, token: str) -> dict[str, object]:
    context = {"cluster": "localkube", "user": "localkube", "namespace": "clara"}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "localkube", "cluster": {"server": server}}],
        "users": [{"name": "localkube", "user": {"token": token}}],
        "contexts": [{"name": "localkube", "context": context}],
        "current-context": "localkube",
    }
