"""ai-vnet: segments every volume of the input with a network that Triton serves."""

import logging
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from clara_ops.contract.documents import read_document
from clara_ops.contract.errors import BadInput
from clara_ops.contract.labels import LabelTable
from clara_ops.contract.result import StageResult
from clara_ops.contract.source import SourceMap
from clara_ops.driver.folders import StageFolders
from clara_ops.driver.outputs import SOURCE_SUFFIX
from clara_ops.driver.progress import Progress
from clara_ops.imaging.geometry import Grid, grid_of
from clara_ops.imaging.label_table import write_label_table
from clara_ops.imaging.metaimage import read_volume, write_volume
from clara_ops.inference.client import TritonClient, triton_address
from clara_ops.inference.description import ModelDescription
from clara_ops.inference.grid import to_model_grid, to_source_grid
from clara_ops.inference.tiling import plan_tiles, segment

DESCRIPTION = "segments organs in CT volumes: .mhd to label .mhd, by a network that Triton serves"

Float = npt.NDArray[np.float32]

log = logging.getLogger(__name__)


class WrongModality(BadInput):
    """A volume of another modality than the model was made for."""


class SameName(BadInput):
    """Two input volumes whose results would have the same name."""


def add_arguments(parser: ArgumentParser) -> None:
    """The options of the stage."""
    parser.add_argument("--model", default="ct_organs_demo", help="name in Triton's model repository (%(default)s)")
    parser.add_argument("--triton", metavar="HOST:PORT", help="Triton's gRPC service (environment: CLARA_TRITON_GRPC)")
    parser.add_argument(
        "--timeout", type=float, default=30, metavar="SECONDS", help="to wait for Triton and the model (%(default)s)"
    )


def run(folders: StageFolders, options: Namespace, progress: Progress) -> StageResult:
    """Write, for each input volume, a label volume on the same grid under the same name, and its label table.

    Returns:
        Facts: `volumes`, and for each label `<label>_voxels` and `<label>_ml`, added up over all volumes.

    Raises:
        BadInput: no volume, a wrong modality, or a name twice.
        InferenceError: Triton or the model cannot be reached, or failed.
    """
    volumes = folders.volumes()
    _check_names(volumes)
    totals: dict[str, float] = {}
    with TritonClient(options.triton or triton_address(), patience=options.timeout) as triton:
        model = triton.describe(options.model)
        for index, path in enumerate(volumes):
            labels, grid = _segment(path, triton, model, _share(progress, index, len(volumes)))
            write_volume(folders.output / path.name, labels, grid)
            write_label_table(model.labels, folders.output / path.name)
            for fact, amount in _measure(labels, grid, model.labels).items():
                totals[fact] = totals.get(fact, 0) + amount
    return StageResult(facts={"volumes": len(volumes), **{fact: round(total, 1) for fact, total in totals.items()}})


def _segment(
    path: Path, triton: TritonClient, model: ModelDescription, progress: Progress
) -> tuple[npt.NDArray[np.uint8], Grid]:
    """Labels (slices, rows, columns) of a volume, and its grid."""
    _check_modality(path, model)
    image = read_volume(path)
    grid = grid_of(image)
    voxels, model_grid = to_model_grid(image, model.input)
    del image
    plan = plan_tiles(model_grid.size, multiple_of=model.input.multiple_of, largest_tile=model.input.largest_tile)
    log.info("%s: %s voxels at %g mm, tiles: %d", path.name, model_grid.size, model.input.spacing_mm, plan.count)
    progress(5, "read")

    def predict(tile: Float) -> Float:
        return triton.scores(model, tile)

    def tile_done(count: int) -> None:
        progress(5 + 85 * count / plan.count, f"tile {count} of {plan.count}")

    labels = segment(voxels, plan, predict, outside=model.input.outside, done=tile_done)
    return to_source_grid(labels, model_grid, grid), grid


def _check_modality(path: Path, model: ModelDescription) -> None:
    """Refuse a volume of the wrong modality; one without a source map was not DICOM, and its sender knows best."""
    source = path.with_name(path.stem + SOURCE_SUFFIX)
    if source.is_file() and (modality := read_document(SourceMap, source).modality) != model.input.modality:
        raise WrongModality(
            f"{path}: is {modality}, and model {model.name!r} was made for {model.input.modality}; "
            "send this series to another workflow, or name a model for it with --model"
        )


def _measure(labels: npt.NDArray[np.uint8], grid: Grid, table: LabelTable) -> dict[str, float]:
    """For each label the number of its voxels, and their volume in ml."""
    counts = np.sum([np.bincount(plane.ravel(), minlength=256) for plane in labels], axis=0)
    voxel_ml = float(abs(np.linalg.det(grid.affine()))) / 1000
    facts: dict[str, float] = {}
    for label in table.labels:
        name, count = label.name.replace(" ", "_"), int(counts[label.value])
        facts |= {f"{name}_voxels": count, f"{name}_ml": count * voxel_ml}
    return facts


def _share(progress: Progress, index: int, count: int) -> Progress:
    """The progress of one volume of several, as a part of the whole."""

    def report(percent: float, message: str = "", /) -> None:
        progress((100 * index + percent) / count, f"volume {index + 1} of {count}: {message}")

    return report


def _check_names(volumes: Sequence[Path]) -> None:
    seen: dict[str, Path] = {}
    for path in volumes:
        if (other := seen.setdefault(path.name, path)) is not path:
            raise SameName(
                f"{other} and {path}: have one name, so their results would too; "
                "give this stage the volumes of one stage only"
            )
