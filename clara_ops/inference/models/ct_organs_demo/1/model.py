"""Triton python-backend model: the network beside this file, run by OpenVINO on the CPU.

Runs in the environment of the Triton server, not in ours: numpy older than 2, and nothing of `clara_ops`.
"""

from pathlib import Path
from typing import Any

import triton_python_backend_utils as triton


class TritonPythonModel:
    """Named and shaped as Triton's python backend asks."""

    def initialize(self, args: dict[str, str]) -> None:
        """Compile the network.

        In float32 although newer CPUs could use bfloat16: the same volume gives the same labels on every machine.
        """
        # Imported here and not above: Triton imports this file once more, only to complete the configuration.
        import openvino

        network = Path(args["model_repository"]) / args["model_version"] / "model.onnx"
        precision = {"INFERENCE_PRECISION_HINT": "f32"}
        self._network = openvino.Core().compile_model(network, "CPU", precision)

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer each request: `hu` [1, 1, x, y, z] in HU gives `logits` [1, 8, x, y, z]."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        hounsfield = triton.get_input_tensor_by_name(request, "hu").as_numpy()
        if any(extent == 0 or extent % 8 for extent in hounsfield.shape[2:]):
            reason = f"shape {hounsfield.shape[2:]}: every extent has to be a multiple of 8; pad with -1000 HU"
            return triton.InferenceResponse(error=triton.TritonError(reason))
        return triton.InferenceResponse([triton.Tensor("logits", self._network(hounsfield)[0])])
