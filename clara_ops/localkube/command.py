"""`clara-localkube serve`: the pod API for one machine, as one process on the loopback interface."""

import argparse
import asyncio
import json
import logging
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from clara_ops.localkube.errors import LocalkubeError, StateError
from clara_ops.localkube.images import ImageMap, read_image_map
from clara_ops.localkube.isolation import find_isolation
from clara_ops.localkube.machine import Machine, capacity_of
from clara_ops.localkube.model import parse_quantity
from clara_ops.localkube.server import Settings, locked, serve


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
    try:
        _run(options)
    except LocalkubeError as error:
        print(f"clara-localkube: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _run(options: argparse.Namespace) -> None:
    state = options.state.absolute()
    with locked(state):
        machine = Machine(
            capacity=capacity_of(options.cpu, options.memory, options.gpus),
            claims=_folders(options.claim),
            images=read_image_map(options.images) if options.images else ImageMap(),
            isolated=asyncio.run(find_isolation(options.isolation)),
            workdir=options.workdir,
        )
        settings = Settings(state, options.port, options.kubeconfig, options.on_exit == "keep", options.exit_grace)
        asyncio.run(serve(machine, settings))


def _folders(claims: Sequence[tuple[str, Path]]) -> dict[str, Path]:
    missing = [f"{name}={folder}" for name, folder in claims if not folder.is_dir()]
    if missing:
        raise StateError(f"--claim {missing[0]}: no such folder; make it first")
    return dict(claims)


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


if __name__ == "__main__":
    sys.exit(main())
