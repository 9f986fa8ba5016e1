"""Conditions of MONAI Deploy's workflow manager as rules of ours (its guidelines, mwm-conditionals.md).

condition  = and { OR and }            and = term { AND term }
term       = "(" condition ")" | operand operator operand
operand    = '{{ context... }}' | 'text' | ['text', ...] | word
"""

import re
from dataclasses import dataclass
from typing import Any

Rule = dict[str, Any]

_TOKEN = re.compile(
    r"""\s*(?:
    (?P<context>\{\{.*?\}\}) |
    (?P<text>'[^']*'|"[^"]*"|‘[^’]*’|“[^”]*”) |
    (?P<op>==|!=|>=|<=|=>|=<|<|>|&&|\|\||[()\[\],]) |
    (?P<word>[^\s()\[\],'"<>=!&|{}]+)
    )""",
    re.VERBOSE,
)
_COMPARISONS = {"==": "eq", "!=": "ne", ">": "gt", "<": "lt", ">=": "ge", "=>": "ge", "<=": "le", "=<": "le"}
_MIRRORED = {"gt": "lt", "lt": "gt", "ge": "le", "le": "ge"}
_TAG = re.compile(r"context\.dicom\.series\.(?:any|all)\(\s*['\"](\w{4})['\"]\s*,\s*['\"](\w{4})['\"]\s*\)")
_RESULT = re.compile(r"context\.executions\.([\w-]+)\.results?\.([\w.-]+)")
_STATUS = re.compile(r"context\.executions\.([\w-]+)\.status")
_FACTS_OF_TAGS = {("0008", "0060"): "modality", ("0018", "0015"): "body_part"}
_MAX_DEPTH = 20


class ConditionError(ValueError):
    """A condition that cannot be read."""


class _NoCounterpart(ConditionError):
    """A comparison that was read, but that no rule here can say."""


@dataclass(frozen=True)
class Converted:
    """What a condition means here.

    Attributes:
        rule: None where it always holds.
        lost: why parts of it have no counterpart; without them more is let through.
    """

    rule: Rule | None
    lost: tuple[str, ...]


@dataclass(frozen=True)
class _Attribute:
    """Something that a rule can ask for."""

    name: str


@dataclass(frozen=True)
class _Unknown:
    """Something that it cannot ask for, and why."""

    reason: str


@dataclass(frozen=True)
class _Success:
    """How an earlier task ended: here a stage waits for success only."""


@dataclass(frozen=True)
class _Null:
    """The word NULL."""


_Operand = _Attribute | _Unknown | _Success | _Null | str | list[str]


def rule_of(condition: str, stages: dict[str, str]) -> Converted:
    """The rule that a condition stands for.

    Args:
        stages: names of our stages, by task.

    Raises:
        ConditionError: it cannot be read.
    """
    parser = _Parser(_tokens(condition), stages)
    rule = parser.any()
    if parser.left:
        raise ConditionError(f"cannot be read from {parser.left[0][1]!r} on")
    return Converted(rule, tuple(parser.lost))


def joined(key: str, rules: list[Rule]) -> Rule:
    """One rule of several."""
    return rules[0] if len(rules) == 1 else {key: rules}


def _tokens(condition: str) -> list[tuple[str, str]]:
    tokens = []
    position = 0
    text = condition.strip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise ConditionError(f"cannot be read from {text[position : position + 20]!r} on")
        tokens.append((match.lastgroup, match[match.lastgroup]))
        position = match.end()
    return tokens


class _Parser:
    """Takes tokens from the front; `left` are those that were not taken yet."""

    def __init__(self, tokens: list[tuple[str, str]], stages: dict[str, str]) -> None:
        self.left = tokens
        self.lost: list[str] = []
        self._stages = stages
        self._depth = 0

    def any(self) -> Rule | None:
        rules = [self._all()]
        while self._take("or", "||"):
            rules.append(self._all())
        return None if None in rules else joined("any", [rule for rule in rules if rule is not None])

    def _all(self) -> Rule | None:
        rules = [self._kept_term()]
        while self._take("and", "&&"):
            rules.append(self._kept_term())
        kept = [rule for rule in rules if rule is not None]
        return joined("all", kept) if kept else None

    def _kept_term(self) -> Rule | None:
        try:
            return self._term()
        except _NoCounterpart as error:
            self.lost.append(str(error))
            return None

    def _term(self) -> Rule | None:
        if not self._take("("):
            return self._comparison()
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise ConditionError(f"parentheses deeper than {_MAX_DEPTH}")
        rule = self.any()
        if not self._take(")"):
            raise ConditionError("a parenthesis is not closed")
        self._depth -= 1
        return rule

    def _take(self, *words: str) -> bool:
        if self.left and self.left[0][1].lower() in words:
            self.left = self.left[1:]
            return True
        return False

    def _comparison(self) -> Rule | None:
        left, operator, right = self._operand(), self._next("an operator").upper(), self._operand()
        for operand in (left, right):
            if isinstance(operand, _Unknown):
                raise _NoCounterpart(operand.reason)
        if isinstance(left, _Success) or isinstance(right, _Success):
            if operator == "==" and "succeeded" in (str(left).lower(), str(right).lower()):
                return None
            raise _NoCounterpart("a stage waits for the success of those before it, and for nothing else")
        if operator in ("CONTAINS", "NOT_CONTAINS"):
            rule = _contains(left, right)
            return rule if operator == "CONTAINS" else {"not": rule}
        if operator not in _COMPARISONS:
            raise ConditionError(f"{operator!r} is no operator")
        return _compared(_COMPARISONS[operator], left, right)

    def _next(self, wanted: str) -> str:
        if not self.left:
            raise ConditionError(f"it ends where {wanted} should be")
        (_, text), *self.left = self.left
        return text

    def _operand(self) -> _Operand:
        kind = self.left[0][0] if self.left else ""
        text = self._next("a value")
        if kind == "context":
            return self._attribute(text[2:-2].strip())
        if kind == "text":
            return text[1:-1]
        if text == "[":
            return self._list()
        if kind != "word":
            raise ConditionError(f"{text!r} is no value")
        return _Null() if text.upper() == "NULL" else text

    def _list(self) -> list[str]:
        items: list[str] = []
        while not self._take("]"):
            text = self._next("the end of a list")
            if text != ",":
                items.append(text[1:-1] if text[0] in "'\"‘“" else text)
        return items

    def _attribute(self, path: str) -> _Operand:
        """What a `{{ context... }}` stands for here."""
        if tag := _TAG.fullmatch(path):
            fact = _FACTS_OF_TAGS.get((tag[1], tag[2]))
            return _Attribute(fact) if fact else _Unknown(f"DICOM attribute ({tag[1]},{tag[2]}) is no fact here")
        if _STATUS.fullmatch(path):
            return _Success()
        found = _RESULT.fullmatch(path)
        if found is None:
            return _Unknown(f"{path} is no fact here")
        stage = self._stages.get(found[1])
        return _Attribute(f"{stage}.{found[2]}") if stage else _Unknown(f"task {found[1]!r} is no stage here")


def _compared(operator: str, left: _Operand, right: _Operand) -> Rule:
    if not isinstance(left, _Attribute):
        left, right, operator = right, left, _MIRRORED.get(operator, operator)
    if not isinstance(left, _Attribute) or not isinstance(right, (str, _Null)):
        raise _NoCounterpart("one side has to be a '{{ context... }}' and the other a value")
    if isinstance(right, _Null):
        if operator not in ("eq", "ne"):
            raise _NoCounterpart("NULL can only be asked for with == and !=")
        return {"attribute": left.name, "op": "exists", "value": operator == "ne"}
    if operator in _MIRRORED:
        return {"attribute": left.name, "op": operator, "value": _number(right)}
    return {"attribute": left.name, "op": operator, "value": right}


def _number(text: str) -> float | int:
    try:
        return int(text) if text.lstrip("-").isdigit() else float(text)
    except ValueError as error:
        raise _NoCounterpart(f"{text!r} is not a number") from error


def _contains(left: _Operand, right: _Operand) -> Rule:
    if not isinstance(left, _Attribute):
        left, right = right, left
    if not isinstance(left, _Attribute) or not isinstance(right, (str, list)) or not right:
        raise _NoCounterpart("CONTAINS needs a '{{ context... }}' and a text or a list, not empty")
    return {"attribute": left.name, "op": "in" if isinstance(right, list) else "contains", "value": right}
