"""compare-labels: holds the label volumes of two models against each other, label by label."""

from argparse import ArgumentParser, Namespace
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from clara_ops.contract.conf import FactValue
from clara_ops.contract.errors import BadInput, NothingToDo
from clara_ops.contract.result import StageResult
from clara_ops.driver.folders import StageFolders
from clara_ops.driver.progress import Progress
from clara_ops.imaging.errors import GridMismatch, LabelError
from clara_ops.imaging.geometry import grid_difference, grid_of
from clara_ops.imaging.label_table import check_labels, labels_path, read_label_table
from clara_ops.imaging.metaimage import read_volume

DESCRIPTION = "compares the label volumes of two models: Dice and volumes of each label"

_CUBIC_MM_PER_ML = 1000.0


class UnpairedVolume(BadInput):
    """A label volume that only one of the two models wrote."""


@dataclass(frozen=True)
class Overlap:
    """One label in both results; volumes in ml."""

    main: float = 0.0
    shadow: float = 0.0
    common: float = 0.0

    def __add__(self, other: "Overlap") -> "Overlap":
        return Overlap(self.main + other.main, self.shadow + other.shadow, self.common + other.common)

    @property
    def dice(self) -> float | None:
        """Dice coefficient, 0 to 1; None where neither model found the label."""
        total = self.main + self.shadow
        return 2 * self.common / total if total else None

    @property
    def difference(self) -> float:
        """How much more the shadow found, ml."""
        return self.shadow - self.main


def add_arguments(parser: ArgumentParser) -> None:
    """The options of the stage."""
    parser.add_argument("--main", default="main", metavar="FOLDER", help="below the input: what counts (%(default)s)")
    parser.add_argument(
        "--shadow", default="shadow", metavar="FOLDER", help="below the input: what is held against it (%(default)s)"
    )


def run(folders: StageFolders, options: Namespace, progress: Progress) -> StageResult:
    """Compare volumes of the same name; labels are the same when their names are. Prints a table, writes no file.

    Returns:
        Facts, over all volumes: `volumes`, `mean_dice`, and for each label `<label>_dice` (left out where neither model
        found it), `<label>_main_ml`, `<label>_shadow_ml` and `<label>_difference_ml`.

    Raises:
        NothingToDo: there is no label volume.
        UnpairedVolume: one model wrote a volume that the other did not.
        GridMismatch: two volumes of one name are on different grids.
        ImagingError: a volume, or its table, cannot be read.
    """
    main, shadow = (_label_volumes(folders.input / name) for name in (options.main, options.shadow))
    if not main and not shadow:
        raise NothingToDo("neither of the two models wrote a label volume")
    unpaired = sorted(set(main) ^ set(shadow))
    if unpaired:
        writer = options.main if unpaired[0] in main else options.shadow
        raise UnpairedVolume(f"{unpaired[0]}: only {writer} wrote it; both models have to segment the same volumes")
    overlaps: dict[str, Overlap] = defaultdict(Overlap)
    for number, name in enumerate(sorted(main), start=1):
        for label, overlap in compare_volumes(main[name], shadow[name]).items():
            overlaps[label] += overlap
        progress(100 * number / len(main), f"volume {number} of {len(main)}")
    print("\n".join(_table(overlaps)), flush=True)
    return StageResult(_summary(overlaps), {"volumes": len(main), **_facts(overlaps)})


def compare_volumes(main: Path, shadow: Path) -> dict[str, Overlap]:
    """The labels of two label volumes (.mhd) on one grid, by name.

    Raises:
        GridMismatch: they are on different grids.
        ImagingError: one of them, or its table, cannot be read.
    """
    (first, first_names), (second, second_names) = _read(main), _read(shadow)
    grid = grid_of(first)
    difference = grid_difference(grid_of(second), grid)
    if difference is not None:
        raise GridMismatch(
            f"{shadow}: is not on the grid of {main}: {difference}; both models have to keep their input's"
        )
    counts = _confusion(first, first_names, second, second_names)
    voxel = float(abs(np.linalg.det(grid.affine()))) / _CUBIC_MM_PER_ML
    rows, columns = _order(first_names), _order(second_names)
    return {
        name: Overlap(
            main=voxel * counts[rows[name]].sum() if name in rows else 0.0,
            shadow=voxel * counts[:, columns[name]].sum() if name in columns else 0.0,
            common=voxel * counts[rows[name], columns[name]] if name in rows and name in columns else 0.0,
        )
        for name in dict.fromkeys([*rows, *columns])
    }


def _label_volumes(folder: Path) -> dict[str, Path]:
    """The label volumes of a folder by their names; grey-value volumes are none."""
    return {path.name: path for path in sorted(folder.glob("*.mhd")) if read_label_table(path) is not None}


def _read(path: Path) -> tuple[sitk.Image, Mapping[int, str]]:
    """A label volume, and the names of its values."""
    image, table = read_volume(path), read_label_table(path)
    if table is None:
        raise LabelError(f"{path}: has no label table; write {labels_path(path).name} beside it")
    check_labels(sitk.GetArrayViewFromImage(image), table, path)
    return image, {label.value: label.name for label in table.labels}


def _confusion(
    first: sitk.Image, first_names: Mapping[int, str], second: sitk.Image, second_names: Mapping[int, str]
) -> npt.NDArray[np.int64]:
    """How many voxels have which label in the first (rows) and in the second (columns); 0 is background."""
    lookups = [_lookup(names) for names in (first_names, second_names)]
    shape = (len(_order(first_names)) + 1, len(_order(second_names)) + 1)
    counts = np.zeros(shape[0] * shape[1], np.int64)
    planes = zip(sitk.GetArrayViewFromImage(first), sitk.GetArrayViewFromImage(second), strict=True)
    for one, other in planes:
        joint = lookups[0][one] * shape[1] + lookups[1][other]
        counts += np.bincount(joint.ravel(), minlength=counts.size)
    return counts.reshape(shape)


def _order(names: Mapping[int, str]) -> dict[str, int]:
    """Labels by name, counted from 1."""
    return {name: index for index, name in enumerate(dict.fromkeys(names.values()), start=1)}


def _lookup(names: Mapping[int, str]) -> npt.NDArray[np.int64]:
    """Index of the label by value of the voxel; labels of one name share it."""
    order = _order(names)
    lookup = np.zeros(max(names, default=0) + 1, np.int64)
    for value, name in names.items():
        lookup[value] = order[name]
    return lookup


def _mean_dice(overlaps: Mapping[str, Overlap]) -> float | None:
    found = [overlap.dice for overlap in overlaps.values() if overlap.dice is not None]
    return sum(found) / len(found) if found else None


def _facts(overlaps: Mapping[str, Overlap]) -> dict[str, FactValue]:
    facts: dict[str, FactValue] = {}
    mean = _mean_dice(overlaps)
    if mean is not None:
        facts["mean_dice"] = round(mean, 4)
    for label, overlap in overlaps.items():
        if overlap.dice is not None:
            facts[f"{label}_dice"] = round(overlap.dice, 4)
        facts[f"{label}_main_ml"] = round(overlap.main, 3)
        facts[f"{label}_shadow_ml"] = round(overlap.shadow, 3)
        facts[f"{label}_difference_ml"] = round(overlap.difference, 3)
    return facts


def _summary(overlaps: Mapping[str, Overlap]) -> str:
    mean = _mean_dice(overlaps)
    if mean is None:
        return "neither model found any label"
    label, worst = max(overlaps.items(), key=lambda item: abs(item[1].difference))
    return f"mean Dice {mean:.3f}; largest difference of volume: {label}, {worst.difference:+.1f} ml"


def _table(overlaps: Mapping[str, Overlap]) -> list[str]:
    width = max(len(label) for label in (*overlaps, "label"))
    lines = [f"{'label':{width}} {'Dice':>6} {'main ml':>10} {'shadow ml':>10} {'difference':>11}"]
    for label, overlap in overlaps.items():
        dice = "-" if overlap.dice is None else f"{overlap.dice:.3f}"
        volumes = f"{overlap.main:10.1f} {overlap.shadow:10.1f} {overlap.difference:+11.1f}"
        lines.append(f"{label:{width}} {dice:>6} {volumes}")
    return [*lines, _summary(overlaps)]
