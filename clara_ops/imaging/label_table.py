"""`<name>.labels.json` beside `<name>.mhd`: what the values of a label volume mean, held against its voxels."""

from pathlib import Path
from typing import Any
from unicodedata import category

import numpy as np
import numpy.typing as npt

from clara_ops.contract.documents import read_document, write_document
from clara_ops.contract.labels import Code, Label, LabelTable
from clara_ops.imaging.errors import LabelError

_LARGEST_LABEL = 65535
_LONG_STRING, _SHORT_STRING = 64, 16
"""Most characters of the VRs LO and SH, DICOM PS3.5 section 6.2."""


def labels_path(volume: Path) -> Path:
    """The label table that belongs to a volume (.mhd)."""
    return volume.with_suffix(".labels.json")


def write_label_table(table: LabelTable, volume: Path) -> None:
    """Write the table beside its volume.

    Raises:
        LabelError: the table cannot be said in DICOM, as for `check_table`.
    """
    check_table(table, labels_path(volume))
    write_document(table, labels_path(volume))


def read_label_table(volume: Path) -> LabelTable | None:
    """The table beside a volume; None where there is none: the volume then holds grey values.

    Raises:
        DocumentError: the file is not of the contract's form.
        LabelError: the table cannot be said in DICOM, as for `check_table`.
    """
    path = labels_path(volume)
    if not path.is_file():
        return None
    table = read_document(LabelTable, path)
    check_table(table, path)
    return table


def check_labels(voxels: npt.NDArray[Any], table: LabelTable, where: Path) -> None:
    """Hold the voxels of a label volume against its table.

    Args:
        voxels: (slices, rows, columns).
        table: what their values mean.
        where: the volume, for the message.

    Raises:
        LabelError: the voxels are not whole numbers, or one of them is neither 0 nor in the table.
    """
    if not np.issubdtype(voxels.dtype, np.integer):
        raise LabelError(
            f"{where}: its voxels are {voxels.dtype}, a label volume needs whole numbers; write it as uint8"
        )
    lowest, highest = int(voxels.min()), int(voxels.max())
    if lowest < 0 or highest > _LARGEST_LABEL:
        raise LabelError(f"{where}: values from {lowest} to {highest}; labels are within 0 to {_LARGEST_LABEL}")
    found = {value for plane in voxels for value in np.flatnonzero(np.bincount(plane.ravel())).tolist()}
    unknown = sorted(found - {0} - {label.value for label in table.labels})
    if unknown:
        raise LabelError(
            f"{where}: holds value {unknown[0]}, which {labels_path(where).name} does not explain; add it there"
        )


def check_table(table: LabelTable, where: Path) -> None:
    """Refuse a table that the objects made of it could not repeat word by word.

    Raises:
        LabelError: there is no label; a value is given twice, or is not within 1 to 65535; a colour is not within 0 to
            255; a name, a code or the algorithm is empty, too long for its VR, or holds characters that DICOM cannot.
    """
    if not table.labels:
        raise LabelError(f"{where}: explains no label; name at least one, or leave the file out for grey values")
    _check_text(table.algorithm_name, "algorithm_name", where)
    _check_text(table.algorithm_version, "algorithm_version", where)
    seen: set[int] = set()
    for index, label in enumerate(table.labels):
        if label.value in seen:
            raise LabelError(f"{where}: value {label.value} is given twice, the second time for {label.name!r}")
        seen.add(label.value)
        _check_label(label, f"labels[{index}]", where)


def _check_label(label: Label, what: str, where: Path) -> None:
    if not 1 <= label.value <= _LARGEST_LABEL:
        raise LabelError(
            f"{where}: label {label.name!r} has value {label.value}; labels are within 1 to {_LARGEST_LABEL}"
        )
    _check_text(label.name, f"{what}.name", where)
    if not all(0 <= part <= 255 for part in label.color):
        raise LabelError(f"{where}: {what}.color is {list(label.color)}; red, green and blue are within 0 to 255")
    for name, code in (("category", label.category), ("type", label.type), ("anatomy", label.anatomy)):
        if code is not None:
            _check_code(code, f"{what}.{name}", where)


def _check_code(code: Code, what: str, where: Path) -> None:
    """A Code Value longer than 16 characters becomes a Long Code Value (DICOM PS3.3 section 8.8)."""
    _check_text(code.value, f"{what}.value", where)
    _check_text(code.scheme, f"{what}.scheme", where, limit=_SHORT_STRING)
    _check_text(code.meaning, f"{what}.meaning", where)


def _check_text(text: str, what: str, where: Path, limit: int = _LONG_STRING) -> None:
    if not text.strip():
        raise LabelError(f"{where}: {what} is empty; give it a value")
    if len(text) > limit:
        raise LabelError(f"{where}: {what} has {len(text)} characters, DICOM takes {limit} there; shorten it")
    if "\\" in text or any(category(character) == "Cc" for character in text):
        raise LabelError(f"{where}: {what} {text!r} holds a backslash or a control character; leave it out")
