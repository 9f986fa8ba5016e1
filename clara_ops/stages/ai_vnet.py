"""ai-vnet: segments every volume of the input with a network that Triton serves."""

from argparse import ArgumentParser, Namespace

from clara_ops.contract.result import StageResult
from clara_ops.driver.folders import StageFolders
from clara_ops.driver.progress import Progress, share_of
from clara_ops.imaging.label_table import write_label_table
from clara_ops.imaging.metaimage import write_volume
from clara_ops.inference.client import TritonClient, triton_address
from clara_ops.stages.network import add_network_arguments, check_names, label_facts, segment_volume

DESCRIPTION = "segments organs in CT volumes: .mhd to label .mhd, by a network that Triton serves"


def add_arguments(parser: ArgumentParser) -> None:
    """The options of the stage."""
    add_network_arguments(parser)


def run(folders: StageFolders, options: Namespace, progress: Progress) -> StageResult:
    """Write, for each input volume, a label volume on the same grid under the same name, and its label table.

    Returns:
        Facts: `volumes`, and for each label `<label>_voxels` and `<label>_ml`, added up over all volumes.

    Raises:
        BadInput: no volume, a wrong modality, or a name twice.
        InferenceError: Triton or the model cannot be reached, or failed.
    """
    volumes = folders.volumes()
    check_names(volumes)
    totals: dict[str, float] = {}
    with TritonClient(options.triton or triton_address(), patience=options.timeout) as triton:
        model = triton.describe(options.model)
        for index, path in enumerate(volumes):
            labels, grid = segment_volume(path, triton, model, share_of(progress, index, len(volumes)))
            write_volume(folders.output / path.name, labels, grid)
            write_label_table(model.labels, folders.output / path.name)
            for fact, amount in label_facts(labels, grid, model.labels).items():
                totals[fact] = totals.get(fact, 0) + amount
    return StageResult(facts={"volumes": len(volumes), **{fact: round(total, 1) for fact, total in totals.items()}})
