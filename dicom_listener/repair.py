"""Proves that journal and disk agree, and mends them: lost files are linked again from payloads, or named."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from clara_ops.contract.payload import payload_path, received_path
from dicom_listener.dataset import DatasetError, read_elements
from dicom_listener.journal import Journal
from dicom_listener.journal.instances import known_paths
from dicom_listener.journal.inventory import Held, held_instances, note_lost, runs_of_instance
from dicom_listener.journal.store import sync_folder

_SOP_INSTANCE_UID: Final = 0x00080018


@dataclass(frozen=True)
class Finding:
    """What does not agree, and what was done about it; `series_uid` is empty for a file that nobody vouches for."""

    series_uid: str
    path: str
    problem: str
    mended: str


def examine(journal: Journal, data: Path, *, mend: bool) -> Iterator[Finding]:
    """Compare every instance of the journal with its file, and every file of the spool with the journal.

    Args:
        data: the claim's folder.
        mend: change what is wrong; else it is only told.
    """
    spool = data / "spool"
    for held in journal.read(lambda database: list(held_instances(database))):
        problem = _problem(spool / held.path, held)
        if problem is not None:
            mended = _mend(journal, data, held) if mend else ""
            yield Finding(held.series_uid, held.path, problem, mended)
    known = journal.read(known_paths)
    for file in sorted(spool.rglob("*.dcm")):
        path = str(file.relative_to(spool))
        if path not in known and file.stat().st_size:
            yield Finding(
                "", path, "was never acknowledged", "the listener sets it aside when it starts" if mend else ""
            )


def _problem(file: Path, held: Held) -> str | None:
    try:
        size = file.stat().st_size
    except FileNotFoundError:
        return "the file is gone"
    if size != held.size:
        return f"the file has {size} bytes, the journal says {held.size}"
    try:
        elements, _ = read_elements(file, frozenset({_SOP_INSTANCE_UID}))
    except (DatasetError, OSError) as error:
        return f"the file cannot be read: {error}"
    found = elements.get(_SOP_INSTANCE_UID, b"").decode("ascii", "replace").rstrip(" \0")
    return None if found == held.sop_uid else "the file holds another instance"


def _mend(journal: Journal, data: Path, held: Held) -> str:
    target = data / "spool" / held.path
    for run_id in journal.read(partial(runs_of_instance, group_id=held.group_id)):
        copy = payload_path(data, run_id) / received_path(held.series_uid, held.sop_uid)
        if copy.exists() and _problem(copy, held) is None:
            target.unlink(missing_ok=True)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(copy, target)
            sync_folder(target.parent)
            return f"linked again from payload {run_id}"
    journal.write(partial(note_lost, lost=held))
    return "noted as lost: it will be taken when it is sent again"
