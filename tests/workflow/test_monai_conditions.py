"""Conditions of MONAI Deploy's workflow manager as rules; the examples are those of its guidelines."""

from typing import Any

import pytest

from clara_ops.contract.evaluator import check_rule
from clara_ops.workflow.importing.monai_condition import ConditionError, rule_of

STAGES = {"body_part_identifier": "body-part", "t": "t"}
MODALITY = "{{ context.dicom.series.any('0008','0060') }}"
RESULT = "{{ context.executions.body_part_identifier.result.body_part }}"


def rule(attribute: str, op: str, value: Any) -> dict[str, Any]:
    return {"attribute": attribute, "op": op, "value": value}


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (f"{MODALITY} == 'CT'", rule("modality", "eq", "CT")),
        (f"'CT' == {MODALITY}", rule("modality", "eq", "CT")),
        (f"{MODALITY} == CT", rule("modality", "eq", "CT")),
        ("{{context.dicom.series.all('0018', '0015')}} != 'LEG'", rule("body_part", "ne", "LEG")),
        (f"{RESULT} == 'leg'", rule("body-part.body_part", "eq", "leg")),
        (f"{RESULT} == NULL", rule("body-part.body_part", "exists", False)),
        (f"{RESULT} != null", rule("body-part.body_part", "exists", True)),
        (f"{RESULT} > '5'", rule("body-part.body_part", "gt", 5)),
        (f"'5' => {RESULT}", rule("body-part.body_part", "le", 5)),
        (f"{RESULT} =< '-2.5'", rule("body-part.body_part", "le", -2.5)),
        (f"{RESULT} CONTAINS ['arm', 'leg']", rule("body-part.body_part", "in", ["arm", "leg"])),
        (f"[“arm”, “leg”] contains {RESULT}", rule("body-part.body_part", "in", ["arm", "leg"])),
        (f"{RESULT} CONTAINS 'No dicom files'", rule("body-part.body_part", "contains", "No dicom files")),
        (f"{RESULT} not_contains 'x'", {"not": rule("body-part.body_part", "contains", "x")}),
        (
            f"{MODALITY} == 'CT' AND ({RESULT} == 'arm' OR {RESULT} == 'leg')",
            {
                "all": [
                    rule("modality", "eq", "CT"),
                    {"any": [rule("body-part.body_part", "eq", "arm"), rule("body-part.body_part", "eq", "leg")]},
                ]
            },
        ),
        (
            f"{MODALITY} == 'CT' && {RESULT} == 'a' || {MODALITY} == 'MR'",
            {
                "any": [
                    {"all": [rule("modality", "eq", "CT"), rule("body-part.body_part", "eq", "a")]},
                    rule("modality", "eq", "MR"),
                ]
            },
        ),
        ("{{ context.executions.body_part_identifier.status }} == 'Succeeded'", None),
        (
            "{{ context.executions.t.status }} == 'Succeeded' AND {{ context.executions.t.result.a }} == 1",
            rule("t.a", "eq", "1"),
        ),
    ],
)
def test_what_a_condition_becomes(condition: str, expected: dict[str, Any] | None) -> None:
    converted = rule_of(condition, STAGES)
    assert converted.rule == expected
    assert converted.lost == ()
    if expected is not None:
        check_rule(expected)


@pytest.mark.parametrize(
    ("condition", "kept", "lost"),
    [
        ("{{ context.dicom.series.any('0018','0050') }} < '5'", None, "DICOM attribute (0018,0050) is no fact here"),
        ("{{ context.input.patient_details.sex }} == 'F'", None, "context.input.patient_details.sex is no fact here"),
        ("{{ context.executions.x.result.a }} == 1", None, "task 'x' is no stage here"),
        ("{{ context.executions.t.status }} == 'Failed'", None, "a stage waits for the success"),
        ("'a' == 'a'", None, "one side has to be a '{{ context... }}'"),
        (f"{MODALITY} > 'lucy'", None, "'lucy' is not a number"),
        (f"{MODALITY} > NULL", None, "NULL can only be asked for"),
        (f"{MODALITY} CONTAINS []", None, "CONTAINS needs"),
        (
            f"{MODALITY} == 'CT' AND {{{{ context.workflow.name }}}} == 'w'",
            rule("modality", "eq", "CT"),
            "context.workflow.name is no fact here",
        ),
        (
            f"{MODALITY} == 'CT' OR {{{{ context.workflow.name }}}} == 'w'",
            None,
            "context.workflow.name is no fact here",
        ),
    ],
)
def test_what_is_lost_is_told_and_the_rest_of_an_and_kept(condition: str, kept: Any, lost: str) -> None:
    converted = rule_of(condition, STAGES)
    assert converted.rule == kept
    (reason,) = converted.lost
    assert lost in reason


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("", "ends where a value should be"),
        (f"{MODALITY} ==", "ends where a value should be"),
        (f"{MODALITY} 'CT' 'MR'", "is no operator"),
        (f"{MODALITY} == 'CT' == 'MR'", "cannot be read from"),
        (f"({MODALITY} == 'CT'", "not closed"),
        (f"{MODALITY} CONTAINS ['a'", "ends where the end of a list"),
        ("{{ context", "cannot be read from"),
        ("(" * 500, "deeper than"),
        (f"{MODALITY} == )", "is no value"),
    ],
)
def test_what_cannot_be_read(condition: str, words: str) -> None:
    with pytest.raises(ConditionError, match=words):
        rule_of(condition, STAGES)
