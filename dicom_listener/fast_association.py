"""pynetdicom negotiates; the data phase of an accepted association then runs here, straight on its socket.

The one module that touches pynetdicom's internals. `check_internals` says whether they are as this module knows them;
where they are not, the receiver lets pynetdicom run the data phase too, slower and otherwise the same.
"""

import inspect
import logging
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, cast

import pynetdicom
from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.dul import DULServiceProvider
from pynetdicom.transport import AssociationServer, AssociationSocket, RequestHandler, ThreadedAssociationServer

from dicom_listener.data_phase import Command, Context, DataPhase, End, Sink

log = logging.getLogger(__name__)

KNOWN_VERSIONS = ("3.0.",)
_ESTABLISHED = "Sta6"
_BUFFER = 1 << 19
_ARTIM = 5.0
_SLOWEST = 1024
_ABORT_BY_US = b"\x07\x00\x00\x00\x00\x04\x00\x00\x02\x00"
_BACKLOG = 128
_DRAIN = 1 << 16

BeginStore = Callable[[Association, Command, Context], Sink]


def check_internals() -> str | None:
    """Why the fast path cannot be used with this pynetdicom, or None."""
    version = pynetdicom.__version__
    if not version.startswith(KNOWN_VERSIONS):
        return f"pynetdicom {version} is not one of {', '.join(KNOWN_VERSIONS)}x"
    needed: list[tuple[type, str, list[str]]] = [
        (DULServiceProvider, "_is_transport_event", ["self"]),
        (Association, "_run_reactor", ["self"]),
        (Association, "abort", ["self", "block"]),
        (RequestHandler, "_create_association", ["self"]),
        (AssociationServer, "process_request", ["self", "request", "client_address"]),
    ]
    for owner, name, parameters in needed:
        method = getattr(owner, name, None)
        if method is None or list(inspect.signature(method).parameters) != parameters:
            return f"pynetdicom {version}: {owner.__name__}.{name} is not what this release knows"
    return None


class _NegotiatingDUL(DULServiceProvider):
    """Leaves the socket alone once the association is established."""

    def _is_transport_event(self) -> bool:
        if self.state_machine.current_state == _ESTABLISHED:
            return False
        return super()._is_transport_event()


class FastAssociation(Association):
    """An acceptor whose thread reads the socket itself in the data phase."""

    def __init__(self, server: "FastServer") -> None:
        super().__init__(server.ae, "acceptor")
        self.dul = _NegotiatingDUL(self)
        self._server = server
        self._begin_store = server.begin_store
        self._send_lock = threading.Lock()
        self._in_data_phase = False

    def abort(self, block: bool = True) -> None:
        """Abort from another thread: the data phase ends with its next read."""
        if not self._in_data_phase:
            super().abort(block)
            return
        connection = self._connection()
        try:
            with self._send_lock:
                connection.sendall(_ABORT_BY_US)
            connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            return

    def _run_reactor(self) -> None:
        if not self._retire_dul():
            super()._run_reactor()
            return
        contexts = {
            number: Context(str(context.abstract_syntax), str(context.transfer_syntax[0]))
            for number, context in self._accepted_cx.items()
        }
        phase = DataPhase(contexts, self.acceptor.maximum_length or 0, self._begin)
        self._in_data_phase = True
        connection = self._connection()
        try:
            self._serve(connection, phase)
        except OSError as error:
            log.info("connection lost", extra={"reason": str(error)})
        finally:
            self._in_data_phase = False
            phase.abandon()
            self._conclude(phase.end)
            self._close(connection, phase.end)

    def _begin(self, command: Command, context: Context) -> Sink:
        return self._begin_store(self, command, context)

    def _connection(self) -> socket.socket:
        return cast(socket.socket, cast(AssociationSocket, self.dul.socket).socket)

    def _retire_dul(self) -> bool:
        """Wait until the A-ASSOCIATE-AC is sent, and end the DUL's thread; False when the association ended instead."""
        while self.dul.state_machine.current_state == "Sta3" and self.dul.is_alive():
            time.sleep(0.0002)
        if self.dul.state_machine.current_state != _ESTABLISHED:
            return False
        self.dul.kill_dul()
        self.dul.join()
        return True

    def _serve(self, connection: socket.socket, phase: DataPhase) -> None:
        """Read, hand on, answer, until the association ends or the peer is too slow."""
        patience = self.network_timeout or 60.0
        connection.settimeout(patience)
        buffer = memoryview(bytearray(_BUFFER))
        kept = 0
        since, received = time.monotonic(), 0
        while phase.end is None:
            count = connection.recv_into(buffer[kept:])
            if not count:
                return
            end = kept + count
            used, answers = phase.feed(buffer[:end])
            kept = end - used
            buffer[:kept] = buffer[used:end]
            if answers:
                with self._send_lock:
                    connection.sendall(answers)
            received += count
            now = time.monotonic()
            if answers or (phase.is_idle and not kept) or received >= _SLOWEST * patience:
                since, received = now, 0
            elif now - since > patience:
                with self._send_lock:
                    connection.sendall(_ABORT_BY_US)
                phase.end = End.ABORTED_BY_US
                log.warning("association aborted", extra={"reason": f"less than {_SLOWEST} bytes a second"})

    def _conclude(self, end: End | None) -> None:
        self.is_established = False
        self.is_released = end is End.RELEASED
        self.is_aborted = not self.is_released
        evt.trigger(self, evt.EVT_RELEASED if self.is_released else evt.EVT_ABORTED, {})

    def _close(self, connection: socket.socket, end: End | None) -> None:
        """The last answer must arrive, so the peer closes first (DICOM PS3.8 section 9.2.3, Sta13)."""
        try:
            if end in (End.RELEASED, End.ABORTED_BY_US):
                connection.settimeout(_ARTIM)
                connection.shutdown(socket.SHUT_WR)
                deadline = time.monotonic() + _ARTIM
                while connection.recv(_DRAIN) and time.monotonic() < deadline:
                    continue
        except OSError as error:
            log.debug("connection lost after its end", extra={"reason": str(error)})
        cast(AssociationSocket, self.dul.socket).close()
        evt.trigger(self, evt.EVT_CONN_CLOSE, {"address": self.requestor.address_info})


class _FastRequestHandler(RequestHandler):
    """Makes fast associations, which share the supported presentation contexts: negotiation only reads them."""

    def _create_association(self) -> Association:
        server = cast(FastServer, self.server)
        association = FastAssociation(server)
        association.name = f"AcceptorThread@{self.client_address[0]}:{self.client_address[1]}"
        association.set_socket(AssociationSocket(association, client_socket=self.request))
        acceptor = association.acceptor
        acceptor.maximum_length = self.ae.maximum_pdu_size
        acceptor.ae_title = server.ae_title
        acceptor.address_info = self.local
        acceptor.implementation_class_uid = self.ae.implementation_class_uid
        acceptor.implementation_version_name = self.ae.implementation_version_name
        acceptor.supported_contexts = server.contexts
        association.requestor.address_info = self.remote
        server.bind_handlers(association)
        return association


class FastServer(ThreadedAssociationServer):
    """Accepts connections; each association has two threads while it negotiates, and one from then on."""

    request_queue_size = _BACKLOG

    def __init__(self, *args: Any, begin_store: BeginStore, **kwargs: Any) -> None:
        self.begin_store = begin_store
        super().__init__(*args, **kwargs)

    def bind_handlers(self, association: Association) -> None:
        """Have an association tell what happens to it to whoever asked the server for it."""
        for event, handlers in self._handlers.items():
            if isinstance(event, evt.NotificationEvent):
                for handler, arguments in cast(list[tuple[Callable[..., None], list[Any] | None]], handlers):
                    association.bind(event, handler, arguments)

    def process_request(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: tuple[str, int] | str
    ) -> None:
        """Set the association up in the accepting thread: that is quick, and a thread for it alone is not."""
        AssociationServer.process_request(self, request, client_address)

    def service_actions(self) -> None:
        """pynetdicom collects garbage here, which takes longer than setting an association up."""


def start_fast_server(
    entity: pynetdicom.AE,
    address: tuple[str, int],
    handlers: list[evt.EventHandlerType],
    begin_store: BeginStore,
) -> FastServer:
    """Start to accept, as `AE.start_server` does without blocking.

    Raises:
        OSError: the address cannot be had.
    """
    server = entity.make_server(
        address,
        evt_handlers=handlers,
        server_class=FastServer,
        request_handler=_FastRequestHandler,
        begin_store=begin_store,
    )
    threading.Thread(target=server.serve_forever, name="dicom", daemon=True).start()
    entity._servers.append(server)
    return cast(FastServer, server)
