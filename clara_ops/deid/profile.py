"""PS3.15 Annex E by table: what happens to an attribute, given the options and what its IOD needs."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from pydicom.tag import BaseTag

from clara_ops.deid.tables import Row, read_table


class Action(StrEnum):
    """The action codes of PS3.15 section E.1.1."""

    DUMMY = "D"
    EMPTY = "Z"
    REMOVE = "X"
    KEEP = "K"
    CLEAN = "C"
    REPLACE_UID = "U"


class Option(StrEnum):
    """The options of PS3.15 section E.3 that are offered; the value is the column of Table E.1-1."""

    RETAIN_UIDS = "retain_uids"
    RETAIN_DEVICE = "retain_device"
    RETAIN_PATIENT_CHARACTERISTICS = "retain_patient_characteristics"
    RETAIN_MODIFIED_DATES = "retain_modified_dates"
    RETAIN_SAFE_PRIVATE = "retain_safe_private"
    CLEAN_DESCRIPTORS = "clean_descriptors"
    CLEAN_STRUCTURED_CONTENT = "clean_structured_content"
    CLEAN_PIXEL_DATA = "clean_pixel_data"


Options = frozenset[Option]

_RETIRED_SNOMED = ("SRT", "SNM3", "99SDM")


@dataclass(frozen=True)
class Rule:
    """One row of a table.

    Attributes:
        basic: the alternatives of the basic profile, mildest need first: X before Z before D.
        options: what an option puts in their place.
    """

    basic: tuple[Action, ...]
    options: Mapping[Option, Action]

    def action(self, options: Options, attribute_type: str | None) -> Action:
        """The action for an attribute.

        An option overrides the basic profile. Of several that apply, one that cleans wins over one that keeps: a date
        of calibration is shifted when dates are modified, although it says something of the device.

        Args:
            options: those that were chosen.
            attribute_type: "1", "2" or "3" in its IOD; None where that is not known, and the attribute has to stay.
        """
        chosen = {action for option, action in self.options.items() if option in options}
        if chosen:
            return Action.CLEAN if Action.CLEAN in chosen else Action.KEEP
        return self.basic_action(attribute_type)

    def basic_action(self, attribute_type: str | None) -> Action:
        """The action of the basic profile: of its alternatives the first that the attribute's type allows.

        References (X/Z/U*) always stay, with their UIDs replaced: they identify nobody, and hold a payload together.
        """
        if Action.REPLACE_UID in self.basic:
            return Action.REPLACE_UID
        if attribute_type == "1":
            return Action.DUMMY
        if attribute_type == "2":
            return next((action for action in self.basic if action != Action.REMOVE), Action.EMPTY)
        return self.basic[0] if attribute_type == "3" else self.basic[-1]


def rule_for(tag: BaseTag) -> Rule | None:
    """The row of Table E.1-1, or of its continuation, for a standard attribute; None where there is none."""
    rules = _rules()
    key = f"{tag.group:04X},{tag.element:04X}"
    if key in rules:
        return rules[key]
    if tag.group & 0xFF01 in (0x5000, 0x6000):
        return rules[f"{tag.group >> 8:02X}xx,xxxx"]
    return None


def attribute_type(tag: BaseTag, sop_class_uid: str, sequence: BaseTag | None) -> str | None:
    """The type of an attribute as far as the tables know: "1", "2", "3", or None.

    Args:
        tag: an attribute that has a rule.
        sop_class_uid: names the IOD.
        sequence: the sequence that holds the attribute; None at the top level.
    """
    if sequence is not None:
        return _nested_types().get((int(sequence), int(tag)))
    types = _iod_types().get(sop_class_uid)
    return types.get(int(tag), "3") if types is not None else None


def content_rule(scheme: str, code: str, value_type: str) -> Rule | None:
    """The row of Table E.3.4-1 for a content item's concept name; None where there is none."""
    return _content_rules().get((scheme, code, value_type))


@cache
def _rules() -> Mapping[str, Rule]:
    rows = [*read_table("table_e1_1.csv"), *read_table("beyond_table.csv")]
    return {row["tag"]: _rule(row) for row in rows}


@cache
def _content_rules() -> Mapping[tuple[str, str, str], Rule]:
    rules = {}
    for row in read_table("table_e3_4_1.csv"):
        rule, value_type = _rule(row), row["value_type"]
        rules[row["scheme"], row["code"], value_type] = rule
        rules |= {(scheme, row["retired_code"], value_type): rule for scheme in _RETIRED_SNOMED if row["retired_code"]}
    return rules


@cache
def _iod_types() -> Mapping[str, Mapping[int, str]]:
    return {
        row["sop_class_uid"]: _tags(row["type_2"].split(), "2") | _tags(row["type_1"].split(), "1")
        for row in read_table("iod_types.csv")
    }


@cache
def _nested_types() -> Mapping[tuple[int, int], str]:
    return {(int(row["sequence"], 16), int(row["tag"], 16)): row["type"] for row in read_table("nested_types.csv")}


def _tags(words: Iterable[str], attribute_type: str) -> dict[int, str]:
    return {int(word, 16): attribute_type for word in words}


def _rule(row: Row) -> Rule:
    options = {option: Action(action) for option in Option if (action := row.get(option.value))}
    return Rule(tuple(Action(code) for code in re.findall(r"[DZXU]", row["basic"])), options)
