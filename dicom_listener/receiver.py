"""The Storage and Verification SCP: pynetdicom negotiates and speaks DIMSE, `Intake` stores."""

import logging
import socket
import threading
import time
from typing import cast

from pydicom.uid import UID
from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, _config, evt
from pynetdicom.association import Association as PeerAssociation
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.events import Event
from pynetdicom.pdu_primitives import A_ASSOCIATE
from pynetdicom.transport import ThreadedAssociationServer

from dicom_listener.admission import Requested, admit
from dicom_listener.associations import Association, Associations, Ending
from dicom_listener.completer import Completer
from dicom_listener.config import Config
from dicom_listener.dataset import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, VERIFICATION
from dicom_listener.errors import StartError
from dicom_listener.intake import Intake, Received, StoreStatus
from dicom_listener.live_config import LiveConfig

log = logging.getLogger(__name__)


class Receiver:
    """Listens on the DICOM port from `start` to `stop`."""

    def __init__(self, live: LiveConfig, intake: Intake, associations: Associations, completer: Completer) -> None:
        self._live = live
        self._intake = intake
        self._associations = associations
        self._completer = completer
        self._known: dict[PeerAssociation, Association] = {}
        self._known_lock = threading.Lock()
        self._server: ThreadedAssociationServer | None = None

    def start(self) -> int:
        """Listen; answers the port.

        Raises:
            StartError: the port cannot be had.
        """
        config = self._live.current
        network, port = config.clara.network, config.dicom.scp.port
        _config.LOG_HANDLER_LEVEL = "none"
        _config.UNRESTRICTED_STORAGE_SERVICE = False
        try:
            server = _application_entity(config).start_server(
                (network.host, port),
                block=False,
                evt_handlers=[
                    (evt.EVT_CONN_OPEN, _send_at_once),
                    (evt.EVT_REQUESTED, self._on_requested),
                    (evt.EVT_C_STORE, self._on_store),
                    (evt.EVT_RELEASED, self._on_end, ["released"]),
                    (evt.EVT_ABORTED, self._on_end, ["aborted"]),
                    (evt.EVT_CONN_CLOSE, self._on_end, ["lost"]),
                ],
            )
        except OSError as error:
            raise StartError(f"{network.host}:{port}: the DICOM port cannot be opened: {error.strerror}") from error
        self._server = cast(ThreadedAssociationServer, server)
        return int(self._server.server_address[1])

    def stop(self, drain: float) -> None:
        """Take no new associations, let the open ones finish for `drain` seconds, abort the rest."""
        if self._server is None:
            return
        self._server.shutdown()
        deadline = time.monotonic() + drain
        while self._associations.count() and time.monotonic() < deadline:
            time.sleep(0.02)
        with self._known_lock:
            left = list(self._known)
        for peer in left:
            peer.abort()

    def _on_requested(self, event: Event) -> None:
        peer = event.assoc
        request = cast(A_ASSOCIATE, peer.requestor.primitive)
        called_ae, calling_ae = request.called_ae_title.strip(), request.calling_ae_title.strip()
        address = str(peer.requestor.address)
        source = (calling_ae, address)
        requested = Requested(
            called_ae, calling_ae, address, self._associations.count(), self._associations.count(source)
        )
        reject = admit(self._live.current, requested)
        if reject is None:
            association = self._associations.open(called_ae, calling_ae, address)
            with self._known_lock:
                self._known[peer] = association
            log.info(
                "association opened",
                extra={
                    "association": association.id,
                    "called_ae": called_ae,
                    "calling_ae": calling_ae,
                    "address": address,
                },
            )
            return
        log.warning(
            "association rejected",
            extra={"called_ae": called_ae, "calling_ae": calling_ae, "address": address, "reason": reject.reason},
        )
        peer.acse.send_reject(reject.result, reject.source, reject.diagnostic)
        peer.kill()

    def _on_store(self, event: Event) -> int:
        with self._known_lock:
            association = self._known.get(event.assoc)
        request = cast(C_STORE, event.request)
        if association is None or request.DataSet is None:
            return int(StoreStatus.CANNOT_UNDERSTAND)
        received = Received(
            sop_class=str(request.AffectedSOPClassUID),
            sop_instance=str(request.AffectedSOPInstanceUID),
            transfer_syntax=str(event.context.transfer_syntax),
            data=request.DataSet.getbuffer(),
        )
        return int(self._intake.store(association, received))

    def _on_end(self, event: Event, ending: Ending) -> None:
        with self._known_lock:
            association = self._known.pop(event.assoc, None)
        if association is not None:
            self._completer.association_ended(association, ending)
            log.info("association ended", extra={"association": association.id, "ending": ending})


def _application_entity(config: Config) -> AE:
    network, scp = config.clara.network, config.dicom.scp
    entity = AE(scp.ae_titles[0].ae_title)
    entity.implementation_class_uid = UID(IMPLEMENTATION_CLASS_UID)
    entity.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    entity.maximum_pdu_size = network.maximum_pdu
    entity.network_timeout = network.network_timeout
    entity.maximum_associations = scp.max_associations + 1
    transfer_syntaxes = [*ALL_TRANSFER_SYNTAXES, *network.private_transfer_syntaxes]
    classes = [str(context.abstract_syntax) for context in AllStoragePresentationContexts]
    for sop_class in (*classes, *network.private_sop_classes):
        entity.add_supported_context(sop_class, transfer_syntaxes)
    if scp.verification.enabled:
        entity.add_supported_context(VERIFICATION, list(scp.verification.transfer_syntaxes))
    return entity


def _send_at_once(event: Event) -> None:
    """Without this every response waits up to 40 ms for the peer's delayed acknowledgement."""
    wrapped = event.assoc.dul.socket
    if wrapped is not None and wrapped.socket is not None:
        wrapped.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
