"""The model that comes with us describes itself, in codes that DICOM knows."""

from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format, text_format
from pydicom.sr.codedict import codes
from tritonclient.grpc import model_config_pb2

from clara_ops.inference.command import MODELS
from clara_ops.inference.description import describe
from clara_ops.inference.errors import ModelNotDescribed


def configuration(path: Path) -> dict[str, Any]:
    """A config.pbtxt as Triton hands it out, read by Triton's own definition of it."""
    config = text_format.Parse(path.read_text(), model_config_pb2.ModelConfig())
    return dict(json_format.MessageToDict(config, preserving_proto_field_name=True))


DEMO = configuration(MODELS / "ct_organs_demo" / "config.pbtxt")


def test_the_demo_model_says_what_it_takes() -> None:
    model = describe(DEMO, "demo")
    assert (model.input.modality, model.input.axes, model.input.spacing_mm) == ("CT", "RAS", 3.0)
    assert (model.input_name, model.output_name, model.channels) == ("hu", "logits", 8)
    assert [label.value for label in model.labels.labels] == [1, 2, 3, 4, 5, 6, 7]


def test_its_codes_are_those_of_the_standard() -> None:
    """Categories are in CID 7150, types in CID 7151 or 7166 (DICOM PS3.16), each with its own meaning."""
    known = {
        context: {(code.value, code.scheme_designator): code.meaning for code in codes_of(context)}
        for context in ("cid7150", "cid7151", "cid7166")
    }
    for label in describe(DEMO, "demo").labels.labels:
        assert known["cid7150"][(label.category.value, label.category.scheme)] == label.category.meaning
        types = known["cid7151"] | known["cid7166"]
        assert types[(label.type.value, label.type.scheme)] == label.type.meaning


def codes_of(context: str) -> list[Any]:
    collection = getattr(codes, context)
    return [getattr(collection, keyword) for keyword in collection.dir()]


def without(key: str) -> dict[str, Any]:
    return {**DEMO, "parameters": {name: value for name, value in DEMO["parameters"].items() if name != key}}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (without("clara.labels"), "says no clara.labels"),
        (without("clara.input"), "says no clara.input"),
        ({**DEMO, "parameters": DEMO["parameters"] | {"clara.input": {"string_value": "{"}}}, "not JSON"),
        ({**DEMO, "parameters": DEMO["parameters"] | {"clara.input": {"string_value": '{"version": 1}'}}}, "modality"),
        ({**DEMO, "output": [{"name": "logits", "dims": ["3", "-1"]}]}, "has value 3"),
        ({**DEMO, "output": []}, "1 inputs and 0 outputs"),
    ],
)
def test_a_model_that_does_not_is_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelNotDescribed, match=message) as caught:
        describe(config, "model 'x' at host:1")
    assert "model 'x' at host:1" in str(caught.value)
