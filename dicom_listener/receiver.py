"""The Storage and Verification SCP: pynetdicom negotiates and speaks DIMSE, `Intake` stores."""

import logging
import socket
import threading
import time
from collections.abc import Callable
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
from dicom_listener.config import EXPLICIT_LITTLE, Config
from dicom_listener.data_phase import Command, Context
from dicom_listener.dataset import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, VERIFICATION
from dicom_listener.errors import StartError
from dicom_listener.fast_association import check_internals, start_fast_server
from dicom_listener.intake import Intake
from dicom_listener.live_config import LiveConfig
from dicom_listener.reception import Reception, StoreRequest, StoreStatus
from dicom_listener.watch import ConnectionWatch, end_connection

log = logging.getLogger(__name__)

_ASSOCIATE_WITHIN = 30.0
_PATIENCE = 1.5
_MOST_WAITING = 64


class Receiver:
    """Listens on the DICOM port from `start` to `stop`."""

    def __init__(
        self,
        live: LiveConfig,
        intake: Intake,
        associations: Associations,
        completer: Completer,
        on_rejected: Callable[[str], None],
    ) -> None:
        self._live = live
        self._intake = intake
        self._associations = associations
        self._completer = completer
        self._on_rejected = on_rejected
        self._watch = ConnectionWatch()
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
        handlers: list[evt.EventHandlerType] = [
            (evt.EVT_CONN_OPEN, self._on_connected),
            (evt.EVT_REQUESTED, self._on_requested),
            (evt.EVT_C_STORE, self._on_store),
            (evt.EVT_RELEASED, self._on_end, ["released"]),
            (evt.EVT_ABORTED, self._on_end, ["aborted"]),
            (evt.EVT_CONN_CLOSE, self._on_end, ["lost"]),
            (evt.EVT_CONN_CLOSE, self._stop_watching),
        ]
        try:
            self._server = self._start_server(_application_entity(config), (network.host, port), handlers)
        except OSError as error:
            raise StartError(f"{network.host}:{port}: the DICOM port cannot be opened: {error.strerror}") from error
        return int(self._server.server_address[1])

    def _start_server(
        self, entity: AE, address: tuple[str, int], handlers: list[evt.EventHandlerType]
    ) -> ThreadedAssociationServer:
        obstacle = check_internals() if self._live.current.clara.network.fast_path else "it is switched off"
        if obstacle is None:
            handlers.append((evt.EVT_ACCEPTED, self._stop_watching))
            return start_fast_server(entity, address, handlers, self._begin_store)
        log.warning("pynetdicom runs the data phase, which is slower", extra={"reason": obstacle})
        handlers.append((evt.EVT_PDU_RECV, self._on_progress))
        server = entity.start_server(address, block=False, evt_handlers=handlers)
        return cast(ThreadedAssociationServer, server)

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

    def _on_connected(self, event: Event) -> None:
        wrapped = event.assoc.dul.socket
        if wrapped is None or wrapped.socket is None:
            return
        if self._watch.count() >= self._live.current.dicom.scp.max_associations + _MOST_WAITING:
            end_connection(wrapped.socket)
            return
        wrapped.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else answers wait for up to 40 ms
        self._watch.expect(event.assoc, wrapped.socket, _ASSOCIATE_WITHIN)

    def _on_progress(self, event: Event) -> None:
        """Without the fast path: a whole PDU has come."""
        self._watch.progress(event.assoc, _PATIENCE * self._live.current.clara.network.network_timeout)

    def _stop_watching(self, event: Event) -> None:
        """The connection is closed; or accepted, on the fast path, which watches its peers itself."""
        self._watch.forget(event.assoc)

    def step(self) -> float:
        """End what peers hold without need, and forget associations whose thread died without a word.

        Returns:
            the seconds until it should be called again.
        """
        wait = self._watch.step()
        with self._known_lock:
            dead = [peer for peer in self._known if peer.ident is not None and not peer.is_alive()]
            associations = [self._known.pop(peer) for peer in dead]
        for association in associations:
            self._end(association, "lost")
        return wait

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
        self._on_rejected(reject.reason)
        peer.acse.send_reject(reject.result, reject.source, reject.diagnostic)
        peer.kill()

    def _on_store(self, event: Event) -> int:
        """Without the fast path: the whole data set is there."""
        request = cast(C_STORE, event.request)
        if request.DataSet is None:
            return int(StoreStatus.CANNOT_UNDERSTAND)
        wanted = StoreRequest(
            sop_class=str(request.AffectedSOPClassUID),
            sop_instance=str(request.AffectedSOPInstanceUID),
            transfer_syntax=str(event.context.transfer_syntax),
        )
        reception = self._intake.begin(self._association(event.assoc), wanted)
        reception.write((request.DataSet.getbuffer(),))
        status = reception.finish()
        self._on_progress(event)
        return int(status)

    def _begin_store(self, peer: PeerAssociation, command: Command, context: Context) -> Reception:
        """On the fast path: the data set comes in pieces."""
        wanted = StoreRequest(command.sop_class, command.sop_instance, context.transfer_syntax)
        return self._intake.begin(self._association(peer), wanted)

    def _association(self, peer: PeerAssociation) -> Association:
        with self._known_lock:
            return self._known[peer]

    def _on_end(self, event: Event, ending: Ending) -> None:
        with self._known_lock:
            association = self._known.pop(event.assoc, None)
        if association is not None:
            self._end(association, ending)

    def _end(self, association: Association, ending: Ending) -> None:
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
    transfer_syntaxes = [EXPLICIT_LITTLE, *ALL_TRANSFER_SYNTAXES, *network.private_transfer_syntaxes]
    classes = [str(context.abstract_syntax) for context in AllStoragePresentationContexts]
    for sop_class in (*classes, *network.private_sop_classes):
        entity.add_supported_context(sop_class, transfer_syntaxes)
    if scp.verification.enabled:
        entity.add_supported_context(VERIFICATION, list(scp.verification.transfer_syntaxes))
    return entity
