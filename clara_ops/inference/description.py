"""What a model says of itself in its configuration (`parameters` of config.pbtxt), for any client to use it rightly."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from clara_ops.contract.documents import from_json
from clara_ops.contract.errors import DocumentError
from clara_ops.contract.labels import LabelTable
from clara_ops.inference.errors import ModelNotDescribed

INPUT_PARAMETER = "clara.input"
LABELS_PARAMETER = "clara.labels"


@dataclass(frozen=True)
class InputDescription:
    """The volume that a model takes: float32 [1, 1, x, y, z].

    Attributes:
        modality: as DICOM has it; a CT is in HU.
        axes: where the three axes point, in the letters of nibabel: `RAS` is to the right, anterior, superior.
        spacing_mm: of its isotropic grid.
        multiple_of: every extent has to be a multiple of this.
        outside: value of what lies outside of the volume.
        largest_tile: voxels along an edge; more than its cube at once would take too much memory.
    """

    DOCUMENT_VERSION: ClassVar[int] = 1

    modality: str
    axes: str
    spacing_mm: float
    multiple_of: int
    outside: float
    largest_tile: int


@dataclass(frozen=True)
class ModelDescription:
    """A segmentation network: one input, one output with a channel for background and one for each label.

    Attributes:
        input_name: tensor that takes the volume.
        output_name: tensor [1, channels, x, y, z] of scores, float32; the largest wins.
        labels: what the channels mean, counted from 0 (background).
    """

    name: str
    input_name: str
    output_name: str
    channels: int
    input: InputDescription
    labels: LabelTable


def describe(config: Mapping[str, Any], where: str) -> ModelDescription:
    """Read a model's description.

    Args:
        config: the model's configuration as Triton gives it in JSON.
        where: address and model, for messages.

    Raises:
        ModelNotDescribed: a parameter is missing or wrong, or the tensors are not those of a segmentation network.
    """
    inputs, outputs = config.get("input", []), config.get("output", [])
    if len(inputs) != 1 or len(outputs) != 1:
        raise ModelNotDescribed(
            f"{where}: has {len(inputs)} inputs and {len(outputs)} outputs, expected one each: "
            "wrap the network so that it takes a volume and gives scores"
        )
    labels = _parameter(LabelTable, LABELS_PARAMETER, config, where)
    channels = int(outputs[0]["dims"][0])
    if beyond := [label for label in labels.labels if not 0 < label.value < channels]:
        raise ModelNotDescribed(
            f"{where}: label {beyond[0].name!r} has value {beyond[0].value}, but output {outputs[0]['name']!r} has "
            f"the channels 0 to {channels - 1}: correct parameter {LABELS_PARAMETER}"
        )
    return ModelDescription(
        name=config["name"],
        input_name=inputs[0]["name"],
        output_name=outputs[0]["name"],
        channels=channels,
        input=_parameter(InputDescription, INPUT_PARAMETER, config, where),
        labels=labels,
    )


def _parameter(kind: Any, key: str, config: Mapping[str, Any], where: str) -> Any:
    text = config.get("parameters", {}).get(key, {}).get("string_value")
    if text is None:
        raise ModelNotDescribed(f"{where}: says no {key}; add this parameter to the model's config.pbtxt")
    try:
        return from_json(kind, json.loads(text), f"{where}: parameter {key}")
    except json.JSONDecodeError as error:
        raise ModelNotDescribed(f"{where}: parameter {key} is not JSON: {error}; correct config.pbtxt") from error
    except DocumentError as error:
        raise ModelNotDescribed(f"{error}; correct config.pbtxt") from error
