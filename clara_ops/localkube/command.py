"""`clara-localkube serve`: the pod API for one machine, as one process on the loopback interface."""

import argparse
import asyncio
import contextlib
import fcntl
import json
import logging
import os
import secrets
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import yaml
from aiohttp import web

from clara_ops.localkube import process
from clara_ops.localkube.admission import admit_namespace
from clara_ops.localkube.api import application
from clara_ops.localkube.errors import LocalkubeError, StateError
from clara_ops.localkube.images import ImageMap, read_image_map
from clara_ops.localkube.machine import Machine, capacity_of
from clara_ops.localkube.model import GPU, parse_quantity
from clara_ops.localkube.node import Node
from clara_ops.localkube.process import Launch
from clara_ops.localkube.store import Store
from clara_ops.localkube.volumes import Mount

HOST = "127.0.0.1"
NAMESPACES = ("default", "clara")

_log = logging.getLogger("clara_ops.localkube")


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {"time": time, "level": record.levelname.lower(), "message": record.getMessage()}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line)


def main(arguments: Sequence[str] | None = None) -> int:
    """The console script."""
    options = _parser().parse_args(arguments)
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    try:
        with _lock(options.state):
            asyncio.run(_serve(options))
    except LocalkubeError as error:
        print(f"clara-localkube: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="clara-localkube", description=__doc__)
    serve = parser.add_subparsers(required=True).add_parser("serve", help="run until SIGTERM")
    serve.add_argument("--state", type=Path, required=True, help="folder for pods, logs and the token; made if missing")
    serve.add_argument("--port", type=int, default=0, help="0: the one of the last time, else a free one")
    serve.add_argument(
        "--kubeconfig", type=Path, required=True, help="written once the server listens; holds the token"
    )
    serve.add_argument(
        "--claim", action="append", default=[], type=_claim, metavar="NAME=FOLDER", help="a volume claim"
    )
    serve.add_argument(
        "--images", type=Path, metavar="FILE", help="the image map (YAML, see clara_ops/localkube/images.py)"
    )
    serve.add_argument("--gpus", type=int, default=1, help="made-up GPUs to give out (default 1)")
    serve.add_argument("--cpu", type=parse_quantity, help="cores to give out (default: all)")
    serve.add_argument("--memory", type=parse_quantity, help="memory to give out, such as 16Gi (default: all)")
    serve.add_argument("--workdir", type=Path, default=Path("/"), help="where a container starts that does not say so")
    serve.add_argument("--isolation", choices=("auto", "namespaces", "none"), default="auto", help="mount namespaces")
    serve.add_argument(
        "--on-exit", choices=("stop", "keep"), default="stop", help="what SIGTERM does with running pods"
    )
    serve.add_argument("--exit-grace", type=float, default=10.0, help="most seconds that a pod gets at SIGTERM")
    return parser


def _claim(text: str) -> tuple[str, Path]:
    name, equals, folder = text.partition("=")
    if not (name and equals and folder):
        raise argparse.ArgumentTypeError(f"{text!r}: expected NAME=FOLDER")
    return name, Path(folder).absolute()


@contextlib.contextmanager
def _lock(state: Path) -> Iterator[None]:
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (state / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StateError(
                f"{state}: another clara-localkube uses this folder; stop it, or give another --state"
            ) from error
        yield


async def _serve(options: argparse.Namespace) -> None:
    options.kubeconfig.unlink(missing_ok=True)
    machine = Machine(
        capacity=capacity_of(options.cpu, options.memory, options.gpus),
        claims=_folders(options.claim),
        images=read_image_map(options.images) if options.images else ImageMap(),
        isolated=await _isolated(options.isolation),
        workdir=options.workdir,
    )
    state = options.state.absolute()
    store = Store(state)
    for name in NAMESPACES:
        if store.namespaces.find("", name) is None:
            store.namespaces.create(admit_namespace({"metadata": {"name": name}}))
    node = Node(store, machine)
    node.resume()
    token = _token(state / "token")
    runner = web.AppRunner(
        application(store, node, token), access_log=None, shutdown_timeout=1.0, handler_cancellation=True
    )
    await runner.setup()
    port = await _listen(runner, options.port, state / "port")
    _write_private(options.kubeconfig, yaml.safe_dump(_kubeconfig(f"http://{HOST}:{port}", token)))
    _log.info("pod API for this machine only at http://%s:%s; kubeconfig %s", HOST, port, options.kubeconfig)
    _log.info(
        "offers %s made-up GPUs, %s cores, %s bytes of memory",
        *(machine.capacity[key] for key in (GPU, "cpu", "memory")),
    )
    await _until_asked_to_stop()
    options.kubeconfig.unlink(missing_ok=True)
    if options.on_exit == "stop":
        await node.shut_down(options.exit_grace)
    await runner.cleanup()
    _log.info("stopped")


def _folders(claims: Sequence[tuple[str, Path]]) -> dict[str, Path]:
    missing = [f"{name}={folder}" for name, folder in claims if not folder.is_dir()]
    if missing:
        raise StateError(f"--claim {missing[0]}: no such folder; make it first")
    return dict(claims)


async def _isolated(wanted: str) -> bool:
    """Whether containers get mounts of their own, found out by starting one."""
    if wanted == "none":
        return False
    with tempfile.TemporaryDirectory() as folder:
        probe = Launch(
            folder=folder,
            argv=["/bin/sh", "-c", ":"],
            env={},
            cwd="/",
            isolate=True,
            read_only_root=True,
            mounts=[Mount(folder, "/localkube/probe", True)],
            folders=[],
            memory=None,
        )
        started, runs = await process.start(probe)
        end = await started.wait()
    if runs:
        return True
    reason = end.message if end is not None else "killed"
    if wanted == "namespaces":
        raise StateError(f"--isolation namespaces: this kernel gives us no mount namespace ({reason}); use none")
    _log.warning("no mount namespaces here (%s): only stages that use the driver run, through CLARA_APP_DIR", reason)
    return False


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


if __name__ == "__main__":
    sys.exit(main())
