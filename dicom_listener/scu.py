"""C-STORE and C-ECHO as SCU, through pynetdicom."""

import logging
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pydicom.uid import UID
from pynetdicom import AE, _config, build_context, evt
from pynetdicom.association import Association
from pynetdicom.events import Event

from dicom_listener.config import Destination
from dicom_listener.dataset import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, IMPLICIT, VERIFICATION
from dicom_listener.errors import DeliveryRefused, DeliveryRetry

log = logging.getLogger(__name__)

_WARNINGS = (0xB000, 0xB006, 0xB007)
_MOST_CONTEXTS = 128
_CONNECT_TIMEOUT, _RESPONSE_TIMEOUT = 5, 60


@dataclass(frozen=True)
class DicomFile:
    """A file in DICOM's file format, and what its File Meta Information says."""

    path: Path
    sop_class: str
    sop_uid: str
    transfer_syntax: str


@dataclass(frozen=True)
class SentFile:
    """A file that the destination took; `status` is 0 or a warning."""

    file: DicomFile
    status: int


def find_dicom_files(folder: Path) -> list[DicomFile]:
    """Every DICOM file below a folder, by path; other files are passed over."""
    found = []
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        try:
            meta = read_file_meta_info(path)
            found.append(
                DicomFile(
                    path,
                    str(meta.MediaStorageSOPClassUID),
                    str(meta.MediaStorageSOPInstanceUID),
                    str(meta.TransferSyntaxUID),
                )
            )
        except (InvalidDicomError, AttributeError):
            continue
    return found


def send_files(
    calling_ae: str, destination: Destination, files: Sequence[DicomFile], on_sent: Callable[[SentFile], None]
) -> None:
    """Send files over one association; `on_sent` hears of each that the destination took.

    Raises:
        DeliveryRetry: the destination cannot be reached, rejects the association, or has no room now.
        DeliveryRefused: it does not take one of the files.
    """
    contexts = sorted({(file.sop_class, file.transfer_syntax) for file in files})
    if len(contexts) > _MOST_CONTEXTS:
        raise DeliveryRefused(
            f"{len(contexts)} pairs of SOP class and transfer syntax: an association takes {_MOST_CONTEXTS}"
        )
    with _association(calling_ae, destination, contexts) as association:
        accepted = {(str(item.abstract_syntax), str(item.transfer_syntax[0])) for item in association.accepted_contexts}
        for file in files:
            if (file.sop_class, file.transfer_syntax) not in accepted:
                raise DeliveryRefused(
                    f"{destination.name} does not accept SOP class {file.sop_class} "
                    f"with transfer syntax {file.transfer_syntax}"
                )
            on_sent(SentFile(file, _send(association, destination, file)))


def echo(calling_ae: str, destination: Destination) -> None:
    """C-ECHO.

    Raises:
        DeliveryRetry: the destination cannot be reached, rejects the association, or answers with a failure.
    """
    with _association(calling_ae, destination, [(VERIFICATION, IMPLICIT)]) as association:
        if not association.accepted_contexts:
            raise DeliveryRetry(f"{destination.name} does not accept verification")
        status = association.send_c_echo().get("Status")
        if status != 0:
            raise DeliveryRetry(f"{destination.name} answered C-ECHO with status {_hex(status)}")


@contextmanager
def _association(
    calling_ae: str, destination: Destination, contexts: Sequence[tuple[str, str]]
) -> Iterator[Association]:
    _config.STORE_SEND_CHUNKED_DATASET = True  # files go out as they are, in pieces
    entity = AE(calling_ae)
    entity.implementation_class_uid = UID(IMPLEMENTATION_CLASS_UID)
    entity.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    entity.connection_timeout = _CONNECT_TIMEOUT
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = _RESPONSE_TIMEOUT
    association = entity.associate(
        destination.host_ip,
        destination.port,
        contexts=[build_context(sop_class, syntax) for sop_class, syntax in contexts],
        ae_title=destination.ae_title,
        evt_handlers=[(evt.EVT_CONN_OPEN, _send_at_once)],
    )
    where = f"{destination.name} ({destination.ae_title} at {destination.host_ip}:{destination.port})"
    if association.is_rejected:
        raise DeliveryRetry(f"{where} rejects the association: {_why(association)}")
    if not association.is_established:
        if association.acceptor.primitive is not None:
            raise DeliveryRefused(f"{where} accepts none of the SOP classes and transfer syntaxes")
        raise DeliveryRetry(f"{where} cannot be reached")
    try:
        yield association
    finally:
        if association.is_established:
            association.release()


def _send(association: Association, destination: Destination, file: DicomFile) -> int:
    if not association.is_established:
        raise DeliveryRetry(f"{destination.name} broke off the association")
    status = association.send_c_store(file.path).get("Status")
    if status is None:
        raise DeliveryRetry(f"{destination.name} broke off the association")
    if status == 0 or status in _WARNINGS:
        return int(status)
    message = f"{destination.name} answered status {_hex(status)} to SOP instance {file.sop_uid}"
    if status & 0xFF00 == 0xA700:
        raise DeliveryRetry(message)
    raise DeliveryRefused(message)


def _why(association: Association) -> str:
    primitive = association.acceptor.primitive
    return "no reason given" if primitive is None else str(primitive.reason_str)


def _hex(status: int | None) -> str:
    return "none" if status is None else f"{status:04X}"


def _send_at_once(event: Event) -> None:
    """Without this every instance waits up to 40 ms for the peer's delayed acknowledgement."""
    wrapped = event.assoc.dul.socket
    if wrapped is not None and wrapped.socket is not None:
        wrapped.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
