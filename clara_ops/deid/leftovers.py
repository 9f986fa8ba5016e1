"""Leftovers: every text value, and all private bytes, which may be text, searched for the patients' own words."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag

from clara_ops.deid import values
from clara_ops.deid.descriptors import is_harmless_code
from clara_ops.deid.own_words import Kind, OwnWords

_TEXT_VRS = values.TEXT_VRS | values.DATE_VRS | {"AS", "TM", "UI", "UR"}
_NUMBER_VRS = frozenset(("DS", "IS"))
_NUMBERS = re.compile(r"[\d\s.+\-eE\\\0]*")
_UID = re.compile(r"[\d.]*")
_BYTE_VRS = frozenset(("OB", "OW", "UN"))
_ENCODINGS = (
    *("utf_8", "utf_16_le", "utf_16_be", "gb18030", "shift_jis", "iso2022_jp_2", "euc_kr", "tis_620"),
    *(
        "latin_1",
        "iso8859_2",
        "iso8859_3",
        "iso8859_4",
        "iso8859_5",
        "iso8859_6",
        "iso8859_7",
        "iso8859_8",
        "iso8859_9",
    ),
)
"""Of the character sets that DICOM knows (PS3.3 section C.12.1.1.2), and UTF-16."""


@dataclass(frozen=True)
class Leftover:
    """A value that still holds one of a patient's own words. The value itself is not told.

    Attributes:
        object: SOP Instance UID of the written object.
        place: path of tags, items of sequences counted from 1: `(0040,A730)[2].(0040,A160)`.
        kind: what the value holds.
    """

    object: str
    place: str
    kind: str


@dataclass(frozen=True)
class UncleanObject:
    """An object that may still identify its patient as a whole, or in its pixels.

    Attributes:
        object: SOP Instance UID that it has, or would have had.
        sop_class: name of its SOP class.
        reason: why it cannot be cleaned.
        written: whether it is in the output all the same.
    """

    object: str
    sop_class: str
    reason: str
    written: bool


@dataclass(frozen=True)
class LeftoverReport:
    """`leftovers.json`: what a person has to look at before the objects leave the house."""

    DOCUMENT_VERSION: ClassVar[int] = 1

    objects: int
    leftovers: tuple[Leftover, ...]
    unclean: tuple[UncleanObject, ...]

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found."""
        return not self.leftovers and not self.unclean


@dataclass
class LeftoverSearch:
    """Searches datasets for the own words of a payload; a text that many slices share is searched once."""

    own: OwnWords
    _seen: dict[str, frozenset[Kind]] = field(default_factory=dict, repr=False)

    def search(self, dataset: Dataset) -> tuple[Leftover, ...]:
        """The leftovers of a dataset, in the order of its attributes."""
        found = self._in_dataset(dataset, "")
        return tuple(Leftover(str(dataset.SOPInstanceUID), place, kind.value) for place, kind in found)

    def _in_dataset(self, dataset: Dataset, path: str) -> Iterator[tuple[str, Kind]]:
        for tag in sorted(dataset.keys()):
            place, vr = f"{path}({tag.group:04X},{tag.element:04X})", values.vr_of(dataset, tag)
            if vr == "SQ":
                for number, item in enumerate(dataset[tag].value or (), start=1):
                    yield from self._in_dataset(item, f"{place}[{number}].")
            else:
                kinds = {kind for text in _texts(dataset, tag, vr) for kind in self._kinds(text, vr)}
                yield from ((place, kind) for kind in sorted(kinds))

    def _kinds(self, text: str, vr: str) -> frozenset[Kind]:
        if vr == "CS" and is_harmless_code(text):
            return frozenset()
        if vr == "UI" and _UID.fullmatch(text):
            return self.own.kinds_in_uid(text)
        if text not in self._seen:
            self._seen[text] = self.own.kinds_in(text)
        return self._seen[text]


def _texts(dataset: Dataset, tag: BaseTag, vr: str) -> list[str]:
    """What a value, or bytes that nobody has told to be one, may say."""
    if vr in _NUMBER_VRS:
        stored = dataset.get_item(tag)
        content = stored.value if stored is not None and stored.is_raw else None
        text = content.decode("latin_1") if isinstance(content, bytes) else ""
        return [] if _NUMBERS.fullmatch(text) else [text]
    if vr in _TEXT_VRS:
        value = dataset[tag].value
        return [str(item) for item in value] if isinstance(value, MultiValue) else [str(value)] if value else []
    if tag.is_private and vr in _BYTE_VRS:
        return _readings(dataset[tag].value or b"")
    return []


def _readings(content: bytes) -> list[str]:
    """Private bytes are text in an encoding that nobody names: every one that is in use, at both offsets of UTF-16."""
    readings = {content.decode(encoding, errors="ignore") for encoding in _ENCODINGS}
    readings |= {content[1:].decode(encoding, errors="ignore") for encoding in ("utf_16_le", "utf_16_be")}
    return sorted(readings)
