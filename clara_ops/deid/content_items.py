"""Content items of structured reports and their like, by PS3.15 Table E.3.4-1."""

from pydicom.dataset import Dataset
from pydicom.tag import Tag

from clara_ops.deid.profile import Action, Option, Options, Rule, content_rule

TEXT_VALUE = Tag("TextValue")
VALUE_TYPE = Tag("ValueType")
_REFERENCE = Tag("ReferencedContentItemIdentifier")


def is_content_item(item: Dataset) -> bool:
    """Whether an item of a sequence is a content item (PS3.3 section C.17.3, and the macro in section 10.2)."""
    return VALUE_TYPE in item and "ConceptNameCodeSequence" in item


def refers_by_position(dataset: Dataset) -> bool:
    """Whether content items of a document refer to others by their position, so that none may be removed."""
    if _REFERENCE in dataset:
        return True
    return any(map(refers_by_position, dataset.get("ContentSequence") or ()))


def item_action(item: Dataset, options: Options, *, removable: bool) -> Action:
    """What happens to the value of a content item; REMOVE means the whole item, and all below it.

    What the table does not name stays, but for text: that may say anything.

    Args:
        item: a content item.
        options: those that were chosen.
        removable: whether items may be removed; if not, their values are replaced.
    """
    value_type = str(item.get("ValueType") or "")
    rule = _rule(item, value_type)
    if rule is None:
        return _unlisted(options) if value_type == "TEXT" else Action.KEEP
    action = rule.action(options, attribute_type=None)
    return Action.DUMMY if action == Action.REMOVE and not removable else action


def _unlisted(options: Options) -> Action:
    return Action.CLEAN if Option.CLEAN_DESCRIPTORS in options else Action.DUMMY


def _rule(item: Dataset, value_type: str) -> Rule | None:
    for concept in item.get("ConceptNameCodeSequence") or ():
        return content_rule(
            str(concept.get("CodingSchemeDesignator") or ""), str(concept.get("CodeValue") or ""), value_type
        )
    return None
