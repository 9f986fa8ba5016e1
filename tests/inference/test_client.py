"""The client against a gRPC server that speaks Triton's protocol and misbehaves on demand."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2, service_pb2, service_pb2_grpc

from clara_ops.inference import client as client_module
from clara_ops.inference.client import TritonClient, triton_address
from clara_ops.inference.command import MODELS
from clara_ops.inference.errors import InferenceFailed, ModelNotDescribed, ModelUnavailable, TritonUnavailable

DEMO = "ct_organs_demo"
TILE = np.zeros((8, 16, 8), np.float32)
UNHEALTHY = (grpc.StatusCode.INTERNAL, "Stub process 'ct_organs_demo_0_0' is not healthy.")


class Peer(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]
    """Serves the demo model's configuration; answers `failures` first, then channel 2 everywhere."""

    def __init__(self) -> None:
        self.failures: list[tuple[grpc.StatusCode, str]] = []
        self.ready_after = 0.0
        self.fill = 1.0
        self.channels = 8
        self.config = text_format.Parse((MODELS / DEMO / "config.pbtxt").read_text(), model_config_pb2.ModelConfig())
        self.calls = 0

    def ModelReady(self, request: Any, _context: grpc.ServicerContext) -> Any:  # noqa: N802
        ready = request.name == DEMO and time.monotonic() > self.ready_after
        return service_pb2.ModelReadyResponse(ready=ready)

    def ModelConfig(self, _request: Any, _context: grpc.ServicerContext) -> Any:  # noqa: N802
        return service_pb2.ModelConfigResponse(config=self.config)

    def ModelInfer(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        self.calls += 1
        if self.failures:
            context.abort(*self.failures.pop(0))
        shape = [1, self.channels, *request.inputs[0].shape[2:]]
        scores = np.zeros(shape, np.float32)
        scores[:, 2] = self.fill
        output = service_pb2.ModelInferResponse.InferOutputTensor(name="logits", datatype="FP32", shape=shape)
        return service_pb2.ModelInferResponse(outputs=[output], raw_output_contents=[scores.tobytes()])


@pytest.fixture
def peer() -> Peer:
    return Peer()


@pytest.fixture
def triton(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> Iterator[TritonClient]:
    monkeypatch.setattr(client_module, "_PAUSES", (0.01, 0.01))
    server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.max_receive_message_length", -1)])
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(peer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with TritonClient(f"127.0.0.1:{port}", patience=0.5) as connected:
        yield connected
    server.stop(None).wait()


def test_scores_come_back(triton: TritonClient) -> None:
    model = triton.describe(DEMO)
    scores = triton.scores(model, TILE)
    assert scores.shape == (8, 8, 16, 8)
    assert (scores.argmax(0) == 2).all()


def test_messages_may_be_larger_than_grpc_allows_by_default(triton: TritonClient) -> None:
    assert triton.scores(triton.describe(DEMO), np.zeros((64, 64, 64), np.float32)).nbytes > 4 << 20


def test_a_model_that_is_still_loading_is_waited_for(peer: Peer, triton: TritonClient) -> None:
    peer.ready_after = time.monotonic() + 0.3
    assert triton.describe(DEMO).name == DEMO


def test_a_model_that_is_not_there_is_named(triton: TritonClient) -> None:
    with pytest.raises(ModelUnavailable, match=r"model 'liver'.*--model"):
        triton.describe("liver")


def test_a_model_without_a_description_is_refused(peer: Peer, triton: TritonClient) -> None:
    del peer.config.parameters["clara.labels"]
    with pytest.raises(ModelNotDescribed, match=r"clara\.labels"):
        triton.describe(DEMO)


@pytest.mark.parametrize("failure", [UNHEALTHY, (grpc.StatusCode.UNAVAILABLE, "gone")])
def test_what_passes_is_tried_again(peer: Peer, triton: TritonClient, failure: Any) -> None:
    model = triton.describe(DEMO)
    peer.failures = [failure, failure]
    assert (triton.scores(model, TILE).argmax(0) == 2).all()
    assert peer.calls == 3


def test_trying_again_has_an_end(peer: Peer, triton: TritonClient) -> None:
    model = triton.describe(DEMO)
    peer.failures = [UNHEALTHY] * 9
    with pytest.raises(TritonUnavailable, match="not healthy"):
        triton.scores(model, TILE)
    assert peer.calls == 3


def test_an_error_of_the_model_is_not_tried_again(peer: Peer, triton: TritonClient) -> None:
    model = triton.describe(DEMO)
    peer.failures = [(grpc.StatusCode.INTERNAL, "shape (9, 9, 9): multiples of 8")]
    with pytest.raises(InferenceFailed, match="multiples of 8"):
        triton.scores(model, TILE)
    assert peer.calls == 1


@pytest.mark.parametrize(("fill", "channels"), [(np.nan, 8), (np.inf, 8), (1.0, 5)])
def test_an_answer_that_cannot_be_right_is_refused(
    peer: Peer, triton: TritonClient, fill: float, channels: int
) -> None:
    model = triton.describe(DEMO)
    peer.fill, peer.channels = fill, channels
    with pytest.raises(InferenceFailed, match="expected finite numbers"):
        triton.scores(model, TILE)


def test_nobody_there(unused_port: int) -> None:
    started = time.monotonic()
    with (
        TritonClient(f"127.0.0.1:{unused_port}", patience=0.5) as nobody,
        pytest.raises(TritonUnavailable, match=f"no Triton at 127.0.0.1:{unused_port} after 0.5 s"),
    ):
        nobody.describe(DEMO)
    assert time.monotonic() - started < 5
    assert TritonUnavailable.exit_code == 1


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
    return port


def test_the_address_comes_from_the_environment() -> None:
    assert triton_address({"CLARA_TRITON_GRPC": "triton:8001"}) == "triton:8001"
    with pytest.raises(TritonUnavailable, match="CLARA_TRITON_GRPC is not set"):
        triton_address({})


@pytest.mark.parametrize("address", ["http://triton:8000", "triton", "triton:grpc", ""])
def test_an_address_of_another_form_is_refused(address: str) -> None:
    with pytest.raises(TritonUnavailable, match="must be host:port"):
        TritonClient(address, patience=1)
