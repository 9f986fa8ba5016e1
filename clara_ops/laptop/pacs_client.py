"""What the laptop asks of a PACS over DICOM: C-ECHO, C-STORE, C-FIND and C-GET."""

import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    CTImageStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)
from pynetdicom import AE, evt
from pynetdicom.presentation import build_context, build_role

from clara_ops.laptop.errors import LaptopError
from clara_ops.laptop.pacs import Pacs
from clara_ops.laptop.ports import LOOPBACK

# DICOM PS3.6 annex A
VERIFICATION = UID("1.2.840.10008.1.1")
STUDY_ROOT_FIND = UID("1.2.840.10008.5.1.4.1.2.2.1")
STUDY_ROOT_GET = UID("1.2.840.10008.5.1.4.1.2.2.3")
PENDING = (0xFF00, 0xFF01)
SUCCESS = 0x0000
LOST_ANSWERS = 2
RESULT_CLASSES = (
    SegmentationStorage,
    SecondaryCaptureImageStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
    CTImageStorage,
)


def answers_echo(pacs: Pacs) -> bool:
    """Whether the PACS answers a C-ECHO."""
    application = _entity("ECHO", 2)
    application.add_requested_context(VERIFICATION)
    association = application.associate(LOOPBACK, pacs.dicom_port, ae_title=pacs.ae_title)
    if not association.is_established:
        return False
    try:
        status = association.send_c_echo()
        return "Status" in status and status.Status == SUCCESS
    finally:
        association.release()


def send_series(
    files: Sequence[Path], calling_ae: str, called_ae: str, port: int, *, host: str = LOOPBACK
) -> Iterator[int]:
    """Send DICOM files by C-STORE over one association, as they are; yields how many are sent so far.

    An instance whose answer does not come is sent again, over another association: pynetdicom loses one now and then.

    Raises:
        LaptopError: the association is refused, or an instance is.
    """
    application = _entity(calling_ae, 30)
    headers = [pydicom.dcmread(file, stop_before_pixels=True) for file in files]
    kinds = {(header.SOPClassUID, header.file_meta.TransferSyntaxUID) for header in headers}
    for sop_class, transfer_syntax in sorted(kinds):
        application.add_requested_context(sop_class, transfer_syntax)
    sent = lost = 0
    while sent < len(files):
        association = application.associate(
            host, port, ae_title=called_ae, evt_handlers=[(evt.EVT_CONN_OPEN, _send_at_once)]
        )
        if not association.is_established:
            raise LaptopError(f"{called_ae} at {host}:{port} refused the association with {calling_ae}")
        try:
            for file in files[sent:]:
                status = association.send_c_store(pydicom.dcmread(file)).get("Status")
                if status is None and lost < LOST_ANSWERS:
                    lost += 1
                    break
                if status != SUCCESS:
                    code = "no answer" if status is None else f"{status:04X}"
                    raise LaptopError(f"{called_ae} refused {file}: status {code}")
                sent += 1
                yield sent
        finally:
            association.release()


def find_series(pacs: Pacs, calling_ae: str, study_uid: str) -> list[Dataset]:
    """The series of a study by C-FIND: Series Instance UID, Modality, Series Description, number of instances.

    Raises:
        LaptopError: the PACS does not answer.
    """
    query = Dataset()
    query.QueryRetrieveLevel = "SERIES"
    query.StudyInstanceUID = study_uid
    query.SeriesInstanceUID = ""
    query.Modality = ""
    query.SeriesDescription = ""
    query.NumberOfSeriesRelatedInstances = ""
    application = _entity(calling_ae, 30)
    application.add_requested_context(STUDY_ROOT_FIND)
    association = application.associate(LOOPBACK, pacs.dicom_port, ae_title=pacs.ae_title)
    if not association.is_established:
        raise LaptopError(
            f"{pacs.ae_title} on port {pacs.dicom_port} refused the association of {calling_ae} for C-FIND"
        )
    try:
        answers = association.send_c_find(query, STUDY_ROOT_FIND)
        return [found for status, found in answers if found is not None and status.Status in PENDING]
    finally:
        association.release()


def get_series(pacs: Pacs, calling_ae: str, study_uid: str, series_uid: str) -> list[Dataset]:
    """All instances of a series of results by C-GET.

    Raises:
        LaptopError: the PACS refuses, or sends less than it has.
    """
    received: list[Dataset] = []

    def keep(event: evt.Event) -> int:
        instance = event.dataset
        instance.file_meta = event.file_meta
        received.append(instance)
        return SUCCESS

    identifier = Dataset()
    identifier.QueryRetrieveLevel = "SERIES"
    identifier.StudyInstanceUID = study_uid
    identifier.SeriesInstanceUID = series_uid
    application = _entity(calling_ae, 30)
    application.requested_contexts = [
        build_context(STUDY_ROOT_GET),
        *(build_context(sop_class) for sop_class in RESULT_CLASSES),
    ]
    roles: list[Any] = [build_role(sop_class, scp_role=True) for sop_class in RESULT_CLASSES]
    association = application.associate(
        LOOPBACK, pacs.dicom_port, ae_title=pacs.ae_title, ext_neg=roles, evt_handlers=[(evt.EVT_C_STORE, keep)]
    )
    if not association.is_established:
        raise LaptopError(
            f"{pacs.ae_title} on port {pacs.dicom_port} refused the association of {calling_ae} for C-GET"
        )
    try:
        statuses = [status for status, _ in association.send_c_get(identifier, STUDY_ROOT_GET)]
    finally:
        association.release()
    if not statuses or "Status" not in statuses[-1] or statuses[-1].Status != SUCCESS:
        raise LaptopError(f"{pacs.ae_title} did not send series {series_uid} by C-GET: {statuses[-1:]}")
    return received


def _send_at_once(event: evt.Event) -> None:
    """Switch Nagle's algorithm off: it costs 40 ms an instance on loopback."""
    wrapped = event.assoc.dul.socket
    if wrapped is not None and wrapped.socket is not None:
        wrapped.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _entity(ae_title: str, timeout: int) -> AE:
    application = AE(ae_title=ae_title)
    application.acse_timeout = timeout
    application.dimse_timeout = timeout
    application.network_timeout = timeout
    return application
