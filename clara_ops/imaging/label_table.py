"""`<name>.labels.json` beside `<name>.mhd`: what the values of a label volume mean, held against its voxels."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from clara_ops.contract.documents import read_document, write_document
from clara_ops.contract.labels import LabelTable
from clara_ops.imaging.errors import LabelError

_LARGEST_LABEL = 65535


def labels_path(volume: Path) -> Path:
    """The label table that belongs to a volume (.mhd)."""
    return volume.with_suffix(".labels.json")


def write_label_table(table: LabelTable, volume: Path) -> None:
    """Write the table beside its volume.

    Raises:
        LabelError: a value is given twice, or is not within 1 to 65535.
    """
    _check_values(table, labels_path(volume))
    write_document(table, labels_path(volume))


def read_label_table(volume: Path) -> LabelTable | None:
    """The table beside a volume; None where there is none: the volume then holds grey values.

    Raises:
        DocumentError: the file is not of the contract's form.
        LabelError: a value is given twice, or is not within 1 to 65535.
    """
    path = labels_path(volume)
    if not path.is_file():
        return None
    table = read_document(LabelTable, path)
    _check_values(table, path)
    return table


def check_labels(voxels: npt.NDArray[Any], table: LabelTable, where: Path) -> None:
    """Hold the voxels of a label volume against its table.

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
    found = np.flatnonzero(np.bincount(voxels.ravel()))
    unknown = sorted(set(found.tolist()) - {0} - {label.value for label in table.labels})
    if unknown:
        raise LabelError(
            f"{where}: holds value {unknown[0]}, which {labels_path(where).name} does not explain; add it there"
        )


def _check_values(table: LabelTable, where: Path) -> None:
    seen: set[int] = set()
    for label in table.labels:
        if not 1 <= label.value <= _LARGEST_LABEL:
            raise LabelError(
                f"{where}: label {label.name!r} has value {label.value}; labels are within 1 to {_LARGEST_LABEL}"
            )
        if label.value in seen:
            raise LabelError(f"{where}: value {label.value} is given twice, the second time for {label.name!r}")
        seen.add(label.value)
