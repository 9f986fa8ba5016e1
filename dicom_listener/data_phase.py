"""The data phase of an association as acceptor: P-DATA-TF, release and abort (DICOM PS3.8 section 9.3), without I/O.

Fragments of data sets are handed on as they lie in the receive buffer; only command sets are decoded.
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Final, Protocol, cast

VERIFICATION: Final = "1.2.840.10008.1.1"

_P_DATA, _RELEASE_RQ, _ABORT = 4, 5, 7
_KNOWN_PDUS: Final = range(1, 8)
_RELEASE_RP: Final = struct.pack(">BxLL", 6, 4, 0)
_PDU = struct.Struct(">BxL").unpack_from
_PDV = struct.Struct(">LBB").unpack_from
_ELEMENT = struct.Struct("<HHL").unpack_from
_SHORT = struct.Struct("<H").unpack_from
_PDU_HEADER, _PDV_HEADER = 6, 6
_SERVICE_PROVIDER: Final = 2
_LONGEST_COMMAND: Final = 1 << 16
_COMMAND, _LAST = 1, 2

_CLASS, _FIELD, _MESSAGE, _DATASET_TYPE, _INSTANCE = 0x0002, 0x0100, 0x0110, 0x0800, 0x1000
_STORE_RQ, _ECHO_RQ, _RESPONSE = 0x0001, 0x0030, 0x8000
_NO_DATASET = 0x0101
_SOP_CLASS_NOT_SUPPORTED, _CANNOT_UNDERSTAND = 0x0122, 0xC000


class Reason(IntEnum):
    """Reason of an A-ABORT by the service provider (DICOM PS3.8 section 9.3.8)."""

    NOT_SPECIFIED = 0
    UNRECOGNIZED_PDU = 1
    UNEXPECTED_PDU = 2
    UNEXPECTED_PARAMETER = 5
    INVALID_PARAMETER = 6


class End(Enum):
    """How an association ended."""

    RELEASED = "released"
    ABORTED_BY_PEER = "aborted by the peer"
    ABORTED_BY_US = "aborted by us"


@dataclass(frozen=True)
class Context:
    """An accepted presentation context."""

    abstract_syntax: str
    transfer_syntax: str


@dataclass(frozen=True)
class Command:
    """A request's command set, as far as it is used."""

    field: int
    message_id: int
    sop_class: str
    sop_instance: str
    has_dataset: bool


class Sink(Protocol):
    """Takes one data set."""

    def write(self, pieces: Sequence[memoryview]) -> None:
        """Take the next pieces; they are valid during the call only."""

    def finish(self) -> int:
        """The data set is complete: the status to answer."""

    def abandon(self) -> None:
        """The data set will never be complete."""


class ProtocolError(Exception):
    """The peer broke the protocol: the association is aborted with this reason."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.name)
        self.reason = reason


class DataPhase:
    """Feed it what was received; it answers what to send.

    Args:
        contexts: accepted presentation contexts by id.
        maximum_pdu: what was announced to the peer, bytes; 0 for no limit.
        begin_store: takes a C-STORE request.
    """

    def __init__(
        self,
        contexts: Mapping[int, Context],
        maximum_pdu: int,
        begin_store: Callable[[Command, Context], Sink],
    ) -> None:
        self._contexts = contexts
        self._maximum_pdu = maximum_pdu or 1 << 32
        self._begin_store = begin_store
        self._pdu_left = 0
        self._pdv_left = 0
        self._control = 0
        self._context_id = 0
        self._command_bytes = bytearray()
        self._command: Command | None = None
        self._sink: Sink | None = None
        self._pieces: list[memoryview] = []
        self._answers: list[bytes] = []
        self.end: End | None = None

    @property
    def is_idle(self) -> bool:
        """Whether the peer owes nothing: it is between two messages."""
        return self._pdu_left == 0 and self._command is None and not self._command_bytes

    def feed(self, data: memoryview) -> tuple[int, bytes]:
        """Take bytes.

        Returns:
            how many were used: the rest must come again, at the front of the next ones; and what to send.
        """
        try:
            used = self._consume(data)
            self._flush()
        except ProtocolError as error:
            self._answers.append(struct.pack(">BxLxxBB", _ABORT, 4, _SERVICE_PROVIDER, error.reason))
            self._finish(End.ABORTED_BY_US)
            used = len(data)
        answers = b"".join(self._answers)
        self._answers.clear()
        return used, answers

    def abandon(self) -> None:
        """The connection is gone: a data set that has begun will never be complete."""
        self._pieces.clear()
        if self._sink is not None:
            self._sink.abandon()
            self._sink = None

    def _consume(self, data: memoryview) -> int:
        offset, size = 0, len(data)
        while self.end is None:
            left = size - offset
            if self._pdv_left:
                if not left:
                    break
                taken = min(left, self._pdv_left)
                self._take(data[offset : offset + taken])
                offset += taken
            elif self._pdu_left:
                if left < _PDV_HEADER:
                    break
                self._begin_pdv(*_PDV(data, offset))
                offset += _PDV_HEADER
            elif left < _PDU_HEADER:
                break
            else:
                used = self._begin_pdu(data[offset:])
                if not used:
                    break
                offset += used
        return offset

    def _begin_pdu(self, data: memoryview) -> int:
        """How many bytes of the PDU were used; 0 when more are needed."""
        kind, length = cast(tuple[int, int], _PDU(data))
        if kind == _P_DATA:
            if not _PDV_HEADER <= length <= self._maximum_pdu:
                raise ProtocolError(Reason.INVALID_PARAMETER)
            self._pdu_left = length
            return _PDU_HEADER
        if kind not in _KNOWN_PDUS:
            raise ProtocolError(Reason.UNRECOGNIZED_PDU)
        if kind not in (_RELEASE_RQ, _ABORT):
            raise ProtocolError(Reason.UNEXPECTED_PDU)
        if length != 4:
            raise ProtocolError(Reason.INVALID_PARAMETER)
        if len(data) < _PDU_HEADER + length:
            return 0
        if kind == _RELEASE_RQ:
            self._answers.append(_RELEASE_RP)
        self._finish(End.RELEASED if kind == _RELEASE_RQ else End.ABORTED_BY_PEER)
        return _PDU_HEADER + length

    def _begin_pdv(self, length: int, context_id: int, control: int) -> None:
        if not 2 <= length <= self._pdu_left - 4:
            raise ProtocolError(Reason.INVALID_PARAMETER)
        if self._pdu_left - length - 4 in range(1, _PDV_HEADER):
            raise ProtocolError(Reason.INVALID_PARAMETER)
        if context_id not in self._contexts:
            raise ProtocolError(Reason.INVALID_PARAMETER)
        expects_command = self._command is None
        if bool(control & _COMMAND) is not expects_command:
            raise ProtocolError(Reason.UNEXPECTED_PARAMETER)
        in_message = self._command is not None or self._command_bytes
        if in_message and context_id != self._context_id:
            raise ProtocolError(Reason.UNEXPECTED_PARAMETER)
        self._pdu_left -= _PDV_HEADER
        self._pdv_left = length - 2
        self._context_id, self._control = context_id, control
        if not self._pdv_left:
            self._end_pdv()

    def _take(self, fragment: memoryview) -> None:
        if self._control & _COMMAND:
            if len(self._command_bytes) + len(fragment) > _LONGEST_COMMAND:
                raise ProtocolError(Reason.INVALID_PARAMETER)
            self._command_bytes += fragment
        else:
            self._pieces.append(fragment)
        self._pdv_left -= len(fragment)
        self._pdu_left -= len(fragment)
        if not self._pdv_left:
            self._end_pdv()

    def _end_pdv(self) -> None:
        if not self._control & _LAST:
            return
        if self._control & _COMMAND:
            self._handle(parse_command(bytes(self._command_bytes)))
            self._command_bytes.clear()
        else:
            self._flush()
            if self._command is not None and self._sink is not None:
                sink, command = self._sink, self._command
                self._sink = self._command = None
                self._answer(command, sink.finish())

    def _handle(self, command: Command) -> None:
        context = self._contexts[self._context_id]
        if command.field == _ECHO_RQ and not command.has_dataset:
            known = context.abstract_syntax == VERIFICATION
            self._answer(command, 0 if known else _SOP_CLASS_NOT_SUPPORTED)
        elif command.field == _STORE_RQ and not command.has_dataset:
            self._answer(command, _CANNOT_UNDERSTAND)
        elif command.field == _STORE_RQ:
            self._command = command
            self._sink = self._begin_store(command, context)
        else:
            raise ProtocolError(Reason.NOT_SPECIFIED)

    def _flush(self) -> None:
        if self._pieces and self._sink is not None:
            self._sink.write(self._pieces)
        self._pieces = []

    def _answer(self, command: Command, status: int) -> None:
        self._answers.append(encode_response(self._context_id, command, status))

    def _finish(self, end: End) -> None:
        self.end = end
        self.abandon()


def parse_command(content: bytes) -> Command:
    """Decode a command set (DICOM PS3.7 section 6.3.1): implicit VR little endian.

    Raises:
        ProtocolError: it is not one, or is no request.
    """
    values: dict[int, bytes] = {}
    offset = 0
    while offset < len(content):
        if offset + 8 > len(content):
            raise ProtocolError(Reason.INVALID_PARAMETER)
        group, element, length = _ELEMENT(content, offset)
        offset += 8
        if group != 0 or offset + length > len(content):
            raise ProtocolError(Reason.INVALID_PARAMETER)
        values[element] = content[offset : offset + length]
        offset += length
    return Command(
        field=_number(values, _FIELD),
        message_id=_number(values, _MESSAGE),
        sop_class=_uid(values, _CLASS),
        sop_instance=_uid(values, _INSTANCE),
        has_dataset=_number(values, _DATASET_TYPE) != _NO_DATASET,
    )


def encode_response(context_id: int, command: Command, status: int) -> bytes:
    """The P-DATA-TF PDU that answers a request (DICOM PS3.7 sections 9.3.1.2 and 9.3.5.2)."""
    elements = [
        _element(_CLASS, _padded(command.sop_class)),
        _element(_FIELD, struct.pack("<H", command.field | _RESPONSE)),
        _element(0x0120, struct.pack("<H", command.message_id)),
        _element(_DATASET_TYPE, struct.pack("<H", _NO_DATASET)),
        _element(0x0900, struct.pack("<H", status)),
    ]
    if command.sop_instance:
        elements.append(_element(_INSTANCE, _padded(command.sop_instance)))
    body = b"".join(elements)
    body = _element(0x0000, struct.pack("<L", len(body))) + body
    return struct.pack(">BxLLBB", _P_DATA, len(body) + 6, len(body) + 2, context_id, _COMMAND | _LAST) + body


def _element(element: int, value: bytes) -> bytes:
    return struct.pack("<HHL", 0, element, len(value)) + value


def _padded(uid: str) -> bytes:
    value = uid.encode("ascii")
    return value + b"\x00" * (len(value) % 2)


def _number(values: Mapping[int, bytes], element: int) -> int:
    value = values.get(element, b"")
    if len(value) != 2:
        raise ProtocolError(Reason.INVALID_PARAMETER)
    return int(_SHORT(value)[0])


def _uid(values: Mapping[int, bytes], element: int) -> str:
    value = values.get(element, b"").rstrip(b"\x00 ")
    if len(value) > 64 or not value.isascii():
        raise ProtocolError(Reason.INVALID_PARAMETER)
    return value.decode("ascii")
