"""Carries the tables out on a dataset, at every depth."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum, auto

from pydicom.datadict import dictionary_has_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag, Tag

from clara_ops.deid import content_items, dates, values
from clara_ops.deid.descriptors import clean_text
from clara_ops.deid.own_words import OwnWords
from clara_ops.deid.private_attributes import AllowList, remove_private
from clara_ops.deid.profile import Action, Option, Options, Rule, attribute_type, rule_for
from clara_ops.deid.pseudonyms import Subject, UidMap

_FIRST_GROUP = 0x0008
_UID_VALUE = Tag("UID")
_CODED_VALUE = Tag("ConceptCodeSequence")
_MEASURED_VALUE = Tag("MeasuredValueSequence")
_TIMEZONE = Tag("TimezoneOffsetFromUTC")
_HARMLESS_IN_DUMMY = frozenset(
    ("AT", "CS", "DS", "FD", "FL", "IS", "OD", "OF", "OL", "OV", "SL", "SS", "SV", "UI", "UL", "US", "UV", "US or SS")
)


class Context(Enum):
    """How a sequence's own action reaches its items."""

    PROFILE = auto()
    CLEAN = auto()
    DUMMY = auto()


@dataclass(frozen=True)
class Treatment:
    """All that decides what one object becomes.

    Attributes:
        removable_items: False where content items refer to each other by position.
    """

    options: Options
    uids: UidMap
    subject: Subject
    own: OwnWords
    private: AllowList
    sop_class_uid: str
    removable_items: bool = True


@dataclass(frozen=True)
class Place:
    """Where an attribute stands.

    Attributes:
        sequence: the sequence whose item it is in; None at the top level.
        content: what Table E.3.4-1 says of the content item that it is in; None outside of content items.
    """

    sequence: BaseTag | None = None
    context: Context = Context.PROFILE
    content: Action | None = None


@dataclass(frozen=True)
class Decision:
    """What happens to one attribute, and what instead where cleaning leaves nothing."""

    action: Action
    fallback: Action
    rule: Rule | None = None


def deidentify(dataset: Dataset, treatment: Treatment) -> None:
    """Apply the basic profile and the chosen options to a dataset, in place; pixels are left alone.

    Patient's Name and Patient ID become the patient's pseudonym, as PS3.15 lets dummy values do.
    """
    treatment = replace(treatment, removable_items=not content_items.refers_by_position(dataset))
    _apply(dataset, treatment, Place())
    dataset.PatientName = treatment.subject.patient_name
    dataset.PatientID = treatment.subject.patient_id


def _apply(dataset: Dataset, treatment: Treatment, place: Place) -> None:
    remove_private(dataset, AllowList() if place.context is Context.DUMMY else treatment.private)
    for tag in sorted(dataset.keys()):
        vr = values.vr_of(dataset, tag)
        decision = _decide(tag, vr, treatment, place)
        if decision.action == Action.CLEAN and not _clean(dataset, tag, vr, decision, treatment):
            decision = replace(decision, action=decision.fallback)
        _carry_out(decision, dataset, tag, vr, treatment, place)


def _decide(tag: BaseTag, vr: str, treatment: Treatment, place: Place) -> Decision:
    if tag.is_private:
        return Decision(Action.KEEP, Action.REMOVE)
    if tag.group < _FIRST_GROUP or tag.element == 0:
        return Decision(Action.REMOVE, Action.REMOVE)
    if place.context is Context.DUMMY:
        return _decide_in_dummy(tag, vr)
    if (content := _decide_content(tag, treatment, place)) is not None:
        return content
    rule = rule_for(tag)
    if rule is None:
        return _decide_without_rule(tag, vr, treatment, place)
    needed = attribute_type(tag, treatment.sop_class_uid, place.sequence)
    return Decision(rule.action(treatment.options, needed), rule.basic_action(needed), rule)


def _decide_in_dummy(tag: BaseTag, vr: str) -> Decision:
    """The action of a sequence holds for all of its contents (PS3.15 section E.1.1); numbers alone say nothing."""
    rule = rule_for(tag)
    if rule is not None and Action.REPLACE_UID in rule.basic:
        return Decision(Action.REPLACE_UID, Action.DUMMY, rule)
    return Decision(Action.KEEP if vr in _HARMLESS_IN_DUMMY else Action.DUMMY, Action.DUMMY)


def _decide_content(tag: BaseTag, treatment: Treatment, place: Place) -> Decision | None:
    """For the value of a content item, what Table E.3.4-1 says; dates, names and references are left to Table E.1-1."""
    if tag == content_items.TEXT_VALUE:
        return Decision(place.content or Action.DUMMY, Action.DUMMY)
    if place.content is None:
        return None
    if tag == _UID_VALUE and Option.RETAIN_UIDS in treatment.options:
        return Decision(Action.KEEP, Action.KEEP)
    if place.content == Action.DUMMY and tag == _CODED_VALUE:
        return Decision(Action.DUMMY, Action.DUMMY)
    if place.content == Action.DUMMY and tag == _MEASURED_VALUE:
        return Decision(Action.EMPTY, Action.EMPTY)
    return None


def _decide_without_rule(tag: BaseTag, vr: str, treatment: Treatment, place: Place) -> Decision:
    """What no table names stays, but for names of people, dates, and attributes that the standard does not know."""
    if not dictionary_has_tag(tag):
        return Decision(Action.REMOVE, Action.REMOVE)
    if vr == "PN":
        return Decision(Action.DUMMY, Action.DUMMY)
    if vr in values.DATE_VRS or vr == "TM":
        dates_stay = Option.RETAIN_MODIFIED_DATES in treatment.options
        return Decision(Action.CLEAN if dates_stay else Action.DUMMY, Action.DUMMY)
    if place.context is Context.CLEAN and vr in values.TEXT_VRS - {"CS"} and not _is_code(tag):
        return Decision(Action.CLEAN, Action.DUMMY)
    return Decision(Action.KEEP, Action.KEEP)


def _is_code(tag: BaseTag) -> bool:
    return tag.group == 0x0008 and 0x0100 <= tag.element <= 0x0103


def _carry_out(decision: Decision, dataset: Dataset, tag: BaseTag, vr: str, treatment: Treatment, place: Place) -> None:
    action = decision.action
    if action == Action.REMOVE:
        del dataset[tag]
    elif action == Action.EMPTY:
        dataset[tag] = values.empty(tag, vr)
    elif vr == "SQ":
        _apply_to_items(dataset[tag], treatment, _context(decision, place))
    elif action == Action.DUMMY:
        dataset[tag] = values.dummy(tag, vr)
    elif action == Action.REPLACE_UID:
        _change(dataset, tag, treatment.uids.replacement)


def _context(decision: Decision, place: Place) -> Context:
    if Context.DUMMY is place.context or decision.action == Action.DUMMY:
        return Context.DUMMY
    if decision.action == Action.CLEAN and decision.rule is not None:
        is_content = Option.CLEAN_STRUCTURED_CONTENT in decision.rule.options
        return Context.PROFILE if is_content else Context.CLEAN
    return place.context


def _apply_to_items(element: DataElement, treatment: Treatment, context: Context) -> None:
    kept = []
    for item in element.value or ():
        content = None
        if content_items.is_content_item(item) and context is not Context.DUMMY:
            content = content_items.item_action(item, treatment.options, removable=treatment.removable_items)
        if content == Action.REMOVE or (context is Context.CLEAN and _is_local_code(item)):
            continue
        _apply(item, treatment, Place(element.tag, context, content))
        kept.append(item)
    element.value = kept


def _is_local_code(item: Dataset) -> bool:
    """A code of a scheme of one's own: by `99`, or by the local scheme `L` of HL7 (PS3.16 section 8)."""
    scheme = str(item.get("CodingSchemeDesignator") or "")
    return "CodeMeaning" in item and (not scheme or scheme == "L" or scheme.startswith("99"))


def _clean(dataset: Dataset, tag: BaseTag, vr: str, decision: Decision, treatment: Treatment) -> bool:
    """Replace a value by one of similar meaning; False where there is none."""
    if vr == "SQ":
        return True
    if vr in values.DATE_VRS:
        return _change(dataset, tag, lambda value: dates.shift_date(value, treatment.subject.shift_days))
    if vr == "TM":
        return _change(dataset, tag, lambda value: value if dates.is_time(value) else None)
    if tag == _TIMEZONE:
        return _change(dataset, tag, lambda value: value if dates.is_utc_offset(value) else None)
    if vr not in values.TEXT_VRS:
        return False
    if decision.rule is not None and _names_device(decision.rule, treatment.options):
        return _change(dataset, tag, treatment.uids.pseudonyms.device)
    return _change(dataset, tag, lambda value: clean_text(value, treatment.own))


def _names_device(rule: Rule, options: Options) -> bool:
    return Option.RETAIN_DEVICE in options and rule.options.get(Option.RETAIN_DEVICE) == Action.CLEAN


def _change(dataset: Dataset, tag: BaseTag, change: Callable[[str], str | None]) -> bool:
    """Change each value of an element; False, with nothing changed, where one of them cannot be."""
    value = dataset[tag].value
    originals = [str(item) for item in value] if isinstance(value, MultiValue) else [str(value)] if value else []
    changed = [change(original) for original in originals]
    if None in changed:
        return False
    dataset[tag].value = changed if len(changed) > 1 else (changed[0] if changed else None)
    return True
