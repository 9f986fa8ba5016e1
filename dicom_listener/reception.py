"""One instance on its way from the network to the disk (DICOM PS3.4 section B.2.3)."""

import logging
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from dicom_listener.associations import Association
from dicom_listener.dataset import DatasetError, Header, Truncated, file_meta, read_header
from dicom_listener.spool import Spool, SpoolFile

log = logging.getLogger(__name__)

_LONGEST_HEADER = 1 << 20


class StoreStatus(IntEnum):
    """Statuses of a C-STORE response that the listener uses."""

    SUCCESS = 0x0000
    SOP_CLASS_NOT_SUPPORTED = 0x0122
    OUT_OF_RESOURCES = 0xA700
    DOES_NOT_MATCH_SOP_CLASS = 0xA900
    CANNOT_UNDERSTAND = 0xC000


@dataclass(frozen=True)
class StoreRequest:
    """What a C-STORE-RQ says, and the transfer syntax of its presentation context."""

    sop_class: str
    sop_instance: str
    transfer_syntax: str


class Reception:
    """Takes a data set in pieces. Bytes go to the disk as they come, once the header has said what they are.

    After a refusal the rest is taken and thrown away, so that the sender hears the status and goes on.
    """

    def __init__(
        self,
        association: Association,
        request: StoreRequest,
        spool: Spool,
        group_tag: int | None,
        keep: Callable[[Header, SpoolFile], None],
        answered: Callable[[StoreStatus, int], None],
    ) -> None:
        self._association = association
        self._request = request
        self._spool = spool
        self._group_tag = group_tag
        self._keep = keep
        self._answered = answered
        self._stored = 0
        self._head = b""
        self._header: Header | None = None
        self._file: SpoolFile | None = None
        self._refusal: StoreStatus | None = None

    def refuse(self, status: StoreStatus, reason: str) -> None:
        """Decide on a status other than Success."""
        log.warning(
            "instance refused",
            extra={"association": self._association.id, "status": f"{status:04X}", "reason": reason},
        )
        self._refusal = status
        self.abandon()

    def write(self, pieces: Sequence[bytes | memoryview]) -> None:
        """Take the next pieces of the data set; they are used before this returns."""
        if self._refusal is not None:
            return
        try:
            if self._file is None:
                self._begin_file(pieces, whole=False)
            else:
                self._file.write(pieces)
        except OSError as error:
            self.refuse(StoreStatus.OUT_OF_RESOURCES, f"not stored: {error}")

    def finish(self) -> StoreStatus:
        """The data set is complete: answers Success once bytes and row survive a power cut."""
        status = self._conclude()
        self._answered(status, self._stored)
        return status

    def _conclude(self) -> StoreStatus:
        if self._refusal is None and self._file is None:
            self._begin_file((), whole=True)
        if self._refusal is not None or self._file is None or self._header is None:
            return self._refusal or StoreStatus.CANNOT_UNDERSTAND
        try:
            self._file.finish()
            self._keep(self._header, self._file)
            self._stored = self._file.size
        except (OSError, sqlite3.Error) as error:
            self.refuse(StoreStatus.OUT_OF_RESOURCES, f"not stored: {error}")
        self._file = None
        return self._refusal or StoreStatus.SUCCESS

    def abandon(self) -> None:
        """The sender is gone, or the instance is refused: leave nothing behind."""
        if self._file is not None:
            self._file.discard()
            self._file = None

    def _begin_file(self, pieces: Sequence[bytes | memoryview], *, whole: bool) -> None:
        """Read the header, mostly from the first piece alone, and open the file; or wait for more."""
        if self._head or not pieces:
            pieces = (self._head + b"".join(pieces),)
        request = self._request
        try:
            header = read_header(memoryview(pieces[0]), request.transfer_syntax, whole=whole, group_tag=self._group_tag)
        except Truncated as error:
            self._head = b"".join(pieces)
            if whole or len(self._head) > _LONGEST_HEADER:
                self.refuse(StoreStatus.CANNOT_UNDERSTAND, str(error))
            return
        except DatasetError as error:
            self.refuse(StoreStatus.CANNOT_UNDERSTAND, str(error))
            return
        if header.sop_class_uid != request.sop_class:
            self.refuse(StoreStatus.DOES_NOT_MATCH_SOP_CLASS, "SOP class of command and data set differ")
        elif header.sop_instance_uid != request.sop_instance:
            self.refuse(StoreStatus.CANNOT_UNDERSTAND, "SOP instance of command and data set differ")
        else:
            self._open(header, pieces)

    def _open(self, header: Header, pieces: Sequence[bytes | memoryview]) -> None:
        request = self._request
        calling_ae = self._association.calling_ae
        meta = file_meta(request.sop_class, request.sop_instance, request.transfer_syntax, calling_ae)
        try:
            self._file = self._spool.take()
            self._file.write((meta, *pieces))
        except OSError as error:
            self.refuse(StoreStatus.OUT_OF_RESOURCES, f"not stored: {error}")
        self._header = header
        self._head = b""
