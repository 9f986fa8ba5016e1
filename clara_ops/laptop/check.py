"""Is what the PACS holds right? The results of a series are fetched from it and held against what was sent."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from clara_ops.laptop.errors import ResultWrong
from clara_ops.laptop.pacs import Pacs
from clara_ops.laptop.pacs_client import find_series, get_series

POSITION_TOLERANCE_MM = 0.01
ORIENTATION_TOLERANCE = 1e-4
SPACING_TOLERANCE_MM = 1e-4


@dataclass(frozen=True)
class Results:
    """What was found in the PACS, and checked.

    Attributes:
        series: Series Instance UID to (Modality, Series Description, number of instances).
        volumes: segment label to its volume in millilitres.
        overlay: the images that a person looks at, in slice order; empty where the workflow makes none.
    """

    series: Mapping[str, tuple[str, str, int]]
    volumes: Mapping[str, float]
    overlay: tuple[Dataset, ...]


@dataclass(frozen=True)
class _Source:
    """The grid and the instances of the series that was sent; positions in mm, LPS, one row a slice."""

    study_uid: str
    series_uid: str
    frame_of_reference_uid: str
    rows: int
    columns: int
    spacing: tuple[float, float]
    orientation: NDArray[np.float64]
    positions: NDArray[np.float64]
    instance_uids: frozenset[str]
    slice_distance: float


def check_results(pacs: Pacs, calling_ae: str, sent: Sequence[Path], required_modalities: Iterable[str]) -> Results:
    """Fetch every series of results in the study of the sent series, and check each on the source's grid.

    Raises:
        ResultWrong: there is no result, a required modality is missing, or a result is not on the source's grid.
        LaptopError: the PACS does not answer.
    """
    source = _read_source(sent)
    answers = find_series(pacs, calling_ae, source.study_uid)
    found = {str(answer.SeriesInstanceUID): answer for answer in answers}
    found.pop(source.series_uid, None)
    missing = set(required_modalities) - {answer.Modality for answer in found.values()}
    if not found or missing:
        has = ", ".join(sorted(answer.Modality for answer in found.values())) or "nothing else"
        raise ResultWrong(
            f"study {source.study_uid} in {pacs.ae_title}: no {', '.join(missing) or 'result'}; it has {has}"
        )
    series: dict[str, tuple[str, str, int]] = {}
    volumes: dict[str, float] = {}
    overlay: list[Dataset] = []
    for uid, answer in found.items():
        instances = get_series(pacs, calling_ae, source.study_uid, uid)
        series[uid] = (str(answer.Modality), str(answer.get("SeriesDescription", "")), len(instances))
        for instance in instances:
            if instance.Modality == "SEG":
                volumes.update(_check_segmentation(instance, source))
            else:
                _check_image(instance, source)
        if instances[0].Modality != "SEG" and (not overlay or instances[0].SamplesPerPixel == 3):
            overlay = _in_slice_order(instances, source)
    if "SEG" in required_modalities and not any(volumes.values()):
        raise ResultWrong(f"the segmentation of series {source.series_uid} is empty")
    return Results(series, volumes, tuple(overlay))


def _read_source(files: Sequence[Path]) -> _Source:
    headers = [pydicom.dcmread(file, stop_before_pixels=True) for file in files]
    first = headers[0]
    orientation = np.array(first.ImageOrientationPatient, dtype=float)
    positions = np.array([header.ImagePositionPatient for header in headers], dtype=float)
    along = np.sort(positions @ np.cross(orientation[:3], orientation[3:]))
    row_spacing, column_spacing = (float(value) for value in first.PixelSpacing)
    return _Source(
        study_uid=str(first.StudyInstanceUID),
        series_uid=str(first.SeriesInstanceUID),
        frame_of_reference_uid=str(first.FrameOfReferenceUID),
        rows=int(first.Rows),
        columns=int(first.Columns),
        spacing=(row_spacing, column_spacing),
        orientation=orientation,
        positions=positions,
        instance_uids=frozenset(str(header.SOPInstanceUID) for header in headers),
        slice_distance=float(np.median(np.diff(along))),
    )


def _check_segmentation(instance: Dataset, source: _Source) -> dict[str, float]:
    """Volumes in ml by segment label, after the object's geometry and references were checked."""
    where = f"segmentation {instance.SOPInstanceUID}"
    _require(instance.FrameOfReferenceUID == source.frame_of_reference_uid, where, "another Frame of Reference UID")
    shared = instance.SharedFunctionalGroupsSequence[0]
    measures, plane = shared.PixelMeasuresSequence[0], shared.PlaneOrientationSequence[0]
    _check_plane(instance, measures.PixelSpacing, plane.ImageOrientationPatient, source, where)
    frames = instance.PerFrameFunctionalGroupsSequence
    for frame in frames:
        _check_position(frame.PlanePositionSequence[0].ImagePositionPatient, source, where)
    referenced = {
        str(item.ReferencedSOPInstanceUID)
        for series in instance.ReferencedSeriesSequence
        for item in series.ReferencedInstanceSequence
    }
    _require(referenced <= source.instance_uids, where, "it refers to instances that were not sent")
    voxel_ml = source.spacing[0] * source.spacing[1] * source.slice_distance / 1000
    pixels = instance.pixel_array.reshape(len(frames), source.rows, source.columns)
    labels = {int(segment.SegmentNumber): str(segment.SegmentLabel) for segment in instance.SegmentSequence}
    volumes = dict.fromkeys(labels.values(), 0.0)
    for frame, mask in zip(frames, pixels, strict=True):
        number = int(frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
        volumes[labels[number]] += float(np.count_nonzero(mask)) * voxel_ml
    return volumes


def _check_image(instance: Dataset, source: _Source) -> None:
    where = f"{instance.Modality} image {instance.SOPInstanceUID}"
    _require(instance.FrameOfReferenceUID == source.frame_of_reference_uid, where, "another Frame of Reference UID")
    _check_plane(instance, instance.PixelSpacing, instance.ImageOrientationPatient, source, where)
    _check_position(instance.ImagePositionPatient, source, where)


def _check_plane(
    instance: Dataset, spacing: Sequence[float], orientation: Sequence[float], source: _Source, where: str
) -> None:
    _require(
        (instance.Rows, instance.Columns) == (source.rows, source.columns), where, "another number of rows or columns"
    )
    same_spacing = np.allclose(np.array(spacing, dtype=float), source.spacing, atol=SPACING_TOLERANCE_MM)
    _require(same_spacing, where, "another Pixel Spacing")
    same_orientation = np.allclose(np.array(orientation, dtype=float), source.orientation, atol=ORIENTATION_TOLERANCE)
    _require(same_orientation, where, "another Image Orientation (Patient)")


def _check_position(position: Sequence[float], source: _Source, where: str) -> None:
    distances = np.linalg.norm(source.positions - np.array(position, dtype=float), axis=1)
    _require(float(distances.min()) < POSITION_TOLERANCE_MM, where, f"no source slice at {list(position)}")


def _in_slice_order(instances: Sequence[Dataset], source: _Source) -> list[Dataset]:
    normal = np.cross(source.orientation[:3], source.orientation[3:])
    return sorted(instances, key=lambda image: float(np.dot(np.array(image.ImagePositionPatient, dtype=float), normal)))


def _require(condition: bool, where: str, what: str) -> None:
    if not condition:
        raise ResultWrong(
            f"{where}: {what} than the series that was sent" if what.startswith("another") else f"{where}: {what}"
        )
