"""Items of sequences as bytes in explicit VR little endian: ten times as fast as pydicom, for what codes, references
and positions are made of.
"""

import struct

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from clara_ops.imaging.reading.planes import values

_TEXT_PADDING = {"CS": b" ", "DS": b" ", "IS": b" ", "LO": b" ", "SH": b" ", "UI": b"\0"}
_NUMBERS = {"UL": "L", "US": "H"}


def encode_item(item: Dataset) -> bytes:
    """One item of a sequence, of defined length (DICOM PS3.5 section 7.5).

    Args:
        item: of texts in ASCII, UIDs, unsigned numbers, and sequences of such items.

    Raises:
        KeyError: an attribute has another VR.
    """
    encoded = b"".join(_encode(element) for element in item)
    return struct.pack("<HHL", 0xFFFE, 0xE000, len(encoded)) + encoded


def _encode(element: DataElement) -> bytes:
    """An element, of which sequences have a length of four bytes, the others of two (DICOM PS3.5 section 7.1.2)."""
    vr, tag = element.VR, struct.pack("<HH", element.tag.group, element.tag.element) + element.VR.encode("ascii")
    if vr == "SQ":
        items = b"".join(map(encode_item, element.value))
        return tag + struct.pack("<HL", 0, len(items)) + items
    value = _value(element)
    return tag + struct.pack("<H", len(value)) + value


def _value(element: DataElement) -> bytes:
    if element.VR in _NUMBERS:
        numbers = [element.value] if element.VM == 1 else element.value
        return struct.pack(f"<{len(numbers)}{_NUMBERS[element.VR]}", *numbers)
    text = "\\".join(values(element.value)).encode("ascii")
    return text + _TEXT_PADDING[element.VR] * (len(text) % 2)
