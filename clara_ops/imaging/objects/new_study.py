"""A study for volumes that no DICOM series is behind: placeholders that say so, UIDs that follow from the content."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from pydicom.dataset import Dataset

from clara_ops.contract.payload import Manifest
from clara_ops.contract.source import SourceMap, SourceSlice
from clara_ops.imaging.geometry import grid_of
from clara_ops.imaging.metaimage import read_volume
from clara_ops.imaging.objects.source_series import SourceSeries
from clara_ops.imaging.uids import derived_uid

PATIENT_NAME = "NO DICOM SOURCE"
STUDY_DESCRIPTION = "Made without DICOM source"
_COMMENT = "Placeholder: the volumes came without DICOM images. Match to a patient before use."


def new_study(volumes: Iterable[Path], manifest: Manifest | None) -> Dataset:
    """Patient and General Study Modules (DICOM PS3.3 sections C.7.1.1 and C.7.2.1) of a study that is made up.

    Patient ID and Study Instance UID follow from what the run was grouped by, else from the volumes' content: a retry
    and a later generation go into the same study, other volumes into another one of another patient.

    Args:
        volumes: those without a source.
        manifest: of the run.
    """
    origin = (manifest.workflow, manifest.ae_title, manifest.group) if manifest else (_content_digest(volumes),)
    header = Dataset()
    header.StudyInstanceUID = derived_uid("new study", *origin)
    header.PatientName = PATIENT_NAME
    header.PatientID = f"NO-SOURCE-{hashlib.sha256(header.StudyInstanceUID.encode()).hexdigest()[:16].upper()}"
    header.PatientBirthDate = header.PatientSex = ""
    header.PatientComments = _COMMENT
    header.StudyDescription = STUDY_DESCRIPTION
    header.StudyDate = header.StudyTime = header.StudyID = header.AccessionNumber = ""
    header.ReferringPhysicianName = header.PatientPosition = ""
    return header


def placeholder_source(image: sitk.Image, study: Dataset, modality: str) -> SourceSeries:
    """Planes on the grid of a volume, with no instance behind them.

    Volumes of a study on the same grid share a frame of reference; those on different ones may not be compared.

    Args:
        image: 3D, LPS mm; a left-handed grid is walked through from its last slice to its first.
        study: of `new_study`.
        modality: of the grey values.
    """
    grid = grid_of(right_handed(image))
    columns, rows, count = grid.size
    between_columns, between_rows, _ = grid.spacing
    place = derived_uid("frame of reference", study.StudyInstanceUID, repr(grid))
    affine = grid.affine()
    positions = [(affine[:3, 3] + index * affine[:3, 2]).tolist() for index in range(count)]
    normal = np.cross(*grid.axes[:2])
    slice_spacing = float(affine[:3, 2] @ normal)
    shear = affine[:3, 2] - slice_spacing * normal
    source = SourceMap(
        series_instance_uid=derived_uid("no series", place),
        study_instance_uid=study.StudyInstanceUID,
        frame_of_reference_uid=place,
        modality=modality,
        rows=rows,
        columns=columns,
        row_direction=grid.axes[0],
        column_direction=grid.axes[1],
        pixel_spacing=(between_rows, between_columns),
        slice_spacing=slice_spacing,
        slices=tuple(SourceSlice("", "", (x, y, z), 1.0, 0.0, "") for x, y, z in positions),
        shear=None if grid.is_right_angled() else (float(shear[0]), float(shear[1]), float(shear[2])),
    )
    return SourceSeries(source, (), study)


def right_handed(image: sitk.Image) -> sitk.Image:
    """The same voxels, each at its place, in the order of a DICOM series: the normal of a slice leads to the next."""
    return image[:, :, ::-1] if np.linalg.det(np.array(grid_of(image).axes)) < 0 else image


def _content_digest(volumes: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in sorted(volumes):
        image = read_volume(path)
        digest.update(repr(grid_of(image)).encode())
        digest.update(sitk.GetArrayViewFromImage(image).data)
    return digest.hexdigest()
