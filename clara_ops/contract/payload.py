"""The payload of a run: where its parts lie, and the manifest `payload.json` that says it is whole."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from clara_ops.contract.written import WrittenObject

PAYLOADS = "payloads"
MANIFEST = "payload.json"
RECEIVED = "received"
LOCKS = "locks"
LOGS = "logs"
PUBLISH = "publish"
INPUT_LOCK = "input.lock"
RESULT = "result.json"
PUBLICATION = "publish.json"


@dataclass(frozen=True)
class Instance:
    """One received SOP instance; `path` is relative to the payload, `source` is calling AE title and address."""

    sop_instance_uid: str
    sop_class_uid: str
    series_instance_uid: str
    study_instance_uid: str
    path: str
    size: int
    sha256: str
    source: str


@dataclass(frozen=True)
class Manifest:
    """`payload.json`, written last: from then on the payload does not change.

    Attributes:
        workflow: id or name, as the mapping has it.
        group: what the instances were grouped by, usually the Series Instance UID.
        content_date: DA, and `content_time` TM, in UTC: results copy them, so that a retry makes the same object.
        files: non-DICOM input (MHD, npz) of a run by hand, as paths relative to the payload.
        predecessors: what the newest earlier generation of the run wrote and delivered; its successors refer to it.
    """

    DOCUMENT_VERSION: ClassVar[int] = 1

    run_id: str
    workflow: str
    ae_title: str
    calling_ae: str
    group: str
    generation: int
    created: str
    content_date: str
    content_time: str
    instances: tuple[Instance, ...]
    files: tuple[str, ...] = ()
    predecessors: tuple[WrittenObject, ...] = ()


def received_path(series_instance_uid: str, sop_instance_uid: str) -> str:
    """Where an instance lies in its payload."""
    return f"{RECEIVED}/{series_instance_uid}/{sop_instance_uid}.dcm"


def payload_path(data: Path, run_id: str) -> Path:
    """The folder of a run's payload on the claim `clara-data`."""
    return data / PAYLOADS / run_id
