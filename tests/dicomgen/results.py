"""What a model would write: labels of the phantom, on any grid, with a label table."""

import shutil
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from clara_ops.contract.labels import Code, Label, LabelTable
from clara_ops.imaging.label_table import write_label_table
from tests.dicomgen.phantom import voxel_centres
from tests.dicomgen.series import Array

ORGAN = Code("123037004", "SCT", "Anatomical Structure")
LEFT = Code("7771000", "SCT", "Left")
TABLE = LabelTable(
    algorithm_name="phantom-net",
    algorithm_version="1.2",
    labels=(
        Label(3, "Liver", (200, 60, 60), ORGAN, Code("10200004", "SCT", "Liver")),
        Label(
            7, "Left kidney", (60, 200, 60), ORGAN, Code("64033007", "SCT", "Kidney"), Code("7771000", "SCT", "Left")
        ),
        Label(9, "Spleen", (60, 60, 200), ORGAN, Code("78961009", "SCT", "Spleen")),
    ),
)
"""Values with gaps; the last one is nowhere in the phantom."""


def label_at(points: Array) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """The label at points (..., 3), LPS mm: an asymmetric shape, so that every flip and swap of axes changes it."""
    x, y, z = np.moveaxis(points, -1, 0)
    liver = (x > -18.0) & (y > -26.0) & (z > -99.0) & (x + 0.3 * y + 0.1 * z < -27.0)
    kidney = (x < -15.0) & (y < -24.0) & (z < -96.0)
    return np.where(kidney, 7, np.where(liver, 3, 0)).astype(np.uint8)


def label_image(grid: sitk.Image) -> sitk.Image:
    """The phantom's labels on the grid of an image."""
    labels = sitk.GetImageFromArray(label_at(voxel_centres(grid)))
    labels.CopyInformation(grid)
    return labels


def write_labels(volume: Path, folder: Path, labels: sitk.Image, table: LabelTable = TABLE) -> Path:
    """Write a label volume with its table, and the source map of the volume that it was made from."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / volume.name
    sitk.WriteImage(labels, str(path))
    write_label_table(table, path)
    shutil.copy(volume.with_suffix(".source.json"), folder)
    return path
