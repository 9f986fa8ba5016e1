"""Value Representations, and dummy values for each: non-empty, fit for it, and saying nothing."""

from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

DUMMY_TEXT = "REMOVED"

TEXT_VRS = frozenset(("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UT"))
DATE_VRS = frozenset(("DA", "DT"))

_DUMMIES: dict[str, object] = {
    **dict.fromkeys(TEXT_VRS, DUMMY_TEXT),
    "AS": "000D",
    "DA": "19000101",
    "DT": "19000101000000",
    "TM": "000000",
    "DS": "0",
    "IS": "0",
    "UI": "2.25.0",
    "UR": "urn:removed",
    "AT": 0,
    **dict.fromkeys(("FL", "FD"), 0.0),
    **dict.fromkeys(("SL", "SS", "SV", "UL", "US", "UV"), 0),
}
_NOTHING_IN_BYTES = bytes(8)


def vr_of(dataset: Dataset, tag: BaseTag) -> str:
    """The Value Representation, without decoding the value; of attributes that were stored as UN, the dictionary's."""
    stored = dataset.get_item(tag)
    vr = str(stored.VR or "UN") if stored is not None else "UN"
    return dictionary_VR(tag) if vr == "UN" and dictionary_has_tag(tag) else vr


def dummy(tag: BaseTag, vr: str) -> DataElement:
    """An element of any VR but SQ that holds one dummy value."""
    return DataElement(tag, vr, _DUMMIES.get(vr, _NOTHING_IN_BYTES))


def empty(tag: BaseTag, vr: str) -> DataElement:
    """An element of zero length; of VR SQ, a sequence without items."""
    return DataElement(tag, vr, [] if vr == "SQ" else None)
