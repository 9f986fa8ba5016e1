"""Where each label of a volume is: its mask, cut out of the volume."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from clara_ops.contract.labels import Label


@dataclass(frozen=True, eq=False)
class Region:
    """The voxels of one label.

    Attributes:
        mask: (slices, rows, columns), no larger than needed.
        offset: slice, row and column of the mask's first voxel in the volume.
    """

    mask: npt.NDArray[np.bool_]
    offset: tuple[int, int, int]


def label_regions(labels: npt.NDArray[Any], wanted: Iterable[Label]) -> Iterator[tuple[Label, Region | None]]:
    """Each label and its region; None where the volume does not hold it.

    Args:
        labels: (slices, rows, columns), whole numbers that are not negative.
        wanted: in the order of the answer.
    """
    highest = int(labels.max(initial=0))
    counts = np.stack([np.bincount(plane.ravel(), minlength=highest + 1) for plane in labels])
    for label in wanted:
        found = counts[:, label.value].nonzero()[0] if label.value <= highest else np.array([], int)
        yield label, _cut_out(labels, label.value, int(found[0]), int(found[-1])) if found.size else None


def _cut_out(labels: npt.NDArray[Any], value: int, first: int, last: int) -> Region:
    mask = labels[first : last + 1] == value
    plane = mask.any(axis=0)
    rows, columns = np.flatnonzero(plane.any(axis=1)), np.flatnonzero(plane.any(axis=0))
    cut = mask[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return Region(cut, (first, int(rows[0]), int(columns[0])))
