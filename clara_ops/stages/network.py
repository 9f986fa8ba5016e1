"""What stages that run a segmentation network share: options, checks, and a volume's way through Triton."""

import logging
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from clara_ops.contract.documents import read_document
from clara_ops.contract.errors import BadInput
from clara_ops.contract.labels import LabelTable
from clara_ops.contract.source import SourceMap
from clara_ops.driver.outputs import SOURCE_SUFFIX
from clara_ops.driver.progress import Progress
from clara_ops.imaging.geometry import Grid, grid_of
from clara_ops.imaging.metaimage import read_volume
from clara_ops.inference.client import TritonClient
from clara_ops.inference.description import ModelDescription
from clara_ops.inference.grid import to_model_grid, to_source_grid
from clara_ops.inference.tiling import plan_tiles, segment

Float = npt.NDArray[np.float32]

log = logging.getLogger(__name__)


class WrongModality(BadInput):
    """A volume of another modality than the model was made for."""


class SameName(BadInput):
    """Two input volumes whose results would have the same name."""


def add_network_arguments(parser: ArgumentParser) -> None:
    """The options that say which network runs where."""
    parser.add_argument("--model", default="ct_organs_demo", help="name in Triton's model repository (%(default)s)")
    parser.add_argument("--triton", metavar="HOST:PORT", help="Triton's gRPC service (environment: CLARA_TRITON_GRPC)")
    parser.add_argument(
        "--timeout", type=float, default=30, metavar="SECONDS", help="to wait for Triton and the model (%(default)s)"
    )


def check_names(volumes: Sequence[Path]) -> None:
    """Refuse volumes whose results would have one name.

    Raises:
        SameName: naming both.
    """
    seen: dict[str, Path] = {}
    for path in volumes:
        if (other := seen.setdefault(path.name, path)) is not path:
            raise SameName(
                f"{other} and {path}: have one name, so their results would too; "
                "give this stage the volumes of one stage only"
            )


def segment_volume(
    path: Path, triton: TritonClient, model: ModelDescription, progress: Progress
) -> tuple[npt.NDArray[np.uint8], Grid]:
    """Labels (slices, rows, columns) of a volume by a network, and its grid.

    Raises:
        WrongModality: the volume is of another modality than the model was made for.
        InferenceError: Triton or the model cannot be reached, or failed.
    """
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


def label_facts(labels: npt.NDArray[np.uint8], grid: Grid, table: LabelTable) -> dict[str, float]:
    """For each label the number of its voxels, and their volume in ml."""
    counts = np.sum([np.bincount(plane.ravel(), minlength=256) for plane in labels], axis=0)
    voxel_ml = float(abs(np.linalg.det(grid.affine()))) / 1000
    facts: dict[str, float] = {}
    for label in table.labels:
        name, count = label.name.replace(" ", "_"), int(counts[label.value])
        facts |= {f"{name}_voxels": count, f"{name}_ml": count * voxel_ml}
    return facts
