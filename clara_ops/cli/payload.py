"""The payload of a local run, made of a folder of files as the listener makes one of a received series."""

import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset

from clara_ops.cli.errors import InputMissing
from clara_ops.contract.conf import FactValue
from clara_ops.contract.documents import write_document, write_durably
from clara_ops.contract.names import check_uid
from clara_ops.contract.payload import (
    INPUT_LOCK,
    LOCKS,
    LOGS,
    MANIFEST,
    PUBLISH,
    RECEIVED,
    Instance,
    Manifest,
    received_path,
)
from clara_ops.driver.folders import walk_files
from clara_ops.imaging.reading.raw_header import unreadable
from clara_ops.workflow.model import Kind
from clara_ops.workflow.workflow import Workflow

AE_TITLE = "CLARA-WF"
_TAGS = [
    "SOPClassUID",
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "StudyInstanceUID",
    "Modality",
    "BodyPartExamined",
    "ImageOrientationPatient",
]


@dataclass(frozen=True)
class Received:
    """What was taken over: DICOM instances, or other files for a workflow that reads those.

    Attributes:
        facts: what `accepts` and `when` are judged over.
        ignored: number of files that are not DICOM.
    """

    instances: tuple[Instance, ...]
    files: tuple[str, ...]
    facts: Mapping[str, FactValue]
    ignored: int = 0


def make_payload(payload: Path, job: str, workflow: Workflow, source: Path) -> Received:
    """Copy the files of `source`, at any depth, into a new payload, with the folders that the workflow needs.

    Raises:
        InputMissing: there is nothing in `source` that the workflow can read.
    """
    if not source.is_dir():
        raise InputMissing(f"{source}: no such folder; give one with --input")
    kinds = workflow.kind.inputs
    received = _receive_all(payload, source, kinds)
    if not received.instances and not received.files:
        raise InputMissing(f"{source}: holds no {' or '.join(kinds)} file; give another folder with --input")
    _make_folders(payload, workflow)
    _write_manifest(payload, job, workflow, received)
    return received


def _receive_all(payload: Path, source: Path, kinds: Sequence[Kind]) -> Received:
    """DICOM instances where the workflow reads DICOM, and all other files where it reads something else."""
    instances: dict[str, Instance] = {}
    headers: list[Dataset] = []
    others: Sequence[Path] = walk_files(source)
    if "dicom" in kinds:
        instances, headers, others = _receive_dicom(payload, others)
    facts = _facts(headers) if headers else {"instances": 0}
    if kinds == ("dicom",):
        return Received(tuple(instances.values()), (), facts, ignored=len(others))
    files = tuple(_receive_file(payload, source, file) for file in others)
    return Received(tuple(instances.values()), files, facts)


def _receive_dicom(payload: Path, files: Sequence[Path]) -> tuple[dict[str, Instance], list[Dataset], list[Path]]:
    """The instances by path in the payload, their headers, and the files that are none."""
    headers: list[Dataset] = []
    instances: dict[str, Instance] = {}
    others: list[Path] = []
    for file in files:
        header = _header(file)
        if header is None:
            others.append(file)
            continue
        path = received_path(check_uid(header.SeriesInstanceUID), check_uid(header.SOPInstanceUID))
        if path not in instances:
            instances[path] = _receive(payload, path, file, header)
            headers.append(header)
    return instances, headers, others


def _header(file: Path) -> Dataset | None:
    """The attributes that a payload needs; None for a file that is not a DICOM instance."""
    try:
        header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=_TAGS)
        complete = all(getattr(header, tag, None) for tag in _TAGS[:4])
    except unreadable():
        return None
    return header if complete else None


def _receive(payload: Path, path: str, file: Path, header: Dataset) -> Instance:
    target = payload / path
    _copy(file, target)
    with target.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return Instance(
        sop_instance_uid=str(header.SOPInstanceUID),
        sop_class_uid=str(header.SOPClassUID),
        series_instance_uid=str(header.SeriesInstanceUID),
        study_instance_uid=str(header.StudyInstanceUID),
        path=path,
        size=target.stat().st_size,
        sha256=digest,
        source=f"{AE_TITLE}@127.0.0.1",
    )


def _receive_file(payload: Path, source: Path, file: Path) -> str:
    path = f"{RECEIVED}/{file.relative_to(source).as_posix()}"
    _copy(file, payload / path)
    return path


def _copy(file: Path, target: Path) -> None:
    """A copy that no stage can change, and the user's own file stays as it is."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, target)
    target.chmod(0o440)


def _facts(headers: Sequence[Dataset]) -> dict[str, FactValue]:
    """The facts that the listener sends with a run; what differs between the instances is left out."""
    facts: dict[str, FactValue] = {"instances": len(headers), "complete": True}
    found = {
        "modality": {str(header.get("Modality", "")) for header in headers},
        "body_part": {str(header.get("BodyPartExamined", "")) for header in headers},
        "orientation": {_plane(header.get("ImageOrientationPatient")) for header in headers},
    }
    return facts | {name: values.pop() for name, values in found.items() if len(values) == 1 and "" not in values}


def _plane(orientation: Sequence[float] | None) -> str:
    """Axial, coronal, sagittal or oblique, from Image Orientation (Patient) (DICOM PS3.3 section C.7.6.2.1.1)."""
    if not orientation or len(orientation) != 6:
        return ""
    x1, y1, z1, x2, y2, z2 = map(float, orientation)
    normal = {"sagittal": y1 * z2 - z1 * y2, "coronal": z1 * x2 - x1 * z2, "axial": x1 * y2 - y1 * x2}
    return next((name for name, component in normal.items() if abs(component) > 0.9), "oblique")


def _make_folders(payload: Path, workflow: Workflow) -> None:
    received = payload / RECEIVED
    for file in walk_files(received):
        target = payload / workflow.input / file.relative_to(received)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(file, target)
    stages = [f"{PUBLISH}/{stage.name}" for stage in workflow.stages]
    for folder in (LOCKS, LOGS, *stages, *workflow.folders):
        (payload / folder).mkdir(parents=True, exist_ok=True)
    write_durably(payload / LOCKS / INPUT_LOCK, b"")


def _write_manifest(payload: Path, job: str, workflow: Workflow, received: Received) -> None:
    now = datetime.now(UTC)
    series = {instance.series_instance_uid for instance in received.instances}
    manifest = Manifest(
        run_id=job,
        workflow=workflow.id,
        ae_title=AE_TITLE,
        calling_ae=AE_TITLE,
        group=series.pop() if len(series) == 1 else job,
        generation=1,
        created=now.isoformat(timespec="seconds"),
        content_date=now.strftime("%Y%m%d"),
        content_time=now.strftime("%H%M%S"),
        instances=received.instances,
        files=received.files,
    )
    write_document(manifest, payload / MANIFEST)
