"""Run the real tritonserver as a child: start it, wait for its models, keep them alive, stop it without a trace."""

import ctypes
import http.client
import logging
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import IO

from clara_ops.inference.errors import PortTaken, TritonStartError
from clara_ops.inference.installation import Installation
from clara_ops.inference.stubs import StubWatch

_EXIT_SECONDS = 5
_REQUEST_SECONDS = 2.0
_RELOAD_SECONDS = 120.0
_SHARED_MEMORY = Path("/dev/shm")
_NVIDIA_DRIVER = Path("/dev/nvidiactl")
_RESTRICTED = "model-repository,shared-memory,trace,logging"
_RESTRICTED_HEADER = "clara-triton-key"
_PR_SET_PDEATHSIG = 1

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ports:
    """TCP ports of tritonserver; 0 stands for any free one until `choose_ports` has chosen it."""

    http: int = 0
    grpc: int = 0
    metrics: int = 0


def choose_ports(host: str, wanted: Ports) -> Ports:
    """The wanted ports, with a free one for each 0.

    Raises:
        PortTaken: another program listens on one that was asked for.
    """
    with ExitStack() as held:
        return Ports(
            **{field.name: _bind(held, host, field.name, getattr(wanted, field.name)) for field in fields(wanted)}
        )


def _bind(held: ExitStack, host: str, name: str, port: int) -> int:
    listener = held.enter_context(socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        raise PortTaken(
            f"{host}:{port} (--{name}-port) cannot be used: {error.strerror}; end the program that listens there, "
            "or give 0 for any free port"
        ) from error
    chosen: int = listener.getsockname()[1]
    return chosen


class TritonServer:
    """A running tritonserver and the processes of its models."""

    def __init__(self, process: "subprocess.Popen[str]", host: str, ports: Ports, key: str) -> None:
        self.host = host
        self.ports = ports
        self._process = process
        self._key = key
        self._stubs = StubWatch(process.pid)
        self._complaints: deque[str] = deque(maxlen=5)
        self._reader = threading.Thread(target=self._pass_on_log, name="triton-log", daemon=True)
        self._reader.start()

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs."""
        return self._process.poll()

    def wait_until_ready(self, stop: threading.Event, timeout: float) -> bool:
        """Wait until every model is ready; False when `stop` was set before.

        Raises:
            TritonStartError: it ended, or `timeout` seconds were not enough.
        """
        deadline = time.monotonic() + timeout
        while not stop.wait(0.05):
            if self.exit_code is not None:
                self._reader.join(1)
                reason = "; ".join(self._complaints) or "its log above says why"
                raise TritonStartError(f"tritonserver ended with exit code {self.exit_code}: {reason}")
            if self._asked("GET", "/v2/health/ready", _REQUEST_SECONDS):
                return True
            if time.monotonic() > deadline:
                raise TritonStartError(
                    f"tritonserver at {self.host}:{self.ports.http} was not ready after {timeout:g} s; "
                    "its log above says what it is at, --timeout gives it longer"
                )
        return False

    def revive_models(self) -> None:
        """Load every model again whose process died, for example killed for memory: Triton itself never does."""
        for model in sorted(self._stubs.models_that_died()):
            log.error("the process of model %s died; loading the model again", model)
            self._asked("POST", f"/v2/repository/models/{model}/unload", _RELOAD_SECONDS)
            if self._asked("POST", f"/v2/repository/models/{model}/load", _RELOAD_SECONDS):
                log.info("model %s is ready again", model)
            else:
                log.error("model %s could not be loaded again; Triton's log says why", model)

    def stop(self) -> None:
        """End the server and everything it started."""
        self._process.terminate()
        try:
            self._process.wait(_EXIT_SECONDS + 1)
        except subprocess.TimeoutExpired:
            log.warning("tritonserver did not end by itself and is killed")
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            log.debug("tritonserver took all its processes with it")
        self._process.wait()

    def _asked(self, method: str, path: str, timeout: float) -> bool:
        """Whether Triton answered a request with success."""
        address = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        connection = http.client.HTTPConnection(address, self.ports.http, timeout=timeout)
        try:
            connection.request(method, path, headers={_RESTRICTED_HEADER: self._key})
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _pass_on_log(self) -> None:
        source: IO[str] | None = self._process.stderr
        assert source is not None
        for line in source:
            os.write(2, line.encode())
            if line.startswith(("E", "error:")) and "CudaDriverHelper" not in line:
                self._complaints.append(line.strip())


@contextmanager
def running_server(installation: Installation, models: Path, host: str, ports: Ports) -> Iterator[TritonServer]:
    """tritonserver, started on a model repository; when the block ends, it and all that it made are gone.

    Args:
        models: model repository; every model in it is loaded.
        host: address to bind; `0.0.0.0` for all.
        ports: as `choose_ports` gave them.
    """
    key, prefix = secrets.token_urlsafe(16), f"clara_triton_{os.getpid()}_"
    with tempfile.TemporaryDirectory(prefix="clara-triton-") as backends:
        installation.link_backends(Path(backends))
        process = subprocess.Popen(
            [
                str(installation.server),
                f"--model-repository={models}",
                "--model-control-mode=explicit",
                "--load-model=*",
                f"--backend-directory={backends}",
                f"--backend-config=python,shm-region-prefix-name={prefix}",
                *(f"--{name}-address={host}" for name in ("http", "grpc", "metrics")),
                *(f"--{field.name}-port={getattr(ports, field.name)}" for field in fields(ports)),
                f"--http-restricted-api={_RESTRICTED}:{_RESTRICTED_HEADER}={key}",
                f"--grpc-restricted-protocol={_RESTRICTED}:{_RESTRICTED_HEADER}={key}",
                f"--allow-gpu-metrics={str(_NVIDIA_DRIVER.exists()).lower()}",
                f"--exit-timeout-secs={_EXIT_SECONDS}",
            ],
            env=installation.process_environment(),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            process_group=0,
            preexec_fn=_end_with_parent,
        )
        server = TritonServer(process, host, ports, key)
        try:
            yield server
        finally:
            server.stop()
            for region in _SHARED_MEMORY.glob(f"{prefix}*"):
                region.unlink(missing_ok=True)


def free_shared_memory() -> int:
    """Bytes left in the shared memory through which Triton and its python models exchange tensors."""
    return shutil.disk_usage(_SHARED_MEMORY).free


def _end_with_parent() -> None:
    """Let the kernel send SIGTERM when the process that started us dies, however it dies."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
