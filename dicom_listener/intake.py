"""Where received instances become part of the journal, before their senders hear Success."""

import hashlib
import logging
import time
from collections.abc import Callable
from functools import partial

from dicom_listener.associations import Association, Associations
from dicom_listener.dataset import Header, is_storable_uid
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
from dicom_listener.reception import Reception, StoreRequest, StoreStatus
from dicom_listener.spool import Spool, SpoolFile

log = logging.getLogger(__name__)


class Intake:
    """Begins receptions, and records what they bring."""

    def __init__(
        self,
        journal: Journal,
        spool: Spool,
        live: LiveConfig,
        associations: Associations,
        on_kept: Callable[[int], None],
        on_answered: Callable[[str, StoreStatus, int], None],
    ) -> None:
        self._journal = journal
        self._spool = spool
        self._live = live
        self._associations = associations
        self._on_kept = on_kept
        self._on_answered = on_answered

    def begin(self, association: Association, request: StoreRequest) -> Reception:
        """Take a C-STORE request; its data set follows."""
        config = self._live.current
        keep = partial(self._keep, association, request)
        tag = config.grouping(association.called_ae).tag
        answered = partial(self._on_answered, association.called_ae)
        reception = Reception(association, request, self._spool, tag, keep, answered)
        if not self._spool.has_room(0, config.clara.storage):
            reception.refuse(StoreStatus.OUT_OF_RESOURCES, "free space is below the low-water mark")
        return reception

    def _keep(self, association: Association, request: StoreRequest, header: Header, file: SpoolFile) -> None:
        """Record a file whose bytes are synced.

        Raises:
            sqlite3.Error: the journal did not take it.
        """
        arrival = self._describe(association, request, header, file)
        recorded = self._record(arrival, file)
        association.noted = True
        if recorded.status in (Status.KEPT, None):
            self._associations.carried(association, recorded.group_id)
            self._on_kept(recorded.group_id)

    def _record(self, arrival: Arrival, file: SpoolFile) -> Recorded:
        recorded = self._journal.write(partial(record_instance, arrival=arrival))
        if recorded.existing is None:
            return recorded
        overwrite = self._live.current.rules_for(arrival.ae_title).overwrite_same_instance
        others = [recorded.existing] if overwrite else [recorded.existing, *self._conflicts(arrival)]
        if any(self._spool.same_dataset(file.path, other) for other in others):
            file.discard()
            return recorded
        log.warning(
            "other content under a known SOP Instance UID",
            extra={"association": arrival.association, "series": arrival.series_uid, "replaces": overwrite},
        )
        record = record_replacement if overwrite else record_conflict
        return self._journal.write(partial(record, arrival=arrival))

    def _conflicts(self, arrival: Arrival) -> list[str]:
        return self._journal.read(partial(find_conflicts, ae_title=arrival.ae_title, sop_uid=arrival.sop_uid))

    def _describe(self, association: Association, request: StoreRequest, header: Header, file: SpoolFile) -> Arrival:
        config = self._live.current
        grouping = config.grouping(association.called_ae)
        return Arrival(
            ae_title=association.called_ae,
            calling_ae=association.calling_ae,
            address=association.address,
            association=association.id,
            first_of_association=not association.noted,
            opened=association.opened,
            received=time.time(),
            sop_uid=header.sop_instance_uid,
            sop_class=header.sop_class_uid,
            series_uid=header.series_instance_uid,
            study_uid=header.study_instance_uid,
            transfer_syntax=request.transfer_syntax,
            path=file.path,
            size=file.size,
            level=grouping.by,
            group=_group_value(header, grouping.by),
            number=header.number,
            position=header.position,
            orientation=header.orientation,
            modality=header.modality,
            body_part=header.body_part,
            ignored=header.sop_class_uid in config.rules_for(association.called_ae).ignored_sop_classes,
            announced=header.announced,
            late=grouping.late,
        )


def _group_value(header: Header, by: str) -> str:
    """What an instance is grouped by. Values other than UIDs may identify a patient: their digest stands for them."""
    if by == "study":
        return header.study_instance_uid
    value = (header.group_value or b"").decode("ascii", "replace")
    if by == "series" or not value:
        return header.series_instance_uid
    return value if is_storable_uid(value) else hashlib.sha256(value.encode()).hexdigest()[:32]
