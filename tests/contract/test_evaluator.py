"""Three-valued rules: a missing attribute is neither a match nor silently false."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clara_ops.contract.evaluator import OPERATORS, RuleError, check_rule, evaluate

FACTS = {"modality": "CT", "instances": 20, "body_part": "", "complete": True, "description": "Abdomen 2.0 B30f"}
FACTS |= {"spacing": float("nan"), "version": "1.10"}


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
        (rule("instances", "eq", 20.0), True),
        (rule("instances", "ne", "20.0"), False),
        (rule("instances", "in", [10, 20.0]), True),
        (rule("description", "gt", 2), None),
        (rule("complete", "ge", 1), None),
        (rule("spacing", "gt", 2), None),
        (rule("version", "eq", "1.1"), False),
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


YES, NO, UNKNOWN = rule("modality", "eq", "CT"), rule("modality", "eq", "MR"), rule("orientation", "eq", "axial")
WITH_ALL = """
    yes      no       unknown
yes yes      no       unknown
no  no       no       no
unknown unknown no    unknown
"""
WITH_ANY = """
    yes      no       unknown
yes yes      yes      yes
no  yes      no       unknown
unknown yes  unknown  unknown
"""
WORDS = {"yes": (YES, True), "no": (NO, False), "unknown": (UNKNOWN, None)}


def rows(key: str, table: str) -> list[tuple[str, str, str, str]]:
    head, *lines = [line.split() for line in table.strip().splitlines()]
    return [(key, left, right, both) for left, *verdicts in lines for right, both in zip(head, verdicts, strict=True)]


@pytest.mark.parametrize(("key", "left", "right", "both"), [*rows("all", WITH_ALL), *rows("any", WITH_ANY)])
def test_the_tables_of_kleene_s_logic(key: str, left: str, right: str, both: str) -> None:
    """S. C. Kleene, Introduction to Metamathematics (1952), section 64."""
    verdict = evaluate({key: [WORDS[left][0], WORDS[right][0]]}, FACTS)
    assert verdict.value is WORDS[both][1]
    assert verdict.reason


@pytest.mark.parametrize(("inner", "outer"), [("yes", "no"), ("no", "yes"), ("unknown", "unknown")])
def test_not(inner: str, outer: str) -> None:
    assert evaluate({"not": WORDS[inner][0]}, FACTS).value is WORDS[outer][1]


OPERANDS = {"in": ["x"], "exists": True, "matches": "x", "contains": "x", "eq": "x", "ne": "x"}


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("found", [{}, {"it": None}, {"it": ""}])
def test_no_operator_takes_what_is_missing_for_a_match_or_for_none(operator: str, found: dict) -> None:
    verdict = evaluate(rule("it", operator, OPERANDS.get(operator, 1)), found)
    assert verdict.value is (False if operator == "exists" else None)
    assert verdict.reason == "it is missing"


def test_the_reason_names_what_decided() -> None:
    tested = {"all": [rule("modality", "eq", "MR"), rule("instances", "ge", 2)]}
    assert evaluate(tested, FACTS).reason == "modality is 'CT', not eq 'MR'"
    assert evaluate(rule("orientation", "eq", "axial"), FACTS).reason == "orientation is missing"


@pytest.mark.parametrize(
    ("tested", "complaint"),
    [
        ("modality", "expected a mapping"),
        ({}, "one of all, any, not; found"),
        (rule(["a"], "eq", 1), "rule.attribute: expected the name of an attribute"),
        (rule("", "eq", 1), "rule.attribute"),
        (rule("a", ["eq"], 1), "rule.op"),
        (rule("a", "gt", "many"), "'gt' needs a number, found 'many'"),
        (rule("a", "gt", True), "'gt' needs a number"),
        (rule("a", "eq", None), "'eq' needs text, a number, true or false"),
        (rule("a", "eq", ["CT"]), "'eq' needs text"),
        (rule("a", "in", []), "'in' needs a list, not empty"),
        (rule("a", "contains", ""), "'contains' needs text, not empty"),
        (rule("a", "exists", "yes"), "'exists' needs true or false"),
        (rule("a", "matches", "(" * 5000 + ")" * 5000), "not a regular expression"),
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
