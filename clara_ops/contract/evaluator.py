"""Rules over attributes, in three-valued (Kleene) logic: a missing attribute makes a rule neither true nor false.

A rule is `{attribute, op, value}`, or `{all: [...]}`, `{any: [...]}`, `{not: rule}`. The listener's rules and the
workflows' `accepts` and `when` use the same evaluator.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clara_ops.contract.errors import BadInput


class RuleError(BadInput, ValueError):
    """A rule that cannot be read."""


@dataclass(frozen=True)
class Verdict:
    """`value` is True, False, or None where an attribute is missing; `reason` is a sentence for a person."""

    value: bool | None
    reason: str


def _as_number(value: Any) -> float | None:
    """A number, or text that is one; None for everything else, truth values and NaN among it."""
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return None if math.isnan(number) else number


def _number(test: Callable[[float, float], bool]) -> Callable[[Any, Any], bool | None]:
    def compare(found: Any, wanted: Any) -> bool | None:
        left, right = _as_number(found), _as_number(wanted)
        return None if left is None or right is None else test(left, right)

    return compare


def _as_text(value: Any) -> str:
    return str(value).strip().casefold()


def _equal(found: Any, wanted: Any) -> bool:
    """Equal as text, in any case; where one of the two is a number, equal as numbers too: 2 is 2.0."""
    if _as_text(found) == _as_text(wanted):
        return True
    number = _as_number(found)
    plain = isinstance(found, (int, float)) or isinstance(wanted, (int, float))
    return plain and number is not None and number == _as_number(wanted)


_NUMERIC = frozenset({"lt", "le", "gt", "ge"})
_OPERATORS: Mapping[str, Callable[[Any, Any], bool | None]] = {
    "eq": _equal,
    "ne": lambda found, wanted: not _equal(found, wanted),
    "lt": _number(lambda a, b: a < b),
    "le": _number(lambda a, b: a <= b),
    "gt": _number(lambda a, b: a > b),
    "ge": _number(lambda a, b: a >= b),
    "in": lambda found, wanted: any(_equal(found, item) for item in wanted),
    "contains": lambda found, wanted: _as_text(wanted) in _as_text(found),
    "matches": lambda found, wanted: re.search(str(wanted), str(found), re.IGNORECASE) is not None,
}
OPERATORS: Mapping[str, str] = {
    "eq": "equal, as text in any case or as numbers",
    "ne": "not equal",
    "lt": "a smaller number",
    "le": "a smaller number, or the same",
    "gt": "a larger number",
    "ge": "a larger number, or the same",
    "in": "equal to one of a list",
    "contains": "text that holds this text, in any case",
    "matches": "text in which this regular expression is found, in any case",
    "exists": "`true`: the attribute has to be there; `false`: it must not. The one operator that is never undecided",
}
"""What a rule may compare with, and what has to be found for it to hold."""


def evaluate(rule: Mapping[str, Any], attributes: Mapping[str, Any]) -> Verdict:
    """Judge a rule over attributes.

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
    if not isinstance(rule["attribute"], str) or not rule["attribute"]:
        raise RuleError(f"{where}.attribute: expected the name of an attribute, found {rule['attribute']!r}")
    if not isinstance(operator, str) or operator not in OPERATORS:
        raise RuleError(f"{where}.op: {operator!r} is not one of {', '.join(OPERATORS)}")
    wanted = _wanted(operator, value)
    if wanted is not None:
        raise RuleError(f"{where}.value: {operator!r} needs {wanted}, found {value!r}")
    if operator == "matches":
        _check_expression(value, where)


def _wanted(operator: str, value: object) -> str | None:
    """What the operator needs instead of this value; None where the value will do."""
    plain = isinstance(value, (str, int, float))
    if operator == "in":
        is_list = isinstance(value, Sequence) and not isinstance(value, str)
        return None if is_list and value else "a list, not empty"
    if operator == "exists":
        return None if isinstance(value, bool) else "true or false"
    if operator in _NUMERIC:
        return "a number" if _as_number(value) is None else None
    if operator in ("contains", "matches"):
        return None if plain and str(value) else "text, not empty"
    return None if plain else "text, a number, true or false"


def _check_expression(value: object, where: str) -> None:
    try:
        re.compile(str(value))
    except (re.error, RecursionError, OverflowError) as error:
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
        return Verdict(None, f"{attribute} is {found!r}, which is not a number")
    return Verdict(value, f"{attribute} is {found!r}, {'as' if value else 'not'} {operator} {wanted!r}")
