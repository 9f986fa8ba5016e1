"""What a workflow accepts: each key of `accepts` against facts that fit, do not fit, and are missing."""

from typing import Any

import pytest

from clara_ops.contract.conf import FACTS
from clara_ops.contract.evaluator import attributes_of, check_rule, evaluate
from clara_ops.workflow.acceptance import accepts_rule
from clara_ops.workflow.model import Accepts

TABLE: list[tuple[dict[str, Any], dict[str, Any], bool | None, str]] = [
    ({"modality": "CT"}, {"modality": "CT"}, True, "modality is 'CT'"),
    ({"modality": "CT"}, {"modality": "MR"}, False, "modality is 'MR', not in ['CT']"),
    ({"modality": "CT"}, {}, None, "modality is missing"),
    ({"modality": ["CT", "MR"]}, {"modality": "mr"}, True, "modality is 'mr'"),
    ({"bodyPart": "ABDOMEN"}, {"body_part": "Abdomen"}, True, "body_part is 'Abdomen'"),
    ({"bodyPart": ["ABDOMEN", "CHEST"]}, {"body_part": "LEG"}, False, "body_part is 'LEG'"),
    ({"bodyPart": "ABDOMEN"}, {"body_part": ""}, None, "body_part is missing"),
    ({"orientation": "axial"}, {"orientation": "axial"}, True, "orientation is 'axial'"),
    ({"orientation": ["axial", "coronal"]}, {"orientation": "oblique"}, False, "orientation is 'oblique'"),
    ({"orientation": "axial"}, {}, None, "orientation is missing"),
    ({"minimumInstances": 20}, {"instances": 20}, True, "instances is 20"),
    ({"minimumInstances": 20}, {"instances": 19}, False, "instances is 19, not ge 20"),
    ({"minimumInstances": 20}, {}, None, "instances is missing"),
    ({"complete": True}, {"complete": True}, True, "complete is True"),
    ({"complete": True}, {"complete": False}, False, "complete is False"),
    ({"complete": True}, {}, None, "complete is missing"),
    ({"modality": "CT", "complete": True}, {"modality": "MR"}, False, "modality is 'MR', not in ['CT']"),
    ({"modality": "CT", "complete": True}, {"modality": "CT"}, None, "complete is missing"),
    ({"rule": {"attribute": "instances", "op": "lt", "value": 5}}, {"instances": 4}, True, "instances is 4"),
]


@pytest.mark.parametrize(("accepts", "facts", "value", "reason"), TABLE)
def test_what_is_accepted(accepts: dict[str, Any], facts: dict[str, Any], value: bool | None, reason: str) -> None:
    rule = accepts_rule(Accepts.model_validate(accepts))
    assert rule is not None
    check_rule(rule)
    assert attributes_of(rule) <= set(FACTS)
    verdict = evaluate(rule, facts)
    assert verdict.value is value
    assert reason in verdict.reason


def test_without_keys_everything_is_accepted() -> None:
    assert accepts_rule(Accepts()) is None
    assert accepts_rule(Accepts(complete=False)) is None
