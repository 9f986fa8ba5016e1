"""A patient's own words: what of a payload names its patient, and whether a text holds any of it."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from datetime import date
from enum import StrEnum

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag, Tag

from clara_ops.deid import normal_form
from clara_ops.deid.written_dates import dates_in

_NAMES = (
    "PatientName",
    "OtherPatientNames",
    "PatientBirthName",
    "PatientMotherBirthName",
    "ResponsiblePerson",
)
_IDS = (
    "PatientID",
    "OtherPatientIDs",
    "AccessionNumber",
    "AdmissionID",
    "ServiceEpisodeID",
    "MedicalRecordLocator",
    "InsurancePlanIdentification",
    "PlacerOrderNumberImagingServiceRequest",
    "FillerOrderNumberImagingServiceRequest",
    "RequestedProcedureID",
    "StudyID",
    "ClinicalTrialSubjectID",
    "ClinicalTrialSubjectReadingID",
)
_UIDS = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
_HOLDERS = (
    "OtherPatientIDsSequence",
    "ReferencedPatientAliasSequence",
    "ReferencedRequestSequence",
    "RequestAttributesSequence",
)
_DATE, _ADDRESS, _PHONES, _TELECOM = (
    "PatientBirthDate",
    "PatientAddress",
    "PatientTelephoneNumbers",
    "PatientTelecomInformation",
)

_NAMES_TO_USE = Tag(0x0010, 0x0011)
_NAME_TO_USE = Tag(0x0010, 0x0012)

_KEYWORDS = (*_NAMES, *_IDS, *_UIDS, *_HOLDERS, _DATE, _ADDRESS, _PHONES, _TELECOM)
TAGS = (Tag("SOPClassUID"), *map(Tag, _KEYWORDS), _NAMES_TO_USE)
"""The attributes that have to be read of a dataset to learn its patient's own words."""

SHORTEST_NAME = 3
SHORTEST_UNSPACED_NAME = 2
SHORTEST_ID = 4
SHORTEST_SUBSTRING = 5
SHORTEST_PHONE = 6
_NO_NAMES = frozenset(("anonymous", "anonymized", "unknown", "patient", "test", "phantom", "none", "name", "removed"))
_NO_ADDRESSES = frozenset(("street", "strasse", "avenue", "drive", "place", "platz", "house", "floor", "suite"))
_UID = re.compile(r"[0-9]+(?:\.[0-9]+){3,}")
_PHONE = re.compile(r"\+?\d[\d\s()/.-]{4,}\d")


class Kind(StrEnum):
    """What of a patient a text holds."""

    NAME = "name"
    ID = "id"
    BIRTH_DATE = "birth date"
    ADDRESS = "address"
    PHONE = "phone"
    UID = "uid"


@dataclass(frozen=True)
class OwnWords:
    """The words of the patients of a payload, in normal form (see `normal_form`).

    Attributes:
        names: parts of names, and of their whole groups.
        phrases: names of which every part is too short to stand alone, and lines of addresses.
        ids: letters and digits only.
        phones: digits only, without leading zeros.
    """

    names: frozenset[str] = frozenset()
    phrases: frozenset[str] = frozenset()
    ids: frozenset[str] = frozenset()
    birth_dates: frozenset[date] = frozenset()
    addresses: frozenset[str] = frozenset()
    phones: frozenset[str] = frozenset()
    uids: frozenset[str] = frozenset()

    def __or__(self, other: "OwnWords") -> "OwnWords":
        unions = {field.name: getattr(self, field.name) | getattr(other, field.name) for field in fields(self)}
        return OwnWords(**unions)

    def kinds_in(self, text: str) -> frozenset[Kind]:
        """What of the patients a text holds."""
        return frozenset(self._find(text))

    def kinds_in_uid(self, uid: str) -> frozenset[Kind]:
        """What of the patients a UID holds: itself, or an id as one of its components."""
        found = {Kind.UID} if uid in self.uids else set()
        if not self.ids.isdisjoint(component.lstrip("0") for component in uid.split(".")):
            found.add(Kind.ID)
        return frozenset(found)

    def _find(self, text: str) -> Iterator[Kind]:
        forms = {normal_form.normal(text), normal_form.spelled_out(text)}
        if any(self._has_name(form) for form in forms) or not self.names.isdisjoint(normal_form.camel_words(text)):
            yield Kind.NAME
        form = normal_form.normal(text)
        if any(_has_id(form, own) for own in self.ids):
            yield Kind.ID
        if self.birth_dates and not self.birth_dates.isdisjoint(dates_in(form)):
            yield Kind.BIRTH_DATE
        if any(_has_word(form, own) for own in self.addresses):
            yield Kind.ADDRESS
        if self.phones and any(own in _digits(run) for run in _PHONE.findall(form) for own in self.phones):
            yield Kind.PHONE
        if not self.uids.isdisjoint(_UID.findall(text)):
            yield Kind.UID

    def _has_name(self, form: str) -> bool:
        if any(_has_word(form, own) for own in self.names):
            return True
        spaced = f" {' '.join(normal_form.tokens(form))} "
        return any(f" {phrase} " in spaced for phrase in self.phrases)


def own_words(dataset: Dataset, *, with_uids: bool) -> OwnWords:
    """The own words of the patient of a dataset.

    Args:
        dataset: with at least the attributes of `TAGS`.
        with_uids: whether instance UIDs are secret too.
    """
    found: dict[str, set[object]] = {field.name: set() for field in fields(OwnWords)}
    _collect(dataset, found, with_uids)
    return OwnWords(**{name: frozenset(values) for name, values in found.items()})  # type: ignore[arg-type]


def _collect(dataset: Dataset, found: dict[str, set[object]], with_uids: bool) -> None:
    for name in _values(dataset, (*_NAMES, _NAME_TO_USE)):
        for word in _name_words(name):
            found["phrases" if " " in word else "names"].add(word)
    found["ids"].update(filter(None, map(_id_word, _values(dataset, _IDS))))
    found["birth_dates"].update(day for value in _values(dataset, (_DATE,)) for day in dates_in(value))
    for address in _values(dataset, (_ADDRESS, _TELECOM)):
        found["addresses"].update(_address_words(address))
    phones = (_digits(value) for value in _values(dataset, (_PHONES, _TELECOM)))
    found["phones"].update(phone for phone in phones if len(phone) >= SHORTEST_PHONE)
    if with_uids:
        found["uids"].update(_values(dataset, _UIDS))
    for holder in (*_HOLDERS, _NAMES_TO_USE):
        for item in dataset[holder].value or () if holder in dataset else ():
            _collect(item, found, with_uids)


def _values(dataset: Dataset, attributes: Iterable[str | BaseTag]) -> Iterator[str]:
    for attribute in attributes:
        value = dataset[attribute].value if attribute in dataset else None
        values = value if isinstance(value, MultiValue) else [value]
        yield from (text for item in values if item and (text := str(item).strip()))


def _name_words(name: str) -> Iterator[str]:
    """Of each group (alphabetic, ideographic, phonetic) family, given and middle name; affixes name nobody."""
    for group in name.split("="):
        parts = " ".join(group.split("^")[:3])
        for form in {normal_form.normal(parts), normal_form.spelled_out(parts)}:
            words = [word for word in normal_form.words(form) if word not in _NO_NAMES]
            yield from (word for word in words if _is_long_enough(word))
            joined = "".join(words)
            if len(words) > 1 and normal_form.is_unspaced(joined):
                yield joined
            elif len(words) > 1 and not any(map(_is_long_enough, words)):
                yield from (" ".join(words), " ".join(reversed(words)))


def _is_long_enough(name: str) -> bool:
    shortest = SHORTEST_UNSPACED_NAME if normal_form.is_unspaced(name) else SHORTEST_NAME
    return normal_form.length(name) >= shortest


def _id_word(value: str) -> str | None:
    """Letters and digits of an id; None when it is too short, or too common, to be told from other text."""
    word = "".join(normal_form.tokens(normal_form.normal(value))).lstrip("0")
    has_digit = any(character.isdigit() for character in word)
    enough = len(word) >= (SHORTEST_ID if has_digit else SHORTEST_SUBSTRING)
    return word if enough and word not in _NO_NAMES else None


def _address_words(address: str) -> Iterator[str]:
    for token in normal_form.tokens(normal_form.normal(address)):
        if len(token) >= SHORTEST_SUBSTRING and token not in _NO_ADDRESSES:
            yield token


def _has_word(form: str, own: str) -> bool:
    """Long words count wherever they stand, short ones only as a whole word: Ann is no part of annotation."""
    if own not in form:
        return False
    if len(own) >= SHORTEST_SUBSTRING or normal_form.is_unspaced(own):
        return True
    return own in normal_form.words(form)


def _has_id(form: str, own: str) -> bool:
    """An id counts with leading zeros, from six characters with separators too, but not inside a longer number."""
    separator = r"[\s_/-]?" if len(own) > SHORTEST_SUBSTRING else ""
    before = r"(?<!\d)0*" if own[0].isdigit() else ""
    after = r"(?!\d)" if own[-1].isdigit() else ""
    return re.search(before + separator.join(map(re.escape, own)) + after, form) is not None


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text).lstrip("0")
