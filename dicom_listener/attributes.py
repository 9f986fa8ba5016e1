"""DICOM attributes that rules ask for, read from the stored files when a group is judged.

Rules name them by keyword, beside the facts of a group (`modality`, `instances`, ...). What identifies a patient cannot
be asked for, and what somebody typed is never repeated in a reason.
"""

import logging
import struct
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydicom.charset import convert_encodings, decode_bytes
from pydicom.datadict import dictionary_VR, tag_for_keyword

from dicom_listener.dataset import DatasetError, read_elements

log = logging.getLogger(__name__)

FACTS: Final = frozenset({"modality", "body_part", "orientation", "instances", "complete", "calling_ae"})

_CHARACTER_SET: Final = 0x00080005
_PIXEL_DATA: Final = 0x7FE00010
_PATIENT_GROUP: Final = 0x0010
_ACCESSION_NUMBER, _STUDY_ID = 0x00080050, 0x00200010
_NOT_IDENTIFYING: Final = frozenset({0x00101010, 0x00100040, 0x00101020, 0x00101030})  # age, sex, size, weight
_TYPED: Final = frozenset({"LO", "LT", "SH", "ST", "UC", "UT"})
_PLAIN: Final = frozenset({"AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI", "UR"})
_BINARY: Final[Mapping[str, str]] = {"US": "H", "SS": "h", "UL": "L", "SL": "l", "FL": "f", "FD": "d"}
_DELIMITERS: Final = {0x0D, 0x0A, 0x09, 0x0C}


class TypedText(str):
    """What somebody typed, which may hold a name: rules see it, reasons do not."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "text that is not shown"


@dataclass(frozen=True)
class AttributeSet:
    """Attributes by keyword, and how many instances of the group have exactly these."""

    values: Mapping[str, Any]
    instances: int


def attribute_tag(keyword: str) -> int:
    """The tag of an attribute that a rule may ask for.

    Raises:
        ValueError: there is no such attribute, it identifies a patient, or it is no single value.
    """
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise ValueError(f"{keyword!r} is neither a fact ({', '.join(sorted(FACTS))}) nor the keyword of an attribute")
    if (tag >> 16 == _PATIENT_GROUP and tag not in _NOT_IDENTIFYING) or tag in (_ACCESSION_NUMBER, _STUDY_ID):
        raise ValueError(f"{keyword} may identify a patient: rules cannot ask for it")
    vr = dictionary_VR(tag)
    if vr not in _PLAIN | _TYPED | _BINARY.keys() or tag >= _PIXEL_DATA:
        raise ValueError(f"{keyword} holds {vr}: rules compare texts and numbers only")
    return tag


def attribute_sets(files: Iterable[Path], attributes: Iterable[str]) -> tuple[AttributeSet, ...]:
    """Read the attributes from every file; files that agree in all of them count together.

    Args:
        files: as the listener stored them.
        attributes: keywords, and names of facts, which are left out.
    """
    tags = {keyword: attribute_tag(keyword) for keyword in sorted(attributes) if keyword not in FACTS}
    if not tags:
        return (AttributeSet({}, sum(1 for _ in files)),)
    counted = Counter(tuple(_read(file, tags).items()) for file in files)
    return tuple(AttributeSet(dict(values), number) for values, number in counted.items())


def _read(file: Path, tags: Mapping[str, int]) -> dict[str, Any]:
    try:
        elements, little = read_elements(file, frozenset({*tags.values(), _CHARACTER_SET}))
    except (OSError, DatasetError) as error:
        log.warning("attributes for a rule cannot be read", extra={"file": file.name, "reason": str(error)})
        return {}
    decoders = _decoders(elements.get(_CHARACTER_SET, b""), "<" if little else ">")
    found = {}
    for keyword, tag in tags.items():
        if tag in elements:
            vr = dictionary_VR(tag)
            value = decoders[vr](elements[tag])
            if value != "":
                found[keyword] = TypedText(value) if vr in _TYPED else value
    return found


def _decoders(character_set: bytes, order: str) -> Mapping[str, Callable[[bytes], Any]]:
    encodings = convert_encodings(character_set.decode("ascii", "replace").strip(" \0").split("\\"))

    def plain(value: bytes) -> str:
        return value.decode("ascii", "replace").strip(" \0")

    def typed(value: bytes) -> str:
        return decode_bytes(value, encodings, _DELIMITERS).strip(" \0")

    def binary(form: str) -> Callable[[bytes], float | str]:
        size = struct.calcsize(form)
        return lambda value: struct.unpack_from(order + form, value)[0] if len(value) >= size else ""

    return {
        **dict.fromkeys(_PLAIN, plain),
        **dict.fromkeys(_TYPED, typed),
        **{vr: binary(form) for vr, form in _BINARY.items()},
    }


def total(sets: Sequence[AttributeSet]) -> int:
    """How many instances there are in all."""
    return sum(item.instances for item in sets)
