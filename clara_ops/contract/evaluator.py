"""Rules over attributes, in three-valued (Kleene) logic: a missing attribute makes a rule neither true nor false.

A rule is `{attribute, op, value}`, or `{all: [...]}`, `{any: [...]}`, `{not: rule}`. The listener's rules and the
workflows' `accepts` and `when` use the same evaluator.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clara_ops.contract.errors import ClaraError


class RuleError(ClaraError, ValueError):
    """A rule that cannot be read."""


@dataclass(frozen=True)
class Verdict:
    """`value` is True, False, or None where an attribute is missing; `reason` is a sentence for a person."""

    value: bool | None
    reason: str


def _number(test: Callable[[float, float], bool]) -> Callable[[Any, Any], bool | None]:
    def compare(found: Any, wanted: Any) -> bool | None:
        try:
            return test(float(found), float(wanted))
        except (TypeError, ValueError):
            return None

    return compare


def _as_text(value: Any) -> str:
    return str(value).strip().casefold()


_OPERATORS: Mapping[str, Callable[[Any, Any], bool | None]] = {
    "eq": lambda found, wanted: _as_text(found) == _as_text(wanted),
    "ne": lambda found, wanted: _as_text(found) != _as_text(wanted),
    "lt": _number(lambda a, b: a < b),
    "le": _number(lambda a, b: a <= b),
    "gt": _number(lambda a, b: a > b),
    "ge": _number(lambda a, b: a >= b),
    "in": lambda found, wanted: _as_text(found) in {_as_text(item) for item in wanted},
    "contains": lambda found, wanted: _as_text(wanted) in _as_text(found),
    "matches": lambda found, wanted: re.search(str(wanted), str(found), re.IGNORECASE) is not None,
}


def evaluate(rule: Mapping[str, Any], attributes: Mapping[str, Any]) -> Verdict:
    """Judge a rule over attributes.

    `exists` is the one operator that is never undecided: its value says whether the attribute has to be there.

    Raises:
        RuleError: the rule has an unknown key or operator, or a value of the wrong kind.
    """
    check_rule(rule)
    return _evaluate(rule, attributes)


def check_rule(rule: object, where: str = "rule") -> None:
    """Refuse a rule that could not be evaluated.

    Raises:
        RuleError: with the path to the part that is wrong.
    """
    if not isinstance(rule, Mapping):
        raise RuleError(f"{where}: expected a mapping, found {rule!r}")
    keys = set(rule)
    if keys in ({"all"}, {"any"}):
        (key,) = keys
        parts = rule[key]
        if not isinstance(parts, Sequence) or isinstance(parts, str) or not parts:
            raise RuleError(f"{where}.{key}: expected a list of rules, not empty")
        for index, part in enumerate(parts):
            check_rule(part, f"{where}.{key}[{index}]")
    elif keys == {"not"}:
        check_rule(rule["not"], f"{where}.not")
    elif keys == {"attribute", "op", "value"}:
        _check_comparison(rule, where)
    else:
        raise RuleError(
            f"{where}: expected attribute, op and value, or one of all, any, not; found {sorted(map(str, keys))}"
        )


def attributes_of(rule: Mapping[str, Any]) -> frozenset[str]:
    """All attributes that a rule asks for."""
    if "attribute" in rule:
        return frozenset({str(rule["attribute"])})
    parts = rule.get("all") or rule.get("any") or [rule["not"]]
    return frozenset().union(*(attributes_of(part) for part in parts))


def _check_comparison(rule: Mapping[str, Any], where: str) -> None:
    operator, value = rule["op"], rule["value"]
    if operator != "exists" and operator not in _OPERATORS:
        raise RuleError(f"{where}.op: {operator!r} is not one of {', '.join([*_OPERATORS, 'exists'])}")
    if operator == "in" and (not isinstance(value, Sequence) or isinstance(value, str)):
        raise RuleError(f"{where}.value: 'in' needs a list, found {value!r}")
    if operator == "matches":
        try:
            re.compile(str(value))
        except re.error as error:
            raise RuleError(f"{where}.value: not a regular expression: {error}") from error


def _evaluate(rule: Mapping[str, Any], attributes: Mapping[str, Any]) -> Verdict:
    if "all" in rule:
        return _combine([_evaluate(part, attributes) for part in rule["all"]], decisive=False, joint=" and ")
    if "any" in rule:
        return _combine([_evaluate(part, attributes) for part in rule["any"]], decisive=True, joint=" or ")
    if "not" in rule:
        inner = _evaluate(rule["not"], attributes)
        return Verdict(None if inner.value is None else not inner.value, f"not ({inner.reason})")
    return _compare(rule["attribute"], rule["op"], rule["value"], attributes)


def _combine(verdicts: Sequence[Verdict], *, decisive: bool, joint: str) -> Verdict:
    deciding = [verdict for verdict in verdicts if verdict.value is decisive]
    if deciding:
        return Verdict(decisive, joint.join(verdict.reason for verdict in deciding))
    undecided = [verdict for verdict in verdicts if verdict.value is None]
    if undecided:
        return Verdict(None, joint.join(verdict.reason for verdict in undecided))
    return Verdict(not decisive, joint.join(verdict.reason for verdict in verdicts))


def _compare(attribute: str, operator: str, wanted: Any, attributes: Mapping[str, Any]) -> Verdict:
    found = attributes.get(attribute)
    missing = found is None or found == ""
    if operator == "exists":
        return Verdict(missing is not bool(wanted), f"{attribute} is {'missing' if missing else 'there'}")
    if missing:
        return Verdict(None, f"{attribute} is missing")
    value = _OPERATORS[operator](found, wanted)
    if value is None:
        return Verdict(None, f"{attribute} is {found!r}, not a number")
    return Verdict(value, f"{attribute} is {found!r}, {'as' if value else 'not'} {operator} {wanted!r}")
