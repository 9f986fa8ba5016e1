"""The client of stages: waits for Triton and the model, runs tiles over gRPC, and gets over a restart of the server."""

import logging
import os
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from clara_ops.contract import environment
from clara_ops.inference.description import ModelDescription, describe
from clara_ops.inference.errors import InferenceFailed, ModelUnavailable, TritonUnavailable

Float = npt.NDArray[np.float32]
T = TypeVar("T")

_ADDRESS = re.compile(r"[^\s:/]+:\d+|\[[0-9a-fA-F:]+\]:\d+")
_POLL_SECONDS = 0.2
_CALL_SECONDS = 5.0
_TILE_SECONDS = 300.0
_PAUSES = (1.0, 2.0, 4.0)
_CHANNEL = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.enable_http_proxy", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
]

log = logging.getLogger(__name__)


def triton_address(environ: Mapping[str, str] = os.environ) -> str:
    """host:port of Triton's gRPC service.

    Raises:
        TritonUnavailable: the environment does not say where it is.
    """
    address = environ.get(environment.TRITON_GRPC, "")
    if not address:
        raise TritonUnavailable(
            f"{environment.TRITON_GRPC} is not set: set it to host:port of Triton's gRPC service "
            "(ConfigMap clara-platform sets it for stages), or give --triton"
        )
    return address


class TritonClient:
    """A connection to one Triton; close it, or use it as a context."""

    def __init__(self, address: str, *, patience: float) -> None:
        """Connect when first needed.

        Args:
            address: host:port of the gRPC service.
            patience: seconds to wait for server and model to become ready, each time that they are not.

        Raises:
            TritonUnavailable: the address is not host:port.
        """
        if _ADDRESS.fullmatch(address) is None:
            raise TritonUnavailable(f"Triton's address {address!r}: must be host:port of its gRPC service")
        # Costs a quarter of a second: only for those who really call Triton.
        import tritonclient.grpc as triton

        self._triton = triton
        self._client = triton.InferenceServerClient(address, channel_args=_CHANNEL)
        self._address = address
        self._patience = patience

    def __enter__(self) -> "TritonClient":
        return self

    def __exit__(self, *error: object) -> None:
        self._client.close()

    def describe(self, model: str) -> ModelDescription:
        """Wait until a model is ready and read what it says of itself.

        Raises:
            TritonUnavailable: no server within the patience.
            ModelUnavailable: a server, but not this model.
            ModelNotDescribed: the model's configuration lacks what a client needs.
        """
        self._wait_until_ready(model)
        config = self._call(lambda: self._client.get_model_config(model, as_json=True, client_timeout=_CALL_SECONDS))
        return describe(config["config"], f"model {model!r} at {self._address}")

    def scores(self, model: ModelDescription, tile: Float) -> Float:
        """Run a tile (x, y, z) through a model.

        Returns:
            [channels, x, y, z], float32.

        Raises:
            TritonUnavailable: the server went away and did not come back within the patience.
            InferenceFailed: the model failed, or its answer has another form or is not finite.
        """
        tensor = self._triton.InferInput(model.input_name, [1, 1, *tile.shape], "FP32")
        tensor.set_data_from_numpy(tile[None, None])
        result = self._infer(model, tensor)
        scores: Float | None = result.as_numpy(model.output_name)
        expected = (1, model.channels, *tile.shape)
        if scores is None or scores.shape != expected or not np.isfinite(scores).all():
            found = "nothing" if scores is None else f"{scores.dtype} {scores.shape}"
            raise InferenceFailed(
                f"model {model.name!r} at {self._address}: answered {found} for output {model.output_name!r}, "
                f"expected finite numbers of shape {expected}; correct the model"
            )
        first: Float = scores[0]
        return first

    def _infer(self, model: ModelDescription, tensor: Any) -> Any:
        pauses = iter(_PAUSES)
        while True:
            try:
                return self._client.infer(model.name, [tensor], client_timeout=_TILE_SECONDS)
            except self._triton.InferenceServerException as error:
                pause = next(pauses, None)
                if pause is None or not _is_passing(error):
                    raise self._failure(model.name, error) from error
                log.warning("Triton at %s: %s; trying again in %g s", self._address, error.message(), pause)
            time.sleep(pause)
            self._wait_until_ready(model.name)

    def _wait_until_ready(self, model: str) -> None:
        deadline = time.monotonic() + self._patience
        while True:
            try:
                if self._client.is_model_ready(model, client_timeout=_CALL_SECONDS):
                    return
                problem: Exception = ModelUnavailable(
                    f"model {model!r}: Triton at {self._address} runs but has not made it ready in {self._patience:g} "
                    "s; look for it in Triton's model repository and log, or name another with --model"
                )
            except self._triton.InferenceServerException as error:
                problem = self._unavailable(error)
            if time.monotonic() > deadline:
                raise problem
            time.sleep(_POLL_SECONDS)

    def _call(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except self._triton.InferenceServerException as error:
            raise self._unavailable(error) from error

    def _unavailable(self, error: Any) -> TritonUnavailable:
        return TritonUnavailable(
            f"no Triton at {self._address} after {self._patience:g} s ({error.message()}); start it "
            f"('clara-triton serve', or its Deployment), or set {environment.TRITON_GRPC} to its host:port"
        )

    def _failure(self, model: str, error: Any) -> Exception:
        if _is_passing(error):
            return self._unavailable(error)
        if error.status() == "StatusCode.DEADLINE_EXCEEDED":
            return TritonUnavailable(f"model {model!r} at {self._address}: no answer within {_TILE_SECONDS:g} s")
        return InferenceFailed(f"model {model!r} at {self._address}: {error.message()}; Triton's log says more")


def _is_passing(error: Any) -> bool:
    """Whether waiting may help: the server restarts, or loads a model again whose process died."""
    return error.status() in ("StatusCode.UNAVAILABLE", "StatusCode.NOT_FOUND") or "not healthy" in error.message()
