"""Label and field selectors."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from clara_ops.localkube.errors import Json, bad_request

Selector = Callable[[Json], bool]

_REQUIREMENT = re.compile(
    r"\s*(?:(?P<absent>!)\s*(?P<not_key>[^\s!=,()]+)"
    r"|(?P<key>[^\s!=,()]+)\s*(?:(?P<op>==?|!=)\s*(?P<value>[^\s=,()]*)"
    r"|(?P<set>in|notin)\s*\((?P<values>[^()]*)\))?)\s*(?:,|$)"
)


def label_selector(text: str) -> Selector:
    """A test of an object's labels: `a=b`, `a!=b`, `a in (b,c)`, `a notin (b)`, `a`, `!a`, joined by commas.

    Raises:
        ApiError: 400, it cannot be read.
    """
    tests: list[Selector] = []
    position = 0
    while position < len(text):
        match = _REQUIREMENT.match(text, position)
        if match is None:
            raise bad_request(f"unable to parse requirement: found '{text[position:]}' in label selector '{text}'")
        tests.append(_label_test(match))
        position = match.end()
    return lambda item: all(test(item) for test in tests)


def _label_test(match: re.Match[str]) -> Selector:
    if match["absent"]:
        absent = match["not_key"]
        return lambda item: absent not in _labels(item)
    key = match["key"]
    if match["op"]:
        values, wanted = {match["value"]}, match["op"] != "!="
    elif match["set"]:
        values, wanted = {value.strip() for value in match["values"].split(",")}, match["set"] == "in"
    else:
        return lambda item: key in _labels(item)
    return lambda item: (_labels(item).get(key) in values) is wanted


def _labels(item: Json) -> dict[str, str]:
    return item["metadata"].get("labels") or {}


def field_selector(text: str, supported: Sequence[str]) -> Selector:
    """A test of fields: `a.b=c` and `a.b!=c`, joined by commas; `supported` are the paths that the kind has.

    Raises:
        ApiError: 400, it cannot be read or asks for another field.
    """
    tests: list[tuple[str, bool, str]] = []
    for term in filter(None, text.split(",")):
        match = re.fullmatch(r"([\w.]+)(==|=|!=)(.*)", term)
        if match is None:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{term}'")
        if match[1] not in supported:
            raise bad_request(f"field label not supported: {match[1]}")
        tests.append((match[1], match[2] != "!=", match[3]))
    return lambda item: all((_field(item, path) == value) is wanted for path, wanted, value in tests)


def _field(item: Json, path: str) -> str:
    value: Any = item
    for key in path.split("."):
        value = value.get(key, {}) if isinstance(value, dict) else {}
    return "" if value == {} else str(value)
