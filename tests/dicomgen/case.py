"""Results of the phantom, from its series through dicom-reader to what dicom-writer makes of its labels."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
import SimpleITK as sitk
from pydicom.dataset import Dataset

from clara_ops.contract.documents import write_document
from clara_ops.contract.payload import Manifest
from clara_ops.contract.written import WrittenObject
from tests.dicomgen.results import write_labels
from tests.dicomgen.series import Array, Geometry, write_series
from tests.dicomgen.stage import run_reader, run_writer

SERIES = "1.2.826.0.1.1.1"
OBLIQUE = Geometry(
    row_direction=(0.8, 0.36, -0.48), column_direction=(0.0, 0.8, 0.6), step=(0.6 * 3, -0.48 * 3, 0.64 * 3)
)
STACKS = {
    "axial": Geometry(),
    "feet first": Geometry(row_direction=(-1.0, 0.0, 0.0), origin=(-11.75, -30.0, -100.0)),
    "sagittal": Geometry(
        row_direction=(0.0, 1.0, 0.0),
        column_direction=(0.0, 0.0, -1.0),
        origin=(-20.0, -30.0, -88.0),
        step=(2.0, 0.0, 0.0),
    ),
    "oblique": OBLIQUE,
    "tilted gantry": Geometry(column_direction=(0.0, 0.96, -0.28), origin=(-20.0, -30.0, -97.0), step=(0.0, 0.0, 2.0)),
}
"""Stacks in every direction, each where the phantom's labels are."""


@dataclass(frozen=True)
class Case:
    """A series of the phantom, read into a volume."""

    dicom: Path
    volume: Path
    folder: Path

    @property
    def image(self) -> sitk.Image:
        return sitk.ReadImage(str(self.volume))

    def write(self, labels: sitk.Image, *arguments: str, manifest: Path | None = None) -> list[Dataset]:
        """The objects that dicom-writer makes of a label volume."""
        write_labels(self.volume, self.folder / "labels", labels)
        return self.objects(*arguments, manifest=manifest)

    def objects(self, *arguments: str, manifest: Path | None = None) -> list[Dataset]:
        run_writer(self.folder / "labels", self.dicom, self.folder / "results", *arguments, manifest=manifest)
        return objects_in(self.folder / "results")


def objects_in(folder: Path) -> list[Dataset]:
    """The objects of a folder, by modality and number."""
    objects = [pydicom.dcmread(path) for path in sorted(folder.glob("*.dcm"))]
    return sorted(objects, key=lambda found: (found.Modality, found.InstanceNumber))


def make_case(folder: Path, images: list[Dataset], *arguments: str) -> Case:
    write_series(images, folder / "dicom")
    run_reader(folder / "dicom", folder / "volumes", *arguments)
    (volume,) = (folder / "volumes").glob("*.mhd")
    return Case(folder / "dicom", volume, folder)


def points_of(image: Dataset) -> Array:
    """Where the voxels of a single-frame image are."""
    return plane_points(
        image.Rows, image.Columns, image.ImagePositionPatient, image.ImageOrientationPatient, image.PixelSpacing
    )


def plane_points(rows: int, columns: int, position: Any, orientation: Any, spacing: Any) -> Array:
    """Centres of the voxels of one plane, (rows, columns, 3), by the attributes of DICOM PS3.3 section C.7.6.2."""
    x, y, z = map(float, position)
    numbers = [float(component) for component in orientation]
    between_rows, between_columns = map(float, spacing)
    return Geometry(
        rows=rows,
        columns=columns,
        row_direction=(numbers[0], numbers[1], numbers[2]),
        column_direction=(numbers[3], numbers[4], numbers[5]),
        origin=(x, y, z),
        pixel_spacing=(between_rows, between_columns),
    ).points(0)


def sources_of(case: Case) -> dict[str, Dataset]:
    images = [pydicom.dcmread(path) for path in case.dicom.iterdir()]
    return {str(image.SOPInstanceUID): image for image in images}


def manifest(
    folder: Path, run_id: str = "ct-ai-0123456789abcdef0123-g1", predecessors: tuple[WrittenObject, ...] = ()
) -> Path:
    path = folder / "payload.json"
    write_document(
        Manifest(
            run_id=run_id,
            workflow="w",
            ae_title="CT_AI",
            calling_ae="PACS",
            group=SERIES,
            generation=int(run_id.rpartition("g")[2]),
            created="2026-03-01T04:05:06Z",
            content_date="20260301",
            content_time="040506",
            instances=(),
            predecessors=predecessors,
        ),
        path,
    )
    return path
