"""Stage dicom-writer: every volume of the input becomes DICOM objects in the study that it was made from.

Where there is no DICOM input at all, the objects go into a study that is made up, and say so.

A label volume (with `<name>.labels.json`) becomes a Segmentation, a series of overlay pictures, and whatever else is
asked for; any other volume becomes a series like its source.
"""

import hashlib
import logging
from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt
import SimpleITK as sitk
from pydicom.dataset import Dataset

from clara_ops.contract.documents import read_document, write_document
from clara_ops.contract.labels import LabelTable
from clara_ops.contract.payload import Manifest
from clara_ops.contract.result import StageResult
from clara_ops.contract.written import OBJECTS, WrittenObject, WrittenObjects
from clara_ops.driver.folders import StageFolders
from clara_ops.driver.progress import Progress
from clara_ops.imaging.dicom_file import save_dicom
from clara_ops.imaging.errors import MissingSource
from clara_ops.imaging.label_table import check_labels, read_label_table
from clara_ops.imaging.metaimage import read_volume
from clara_ops.imaging.objects.derived_series import derived_images
from clara_ops.imaging.objects.label_objects import Wanted, label_objects
from clara_ops.imaging.objects.new_study import new_study, placeholder_source, right_handed
from clara_ops.imaging.objects.predecessors import refer_to_predecessor
from clara_ops.imaging.objects.result_modules import UNKNOWN_DATE, UNKNOWN_TIME, ResultSeries
from clara_ops.imaging.objects.series_policy import Kind, SeriesPolicy
from clara_ops.imaging.objects.source_series import SourceSeries, find_source, open_source
from clara_ops.imaging.reading.headers import scan_folder
from clara_ops.imaging.reading.planes import values
from clara_ops.imaging.resample import fit_to_source
from clara_ops.imaging.source_map import read_source_map, source_path
from clara_ops.imaging.uids import derived_uid
from clara_ops.stages.writer_options import add_arguments, policy_of, wanted_of

__all__ = ["DESCRIPTION", "add_arguments", "run"]

DESCRIPTION = "write every volume of the input as DICOM objects in the study that it was made from"

_WITHOUT_SOURCE = "no DICOM input: written into a new study of a placeholder patient"

logger = logging.getLogger(__name__)


def run(folders: StageFolders, options: Namespace, progress: Progress) -> StageResult:
    """Write at least one DICOM object, `<SOPInstanceUID>.dcm`, for every volume of the input.

    Raises:
        MissingSource: there is DICOM input, and the series that a volume was made from cannot be found in it.
        GridMismatch, LabelError, VolumeError: a volume that cannot be written rightly.
    """
    volumes = folders.volumes()
    manifest = read_document(Manifest, folders.manifest) if folders.manifest else None
    study = _study_without_source(volumes, folders.dicom, manifest)
    context = _Context(folders.dicom, manifest, wanted_of(options), policy_of(options), study, options.modality)
    predecessors = {found.lineage: found for found in manifest.predecessors} if manifest else {}
    written: list[WrittenObject] = []
    for number, path in enumerate(volumes):
        result = _read_result(path, context)
        total = len(result.source.map.slices)
        for done, dataset in enumerate(_objects(result, context), start=1):
            entry = _entry(dataset, path.relative_to(folders.input), result)
            if predecessor := predecessors.get(entry.lineage):
                refer_to_predecessor(dataset, predecessor)
            save_dicom(dataset, folders.output)
            written.append(entry)
            progress(100 * (number + min(done / (total + 1), 1)) / len(volumes), f"writing {dataset.Modality} objects")
    write_document(WrittenObjects(tuple(written)), folders.output / OBJECTS)
    facts = {"volumes": len(volumes), "objects": len(written), "new_study": study is not None}
    return StageResult(reason=_WITHOUT_SOURCE if study else None, facts=facts)


@dataclass(frozen=True, eq=False)
class _Context:
    """What the volumes of a run share.

    Attributes:
        study: what volumes without source map go into; None where there is DICOM input, or all of them have one.
        modality: of the grey values of volumes without source.
    """

    dicom: Path | None
    manifest: Manifest | None
    wanted: Wanted
    policy: SeriesPolicy
    study: Dataset | None
    modality: str


@dataclass(frozen=True, eq=False)
class _Result:
    """A volume on the grid of its source.

    Attributes:
        voxels: (slices, rows, columns).
        identity: what makes this result another one than any other: run, source and content.
        content_date: DA, and `content_time` TM.
    """

    voxels: npt.NDArray[Any]
    table: LabelTable | None
    source: SourceSeries
    identity: tuple[str, ...]
    content_date: str
    content_time: str


def _study_without_source(volumes: Sequence[Path], dicom: Path | None, manifest: Manifest | None) -> Dataset | None:
    """A new study for the volumes that no DICOM image can be behind, since there is none."""
    without = [path for path in volumes if not source_path(path).is_file()]
    if not without or (dicom and scan_folder(dicom).instances):
        return None
    study = new_study(without, manifest)
    logger.warning("%s: %s", _WITHOUT_SOURCE, ", ".join(path.name for path in without))
    return study


def _read_result(path: Path, context: _Context) -> _Result:
    table = read_label_table(path)
    image = read_volume(path)
    if table:
        check_labels(sitk.GetArrayViewFromImage(image), table, path)
    if context.study and not source_path(path).is_file():
        image = right_handed(image)
        source = placeholder_source(image, context.study, context.modality)
    else:
        source = _source_of(path, context.dicom)
    voxels, difference = fit_to_source(image, source.map, nearest=table is not None, where=str(path))
    if difference:
        logger.warning("%s: resampled onto the grid of its source: %s", path.name, difference)
    content_date, content_time = _content_moment(context.manifest, source.header)
    digest = hashlib.sha256(voxels.data)
    digest.update(repr((table, context.wanted.segmentation, context.policy)).encode())
    run_id = context.manifest.run_id if context.manifest else ""
    identity = (run_id, source.map.series_instance_uid, digest.hexdigest())
    return _Result(voxels, table, source, identity, content_date, content_time)


def _source_of(path: Path, dicom: Path | None) -> SourceSeries:
    if dicom is None:
        raise MissingSource(f"{path}: the DICOM files that it was made from are needed; name their folder with --dicom")
    source_map = read_source_map(path)
    if source_map:
        return open_source(source_map, dicom)
    found = find_source(dicom, path.stem)
    if found is None:
        raise MissingSource(
            f"{path}: has no source map beside it, and no series with the UID of its name is in {dicom}; "
            "copy the .source.json of the volume that it was made from, or name it by its Series Instance UID"
        )
    return found


def _content_moment(manifest: Manifest | None, header: Dataset) -> tuple[str, str]:
    """Date and time of a result: the manifest's, else the study's, never the clock's: a retry makes the same object."""
    if manifest:
        return manifest.content_date, manifest.content_time
    date, time = values(header.get("StudyDate")), values(header.get("StudyTime"))
    return (date[0], time[0] if time else UNKNOWN_TIME) if date else (UNKNOWN_DATE, UNKNOWN_TIME)


def _objects(result: _Result, context: _Context) -> Iterator[Dataset]:
    def series_of(kind: Kind) -> ResultSeries:
        return _series(result, kind, context)

    if result.table is None:
        return derived_images(result.voxels, result.source, series_of(Kind.IMAGES))
    return label_objects(result.voxels, result.table, result.source, context.wanted, series_of)


def _entry(dataset: Dataset, volume: Path, result: _Result) -> WrittenObject:
    """What is noted of an object. Its lineage is of the volume's name, the source and the algorithm, not of the run."""
    algorithm = result.table.algorithm_name if result.table else ""
    origin = (volume.as_posix(), result.source.map.series_instance_uid, algorithm)
    return WrittenObject(
        sop_class_uid=str(dataset.SOPClassUID),
        sop_instance_uid=str(dataset.SOPInstanceUID),
        series_instance_uid=str(dataset.SeriesInstanceUID),
        study_instance_uid=str(dataset.StudyInstanceUID),
        lineage=derived_uid("lineage", *origin, dataset.Modality, str(dataset.InstanceNumber)),
    )


def _series(result: _Result, kind: Kind, context: _Context) -> ResultSeries:
    policy = context.policy
    model = (result.table.algorithm_name, result.table.algorithm_version) if result.table else ("unknown", "unknown")
    header = result.source.header
    detail = [str(context.wanted.surface_detail_mm)] if kind is Kind.SURFACES else []
    number = values(header.get("SeriesNumber"))
    return ResultSeries(
        uid=derived_uid("series", kind.value, *model, *result.identity, *detail),
        number=policy.number(kind, int(number[0]) if number else 0),
        description=policy.described(kind, model, str(header.get("SeriesDescription") or "")),
        content_date=result.content_date,
        content_time=result.content_time,
        model=model,
        notice=policy.notice,
    )
