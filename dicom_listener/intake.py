"""What happens to one received instance before its sender hears a status (DICOM PS3.4 section B.2.3)."""

import logging
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from pathlib import Path

from dicom_listener.associations import Association, Associations
from dicom_listener.config import CalledAE
from dicom_listener.dataset import DatasetError, Header, file_meta, read_header
from dicom_listener.journal import Journal
from dicom_listener.journal.instances import (
    Arrival,
    Recorded,
    Status,
    find_conflicts,
    record_conflict,
    record_instance,
    record_replacement,
)
from dicom_listener.live_config import LiveConfig
from dicom_listener.spool import Spool

log = logging.getLogger(__name__)


class StoreStatus(IntEnum):
    """Statuses of a C-STORE response that the listener uses."""

    SUCCESS = 0x0000
    SOP_CLASS_NOT_SUPPORTED = 0x0122
    OUT_OF_RESOURCES = 0xA700
    DOES_NOT_MATCH_SOP_CLASS = 0xA900
    CANNOT_UNDERSTAND = 0xC000


@dataclass(frozen=True)
class Received:
    """One instance as it came: the command's UIDs and the data set's bytes."""

    sop_class: str
    sop_instance: str
    transfer_syntax: str
    data: memoryview


class Intake:
    """Stores instances: bytes first, then their row, then Success."""

    def __init__(
        self,
        journal: Journal,
        spool: Spool,
        live: LiveConfig,
        associations: Associations,
        on_kept: Callable[[int], None],
    ) -> None:
        self._journal = journal
        self._spool = spool
        self._live = live
        self._associations = associations
        self._on_kept = on_kept

    def store(self, association: Association, received: Received) -> StoreStatus:
        """Store one instance. Success means that bytes and row survive a power cut."""
        config = self._live.current
        called = config.rules_for(association.called_ae)
        try:
            header = read_header(received.data, received.transfer_syntax)
        except DatasetError as error:
            return _refuse(association, StoreStatus.CANNOT_UNDERSTAND, str(error))
        if header.sop_class_uid != received.sop_class:
            return _refuse(
                association, StoreStatus.DOES_NOT_MATCH_SOP_CLASS, "SOP class of command and data set differ"
            )
        if header.sop_instance_uid != received.sop_instance:
            return _refuse(association, StoreStatus.CANNOT_UNDERSTAND, "SOP instance of command and data set differ")
        if not self._spool.has_room(len(received.data), config.clara.storage):
            return _refuse(association, StoreStatus.OUT_OF_RESOURCES, "free space is below the low-water mark")
        late = config.grouping(association.called_ae).late
        arrival = self._describe(association, received, header, called, late)
        try:
            recorded = self._keep(arrival, received, overwrite=called.overwrite_same_instance)
        except (OSError, sqlite3.Error) as error:
            self._spool.discard(Path(arrival.path))
            return _refuse(association, StoreStatus.OUT_OF_RESOURCES, f"not stored: {error}")
        if recorded.status in (Status.KEPT, None):
            self._associations.carried(association, recorded.group_id)
            self._on_kept(recorded.group_id)
        return StoreStatus.SUCCESS

    def _describe(
        self, association: Association, received: Received, header: Header, called: CalledAE, late: str
    ) -> Arrival:
        arrival = f"{association.id}-{next(association.numbers):x}"
        path = self._spool.path(association.called_ae, header.series_instance_uid, header.sop_instance_uid, arrival)
        return Arrival(
            ae_title=association.called_ae,
            calling_ae=association.calling_ae,
            address=association.address,
            association=association.id,
            opened=association.opened,
            received=time.time(),
            sop_uid=header.sop_instance_uid,
            sop_class=header.sop_class_uid,
            series_uid=header.series_instance_uid,
            study_uid=header.study_instance_uid,
            transfer_syntax=received.transfer_syntax,
            path=str(path),
            size=len(received.data),
            level="series",
            group=header.series_instance_uid,
            number=header.number,
            position=header.position,
            orientation=header.orientation,
            modality=header.modality,
            body_part=header.body_part,
            ignored=header.sop_class_uid in called.ignored_sop_classes,
            late=late,
        )

    def _keep(self, arrival: Arrival, received: Received, *, overwrite: bool) -> Recorded:
        path = Path(arrival.path)
        meta = file_meta(arrival.sop_class, arrival.sop_uid, arrival.transfer_syntax, arrival.calling_ae)
        self._spool.write(path, (meta, received.data))
        folders = ((self._spool.root / path).parent,)
        recorded = self._journal.write(partial(record_instance, arrival=arrival), folders)
        if recorded.existing is None:
            return recorded
        others = [recorded.existing] if overwrite else [recorded.existing, *self._conflicts(arrival)]
        if any(self._spool.same_dataset(path, Path(other)) for other in others):
            self._spool.discard(path)
            return recorded
        record = record_replacement if overwrite else record_conflict
        log.warning(
            "other content under a known SOP Instance UID",
            extra={"association": arrival.association, "series": arrival.series_uid, "replaced": overwrite},
        )
        return self._journal.write(partial(record, arrival=arrival), folders)

    def _conflicts(self, arrival: Arrival) -> list[str]:
        return self._journal.read(partial(find_conflicts, ae_title=arrival.ae_title, sop_uid=arrival.sop_uid))


def _refuse(association: Association, status: StoreStatus, reason: str) -> StoreStatus:
    log.warning("instance refused", extra={"association": association.id, "status": f"{status:04X}", "reason": reason})
    return status
