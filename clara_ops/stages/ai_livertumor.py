"""ai-livertumor: the liver by a network that Triton serves, and in it candidate lesions by rules on HU.

Not for diagnostic use: the rules (`clara_ops.imaging.lesions`) stand in for a network of its own.
"""

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from clara_ops.contract.errors import BadInput
from clara_ops.contract.labels import Code, Label, LabelTable
from clara_ops.contract.result import StageResult
from clara_ops.driver.folders import StageFolders
from clara_ops.driver.progress import Progress, share_of
from clara_ops.imaging.geometry import Grid
from clara_ops.imaging.label_table import write_label_table
from clara_ops.imaging.lesions import LesionRules, Lesions, find_lesions
from clara_ops.imaging.metaimage import read_volume, write_volume
from clara_ops.inference.client import TritonClient, triton_address
from clara_ops.inference.description import ModelDescription
from clara_ops.stages.network import add_network_arguments, check_names, segment_volume

DESCRIPTION = "finds candidate lesions of the liver in CT volumes by HU rules; not for diagnostic use"

LIVER_TYPE = Code("10200004", "SCT", "Liver")
LIVER = Label(1, "liver", (221, 130, 101), Code("91723000", "SCT", "Anatomical Structure"), LIVER_TYPE)
LESION = Label(
    2,
    "candidate lesion",
    (255, 220, 0),
    Code("49755003", "SCT", "Morphologically Abnormal Structure"),
    Code("52988006", "SCT", "Lesion"),
    anatomy=LIVER_TYPE,
)
"""Codes of DICOM PS3.16 CID 7150 and 7159. Not `Neoplasm`: the rules cannot tell one from a cyst."""
ALGORITHM, VERSION = "HU rules, not for diagnostic use", "1"
_LONG_STRING = 64
"""Most characters of the VR LO, DICOM PS3.5 section 6.2."""
WORDING = "candidate lesions by HU rules, not for diagnostic use"


class NoLiver(BadInput):
    """The model does not know the liver."""


def add_arguments(parser: ArgumentParser) -> None:
    """The options of the stage."""
    add_network_arguments(parser)
    parser.add_argument(
        "--drop", type=_positive, metavar="HU", help="below the liver's median; from its own deviation when not given"
    )
    parser.add_argument(
        "--minimum-ml", type=_positive, default=LesionRules.minimum_ml, metavar="ML",
        help="volume of the smallest lesion (%(default)s)",
    )  # fmt: skip


def run(folders: StageFolders, options: Namespace, progress: Progress) -> StageResult:
    """Write, for each input volume, a label volume of liver and candidate lesions under the same name, and its table.

    Returns:
        Facts over all volumes: `volumes`, `lesions` (their number), `lesions_ml`, `liver_ml` (the lesions included),
        and for each lesion, the largest first, `lesion_<n>_ml`.

    Raises:
        NoLiver: the model has no label with the code of the liver.
        BadInput: no volume, a wrong modality, or a name twice.
        InferenceError: Triton or the model cannot be reached, or failed.
    """
    volumes = folders.volumes()
    check_names(volumes)
    rules = LesionRules(options.drop, options.minimum_ml)
    liver_ml = 0.0
    lesions_ml: list[float] = []
    with TritonClient(options.triton or triton_address(), patience=options.timeout) as triton:
        model = triton.describe(options.model)
        liver_value = _liver_value(model)
        for index, path in enumerate(volumes):
            organs, grid = segment_volume(path, triton, model, share_of(progress, index, len(volumes)))
            found = _find(path, organs, liver_value, grid, rules)
            _write(folders.output / path.name, found, grid, model)
            liver_ml += int(np.count_nonzero(found.liver)) * _voxel_ml(grid)
            lesions_ml.extend(found.volumes_ml)
    facts = {
        "volumes": len(volumes),
        "lesions": len(lesions_ml),
        "lesions_ml": round(sum(lesions_ml), 1),
        "liver_ml": round(liver_ml, 1),
        **dict(_each(lesions_ml)),
    }
    return StageResult(reason=WORDING, facts=facts)


def _liver_value(model: ModelDescription) -> int:
    for label in model.labels.labels:
        if (label.type.value, label.type.scheme) == (LIVER_TYPE.value, LIVER_TYPE.scheme):
            return label.value
    raise NoLiver(
        f"model {model.name!r}: no label of type {LIVER_TYPE.value} ({LIVER_TYPE.scheme}, liver); "
        "name a model that segments the liver with --model"
    )


def _find(path: Path, organs: npt.NDArray[np.uint8], liver_value: int, grid: Grid, rules: LesionRules) -> Lesions:
    hounsfield = sitk.GetArrayFromImage(read_volume(path))
    liver = organs == liver_value
    return find_lesions(hounsfield, liver, (organs != 0) & ~liver, grid.spacing, rules)


def _write(path: Path, found: Lesions, grid: Grid, model: ModelDescription) -> None:
    labels = found.liver.astype(np.uint8) * np.uint8(LIVER.value)
    labels[found.labels > 0] = LESION.value
    write_volume(path, labels, grid)
    version = f"{VERSION}, liver by {model.labels.algorithm_name}"[:_LONG_STRING]
    write_label_table(LabelTable(ALGORITHM, version, (LIVER, LESION)), path)


def _each(lesions_ml: list[float]) -> Iterator[tuple[str, float]]:
    for number, volume in enumerate(sorted(lesions_ml, reverse=True), start=1):
        yield f"lesion_{number}_ml", round(volume, 2)


def _voxel_ml(grid: Grid) -> float:
    return float(abs(np.linalg.det(grid.affine()))) / 1000


def _positive(text: str) -> float:
    if not 0 < (value := float(text)) < float("inf"):
        raise ArgumentTypeError(f"{text}: has to be above zero")
    return value
