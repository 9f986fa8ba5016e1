"""`clara-triton`: the real Triton Inference Server on this machine, on a CPU, straight on a model repository."""

import argparse
import json
import logging
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from clara_ops.contract.documents import write_durably
from clara_ops.contract.errors import ClaraError
from clara_ops.inference.installation import find_installation
from clara_ops.inference.server import Ports, TritonServer, choose_ports, free_shared_memory, running_server

MODELS = Path(__file__).with_name("models")

_WATCH_SECONDS = 1.0
_SHARED_MEMORY_NEEDED = 256 << 20

log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the console script; returns the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    options = _parser().parse_args(arguments)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    try:
        return serve(options, stop)
    except ClaraError as error:
        print(f"clara-triton: {type(error).__name__}: {error}", file=sys.stderr)
        return error.exit_code


def serve(options: argparse.Namespace, stop: threading.Event) -> int:
    """Run the server until `stop` is set (0) or it ends by itself (1).

    Raises:
        ClaraError: it cannot be started.
    """
    installation = find_installation(options.environment)
    wanted = Ports(options.http_port, options.grpc_port, options.metrics_port)
    if free_shared_memory() < _SHARED_MEMORY_NEEDED:
        log.warning("/dev/shm has %d MB left: large tiles will fail; give it more", free_shared_memory() >> 20)
    with running_server(installation, options.models, options.host, choose_ports(options.host, wanted)) as server:
        if not server.wait_until_ready(stop, options.timeout):
            return 0
        addresses = {name: f"{options.host}:{port}" for name, port in asdict(server.ports).items()}
        log.info("ready: %s", " ".join(f"{name}={address}" for name, address in addresses.items()))
        if options.ready_file is None:
            return _watch(server, stop)
        write_durably(options.ready_file, json.dumps(addresses).encode() + b"\n")
        try:
            return _watch(server, stop)
        finally:
            options.ready_file.unlink(missing_ok=True)


def _watch(server: TritonServer, stop: threading.Event) -> int:
    while not stop.wait(_WATCH_SECONDS):
        if server.exit_code is not None:
            log.error("tritonserver ended by itself with exit code %s", server.exit_code)
            return 1
        server.revive_models()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="clara-triton", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    serve_command = commands.add_parser("serve", help="start Triton and stay with it until SIGTERM or Ctrl-C")
    add = serve_command.add_argument
    add("--environment", type=Path, default=Path(".venvs/triton"), help="where Triton is installed (%(default)s)")
    add("--models", type=Path, default=MODELS, help="model repository (the models that come with Clara)")
    add("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    for name in asdict(Ports()):
        add(f"--{name}-port", type=int, default=0, metavar="PORT", help="0: any free one (%(default)s)")
    add("--ready-file", type=Path, metavar="FILE", help="written when all models are ready: {http, grpc, metrics}")
    add("--timeout", type=float, default=120, metavar="SECONDS", help="for becoming ready (%(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
