"""Stage dicom-writer: every volume of the input becomes DICOM objects in the study that it was made from.

Where there is no DICOM input at all, the objects go into a study that is made up, and say so.

A label volume (with `<name>.labels.json`) becomes a Segmentation, a series of overlay pictures, and whatever else is
asked for; any other volume becomes a series like its source.
"""

import hashlib
import logging
from argparse import ArgumentParser, ArgumentTypeError, Namespace
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
from clara_ops.imaging.derived_series import derived_images
from clara_ops.imaging.dicom_file import save_dicom
from clara_ops.imaging.errors import MissingSource
from clara_ops.imaging.headers import scan_folder
from clara_ops.imaging.label_objects import Wanted, label_objects
from clara_ops.imaging.label_table import check_labels, read_label_table
from clara_ops.imaging.metaimage import read_volume
from clara_ops.imaging.new_study import new_study, placeholder_source, right_handed
from clara_ops.imaging.planes import values
from clara_ops.imaging.predecessors import refer_to_predecessor
from clara_ops.imaging.resample import fit_to_source
from clara_ops.imaging.result_modules import ResultSeries
from clara_ops.imaging.segmentation import SegmentationForm, SegmentationType
from clara_ops.imaging.series_policy import NOTICE, PLACES, Kind, SeriesPolicy, checked_description, checked_number
from clara_ops.imaging.source_map import read_source_map, source_path
from clara_ops.imaging.source_series import SourceSeries, find_source, open_source
from clara_ops.imaging.uids import derived_uid

DESCRIPTION = "write every volume of the input as DICOM objects in the study that it was made from"

_WITHOUT_SOURCE = "no DICOM input: written into a new study of a placeholder patient"
_COARSEST_DETAIL = 50
_UNKNOWN_DATE, _UNKNOWN_TIME = "19000101", "000000"

logger = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--segmentation",
        choices=[kind.lower() for kind in SegmentationType],
        default=SegmentationType.BINARY.lower(),
        help="encoding of label volumes as DICOM Segmentation (%(default)s)",
    )
    parser.add_argument(
        "--keep-empty-frames", action="store_true", help="write frames of a segmentation in which no voxel is set, too"
    )
    parser.add_argument(
        "--no-overlay", action="store_true", help="write no pictures with the labels in colour beside a segmentation"
    )
    parser.add_argument("--structure-set", action="store_true", help="also write an RT Structure Set of the labels")
    parser.add_argument(
        "--measurements", action="store_true", help="also write a Structured Report with volumes and diameters"
    )
    parser.add_argument(
        "--report", action="store_true", help="also write a report for people to read, as Encapsulated PDF"
    )
    parser.add_argument("--surfaces", action="store_true", help="also write an STL model of each label")
    parser.add_argument(
        "--surface-detail",
        type=_millimetres,
        default=0.0,
        metavar="MM",
        help="smooth what is finer than this in STL models, with fewer triangles; 0 follows the voxels (%(default)g)",
    )
    parser.add_argument(
        "--series-number",
        type=checked_number,
        default=SeriesPolicy.first_number,
        metavar="N",
        help="first Series Number, of segmentations; other kinds are 1000 apart, the source's is added (%(default)s)",
    )
    parser.add_argument(
        "--series-description",
        type=checked_description,
        default=SeriesPolicy.description,
        metavar="TEXT",
        help=f"Series Description; {', '.join(f'{{{place}}}' for place in PLACES)} are filled in (%(default)s)",
    )
    parser.add_argument(
        "--not-for-diagnostic-use",
        action="store_true",
        help=f"say {NOTICE!r} in every object, in its pictures and pages too",
    )
    parser.add_argument(
        "--modality",
        choices=["CT", "OT"],
        default="OT",
        help="what a volume without DICOM source holds: CT (Hounsfield units), or OT, anything else (%(default)s)",
    )


def _millimetres(text: str) -> float:
    try:
        length = float(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is no number of millimetres") from error
    if not 0 <= length <= _COARSEST_DETAIL:
        raise ArgumentTypeError(f"{text!r} is not within 0 to {_COARSEST_DETAIL} mm")
    return length


def run(folders: StageFolders, options: Namespace, progress: Progress) -> StageResult:
    """Write at least one DICOM object, `<SOPInstanceUID>.dcm`, for every volume of the input.

    Raises:
        MissingSource: there is DICOM input, and the series that a volume was made from cannot be found in it.
        GridMismatch, LabelError, VolumeError: a volume that cannot be written rightly.
    """
    volumes = folders.volumes()
    manifest = read_document(Manifest, folders.manifest) if folders.manifest else None
    wanted = Wanted(
        segmentation=SegmentationForm(SegmentationType(options.segmentation.upper()), options.keep_empty_frames),
        overlay=not options.no_overlay,
        structure_set=options.structure_set,
        measurements=options.measurements,
        report=options.report,
        surfaces=options.surfaces,
        surface_detail_mm=options.surface_detail,
    )
    study = _study_without_source(volumes, folders.dicom, manifest)
    notice = NOTICE if options.not_for_diagnostic_use else ""
    policy = SeriesPolicy(options.series_number, options.series_description, notice)
    context = _Context(folders.dicom, manifest, wanted, policy, study, options.modality)
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
    return (date[0], time[0] if time else _UNKNOWN_TIME) if date else (_UNKNOWN_DATE, _UNKNOWN_TIME)


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
