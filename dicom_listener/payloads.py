"""Payload folders: built of hard links into the spool, the manifest last."""

import hashlib
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from clara_ops.contract.documents import write_document, write_durably
from clara_ops.contract.errors import NameRuleError
from clara_ops.contract.names import check_folder
from clara_ops.contract.payload import (
    INPUT_LOCK,
    LOCKS,
    LOGS,
    MANIFEST,
    PUBLISH,
    RECEIVED,
    RESULT,
    Instance,
    Manifest,
    payload_path,
    received_path,
)
from clara_ops.contract.run_id import check_run_id
from clara_ops.contract.written import WrittenObject
from dicom_listener.errors import BadRequest, PayloadNotFound, ResultNotFound
from dicom_listener.journal.runs import Run, RunInstance
from dicom_listener.journal.store import sync_folder
from dicom_listener.uploads import UPLOADS, uploaded_files


def build_payload(
    data: Path, run: Run, instances: Sequence[RunInstance], predecessors: Sequence[WrittenObject] = ()
) -> None:
    """Make a run's payload. Built again after a crash, it comes out the same.

    Args:
        data: the claim's folder, which holds `spool/` and `payloads/`.
        predecessors: objects of the generation before.

    Raises:
        OSError: the disk did not take it, or an instance's file is gone.
    """
    payload = payload_path(data, run.run_id)
    if (payload / MANIFEST).exists():
        return
    files = uploaded_files(data, run.group_value)
    if not instances and not files:
        raise FileNotFoundError(f"run {run.run_id}: its input is gone from the claim; send it again")
    listed = []
    for instance in instances:
        path = received_path(instance.series_uid, instance.sop_uid)
        _link(data / "spool" / instance.path, payload / path)
        listed.append(_entry(instance, path, payload / path))
    names = [f"{RECEIVED}/{file.relative_to(data / UPLOADS / run.group_value).as_posix()}" for file in files]
    for name, file in zip(names, files, strict=True):
        _link(file, payload / name)
    for folder in {(payload / path).parent for path in (*names, *(item.path for item in listed))}:
        sync_folder(folder)
    for folder in (payload / RECEIVED, payload, payload.parent, data):
        sync_folder(folder)
    write_document(_manifest(run, listed, names, predecessors), payload / MANIFEST)


def make_folders(data: Path, run_id: str, source: str, folders: Sequence[str]) -> int:
    """Give a payload its workflow's folders: `source` becomes hard links of what was received. Idempotent.

    Returns:
        the number of files in `source`.

    Raises:
        PayloadNotFound, BadRequest.
    """
    payload = _existing(data, run_id)
    for folder in (source, *folders):
        _checked(folder)
    count = 0
    (payload / source).mkdir(parents=True, exist_ok=True)
    for file in sorted((payload / RECEIVED).rglob("*")):
        if file.is_file():
            _link(file, payload / source / file.relative_to(payload / RECEIVED))
            count += 1
    for folder in (LOCKS, LOGS, PUBLISH, *folders):
        (payload / folder).mkdir(parents=True, exist_ok=True)
    write_durably(payload / LOCKS / INPUT_LOCK, b"")
    return count


def read_result(data: Path, run_id: str, folder: str) -> Any:
    """The `result.json` of a folder.

    Raises:
        PayloadNotFound, ResultNotFound, BadRequest.
    """
    path = _existing(data, run_id) / _checked(folder) / RESULT
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ResultNotFound(f"{run_id}/{folder}: there is no {RESULT}") from error
    except ValueError as error:
        raise ResultNotFound(f"{run_id}/{folder}/{RESULT}: is not JSON: {error}") from error


def delivery_folder(data: Path, run_id: str, folder: str) -> Path:
    """The folder of a payload that is to be delivered.

    Raises:
        PayloadNotFound, BadRequest.
    """
    return _existing(data, run_id) / _checked(folder)


def _existing(data: Path, run_id: str) -> Path:
    try:
        payload = payload_path(data, check_run_id(run_id))
    except NameRuleError as error:
        raise PayloadNotFound(str(error)) from error
    if not (payload / MANIFEST).is_file():
        raise PayloadNotFound(f"there is no payload {run_id}: ask POST /v1/runs for a run, which makes one")
    return payload


def _checked(folder: str) -> str:
    try:
        return check_folder(folder)
    except NameRuleError as error:
        raise BadRequest(str(error)) from error


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except FileExistsError:
        return


def _entry(instance: RunInstance, path: str, file: Path) -> Instance:
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return Instance(
        sop_instance_uid=instance.sop_uid,
        sop_class_uid=instance.sop_class,
        series_instance_uid=instance.series_uid,
        study_instance_uid=instance.study_uid,
        path=path,
        size=file.stat().st_size,
        sha256=digest,
        source=f"{instance.calling_ae}@{instance.address}",
    )


def _manifest(
    run: Run, instances: Sequence[Instance], files: Sequence[str], predecessors: Sequence[WrittenObject]
) -> Manifest:
    moment = time.gmtime(run.created)
    return Manifest(
        run_id=run.run_id,
        workflow=run.workflow,
        ae_title=run.ae_title,
        calling_ae=run.calling_ae,
        group=run.group_value,
        generation=run.generation,
        created=time.strftime("%Y-%m-%dT%H:%M:%SZ", moment),
        content_date=time.strftime("%Y%m%d", moment),
        content_time=time.strftime("%H%M%S", moment),
        instances=tuple(instances),
        files=tuple(files),
        predecessors=tuple(predecessors),
    )
