"""Three-valued rules: a missing attribute is neither a match nor silently false."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clara_ops.contract.evaluator import RuleError, check_rule, evaluate

FACTS = {"modality": "CT", "instances": 20, "body_part": "", "complete": True, "description": "Abdomen 2.0 B30f"}


def rule(attribute: str, op: str, value: object) -> dict[str, object]:
    return {"attribute": attribute, "op": op, "value": value}


@pytest.mark.parametrize(
    ("tested", "value"),
    [
        (rule("modality", "eq", "ct"), True),
        (rule("modality", "ne", "CT"), False),
        (rule("modality", "in", ["MR", "CT"]), True),
        (rule("instances", "ge", 2), True),
        (rule("instances", "lt", "20"), False),
        (rule("instances", "gt", "many"), None),
        (rule("complete", "eq", True), True),
        (rule("description", "contains", "b30"), True),
        (rule("description", "matches", r"^abdomen \d"), True),
        (rule("body_part", "eq", "ABDOMEN"), None),
        (rule("orientation", "eq", "axial"), None),
        (rule("orientation", "exists", True), False),
        (rule("orientation", "exists", False), True),
        ({"not": rule("orientation", "eq", "axial")}, None),
        ({"all": [rule("modality", "eq", "CT"), rule("orientation", "eq", "axial")]}, None),
        ({"all": [rule("modality", "eq", "MR"), rule("orientation", "eq", "axial")]}, False),
        ({"any": [rule("modality", "eq", "CT"), rule("orientation", "eq", "axial")]}, True),
        ({"any": [rule("modality", "eq", "MR"), rule("orientation", "eq", "axial")]}, None),
    ],
)
def test_verdicts(tested: dict, value: bool | None) -> None:
    assert evaluate(tested, FACTS).value is value


def test_the_reason_names_what_decided() -> None:
    tested = {"all": [rule("modality", "eq", "MR"), rule("instances", "ge", 2)]}
    assert evaluate(tested, FACTS).reason == "modality is 'CT', not eq 'MR'"
    assert evaluate(rule("orientation", "eq", "axial"), FACTS).reason == "orientation is missing"


@pytest.mark.parametrize(
    ("tested", "complaint"),
    [
        ("modality", "expected a mapping"),
        ({"all": []}, "rule.all"),
        ({"any": [rule("a", "eq", 1), {"attribute": "b"}]}, r"rule\.any\[1\]"),
        (rule("a", "like", 1), "'like' is not one of"),
        (rule("a", "in", "CT"), "'in' needs a list"),
        (rule("a", "matches", "("), "not a regular expression"),
        ({"all": [rule("a", "eq", 1)], "any": [rule("a", "eq", 1)]}, "one of all, any, not"),
    ],
)
def test_rules_that_cannot_be_read(tested: object, complaint: str) -> None:
    with pytest.raises(RuleError, match=complaint):
        check_rule(tested)


LEAVES = st.sampled_from([rule("yes", "eq", 1), rule("yes", "eq", 2), rule("missing", "eq", 1)])
RULES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda parts: {"all": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda parts: {"any": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda part: {"not": part}, inner),
    ),
    max_leaves=8,
)


@given(RULES)
def test_learning_a_missing_attribute_never_turns_a_verdict_around(tested: dict) -> None:
    before = evaluate(tested, {"yes": 1}).value
    for learnt in (1, 2):
        after = evaluate(tested, {"yes": 1, "missing": learnt}).value
        assert after is not None
        assert before is None or before is after
