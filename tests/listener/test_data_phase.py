"""The data phase without a network: what pynetdicom encodes is understood, however it is cut; nothing else is."""

import struct
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pynetdicom.dimse_messages import C_ECHO_RQ, C_STORE_RQ, C_STORE_RSP, DIMSEMessage
from pynetdicom.dimse_primitives import C_ECHO, C_STORE
from pynetdicom.pdu import A_ABORT_RQ, A_RELEASE_RP, P_DATA_TF

from dicom_listener.data_phase import VERIFICATION, Context, DataPhase, End

CT, EXPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"
CONTEXTS = {1: Context(CT, EXPLICIT), 3: Context(VERIFICATION, EXPLICIT)}
RELEASE = b"\x05\x00\x00\x00\x00\x04\x00\x00\x00\x00"


class Recorder:
    """A sink that remembers."""

    def __init__(self, status: int = 0) -> None:
        self.content = bytearray()
        self.finished = self.abandoned = False
        self._status = status

    def write(self, pieces):
        for piece in pieces:
            self.content += piece

    def finish(self):
        self.finished = True
        return self._status

    def abandon(self):
        self.abandoned = True


class Peer:
    """The acceptor's side, with what it was asked to store."""

    def __init__(self, status: int = 0, maximum_pdu: int = 16384) -> None:
        self.stored = []
        self.status = status
        self.phase = DataPhase(CONTEXTS, maximum_pdu, self._begin)
        self.sent = b""

    def _begin(self, command, context):
        sink = Recorder(self.status)
        self.stored.append((command, context, sink))
        return sink

    def feed(self, stream: bytes, sizes=(1 << 30,)) -> None:
        """Feed a stream as a socket would: in chunks, what was not used in front of the next one."""
        sizes, kept, position = iter(sizes), b"", 0
        while position < len(stream) and self.phase.end is None:
            size = next(sizes, 1 << 30)
            chunk = kept + stream[position : position + size]
            position += size
            used, answers = self.phase.feed(memoryview(chunk))
            kept, self.sent = chunk[used:], self.sent + answers


def store_request(content: bytes, uid: str = "1.2.3", message_id: int = 7, pdu: int = 16384) -> bytes:
    request = C_STORE()
    request.MessageID, request.Priority = message_id, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = CT, uid
    request.DataSet = BytesIO(content)
    return encode(C_STORE_RQ(), request, 1, pdu)


def encode(message: DIMSEMessage, primitive, context: int, pdu: int = 16384) -> bytes:
    message.primitive_to_message(primitive)
    return b"".join(P_DATA_TF(item).encode() for item in message.encode_msg(context, pdu))


def decode(stream: bytes):
    """The responses in a stream, by pynetdicom."""
    answers = []
    while stream:
        length = 6 + struct.unpack_from(">L", stream, 2)[0]
        pdu = P_DATA_TF()
        pdu.decode(stream[:length])
        message = DIMSEMessage()
        assert message.decode_msg(pdu.to_primitive())
        answers.append(message.message_to_primitive())
        stream = stream[length:]
    return answers


@settings(deadline=None)
@given(
    contents=st.lists(st.binary(min_size=1, max_size=3000), min_size=1, max_size=4),
    pdu=st.sampled_from([64, 200, 1000, 16384]),
    sizes=st.lists(st.integers(1, 400), max_size=200),
)
def test_instances_arrive_whole_however_the_stream_is_cut(contents, pdu, sizes):
    peer = Peer()
    stream = b"".join(store_request(item, f"1.2.{number}", number, pdu) for number, item in enumerate(contents))
    peer.feed(stream + RELEASE, sizes)
    assert [bytes(sink.content) for _, _, sink in peer.stored] == contents
    assert all(sink.finished and not sink.abandoned for _, _, sink in peer.stored)
    assert [command.sop_instance for command, _, _ in peer.stored] == [f"1.2.{n}" for n in range(len(contents))]
    assert peer.phase.end is End.RELEASED
    release = A_RELEASE_RP()
    release.decode(peer.sent[-10:])
    responses = decode(peer.sent[:-10])
    assert [answer.MessageIDBeingRespondedTo for answer in responses] == list(range(len(contents)))
    assert [answer.AffectedSOPInstanceUID for answer in responses] == [f"1.2.{n}" for n in range(len(contents))]


@pytest.mark.parametrize("status", [0x0000, 0xA700, 0xC000])
def test_the_sinks_status_is_answered(status):
    peer = Peer(status)
    peer.feed(store_request(b"abc"))
    (answer,) = decode(peer.sent)
    assert isinstance(answer, C_STORE)
    assert (answer.Status, answer.AffectedSOPClassUID) == (status, CT)
    assert peer.phase.is_idle


def test_fragments_of_several_values_in_one_pdu():
    parts = [store_request(b"abcd" * 10, pdu=64)]
    values = b""
    while parts[0]:
        length = 6 + struct.unpack_from(">L", parts[0], 2)[0]
        values += parts[0][6:length]
        parts[0] = parts[0][length:]
    peer = Peer()
    peer.feed(struct.pack(">BxL", 4, len(values)) + values)
    ((_, _, sink),) = peer.stored
    assert bytes(sink.content) == b"abcd" * 10


def test_echo():
    peer = Peer()
    request = C_ECHO()
    request.MessageID, request.AffectedSOPClassUID = 3, VERIFICATION
    peer.feed(encode(C_ECHO_RQ(), request, 3))
    (answer,) = decode(peer.sent)
    assert isinstance(answer, C_ECHO)
    assert (answer.Status, answer.MessageIDBeingRespondedTo) == (0, 3)


def test_echo_over_a_storage_context_is_refused():
    peer = Peer()
    request = C_ECHO()
    request.MessageID, request.AffectedSOPClassUID = 3, VERIFICATION
    peer.feed(encode(C_ECHO_RQ(), request, 1))
    assert decode(peer.sent)[0].Status == 0x0122


def test_a_store_request_without_a_data_set_cannot_be_understood():
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = CT, "1.2.3"
    message = C_STORE_RQ()
    message.primitive_to_message(request)
    message.command_set.CommandDataSetType = 0x0101
    peer = Peer()
    peer.feed(b"".join(P_DATA_TF(item).encode() for item in message.encode_msg(1, 16384)))
    assert decode(peer.sent)[0].Status == 0xC000


def response() -> bytes:
    answer = C_STORE()
    answer.MessageIDBeingRespondedTo, answer.Status = 1, 0
    answer.AffectedSOPClassUID, answer.AffectedSOPInstanceUID = CT, "1.2.3"
    return encode(C_STORE_RSP(), answer, 1)


STORE = store_request(b"abcdefgh", pdu=200)
COMMAND_END = 6 + struct.unpack_from(">L", STORE, 2)[0]


@pytest.mark.parametrize(
    ("stream", "reason"),
    [
        (b"\x01\x00\x00\x00\x00\x04abcd", 2),
        (b"\x06\x00\x00\x00\x00\x04abcd", 2),
        (b"\x08\x00\x00\x00\x00\x04abcd", 1),
        (b"\x05\x00\x00\x00\x00\x05abcde", 6),
        (b"\x04\x00\x00\x00\x00\x00", 6),
        (b"\x04\x00\x00\x00\x50\x00", 6),
        (b"\x04\x00\x00\x00\x00\x06\x00\x00\x00\x02\x05\x03", 6),
        (b"\x04\x00\x00\x00\x00\x06\x00\x00\x00\x01\x01\x03", 6),
        (b"\x04\x00\x00\x00\x00\x06\x00\x00\x00\x03\x01\x03", 6),
        (b"\x04\x00\x00\x00\x00\x08\x00\x00\x00\x03\x01\x03a\x00", 6),
        (b"\x04\x00\x00\x00\x00\x06\x00\x00\x00\x02\x01\x02", 5),
        (b"\x04\x00\x00\x00\x00\x06\x00\x00\x00\x02\x01\x03", 6),
        (STORE[:COMMAND_END] + STORE[:COMMAND_END], 5),
        (STORE[:COMMAND_END] + b"\x04\x00\x00\x00\x00\x06\x00\x00\x00\x02\x03\x02", 5),
        (response(), 6),
    ],
    ids=[
        "associate",
        "release answer",
        "unknown",
        "release of another length",
        "empty",
        "longer than announced",
        "unknown context",
        "value too short",
        "value too long",
        "rest too short",
        "data before a command",
        "command without elements",
        "command instead of data",
        "data in another context",
        "a response",
    ],
)
def test_what_breaks_the_protocol_is_aborted_with_the_standards_reason(stream, reason):
    peer = Peer()
    peer.feed(stream)
    assert peer.phase.end is End.ABORTED_BY_US
    abort = A_ABORT_RQ()
    abort.decode(peer.sent[-10:])
    assert (abort.source, abort.reason_diagnostic) == (2, reason)
    assert all(sink.abandoned and not sink.finished for _, _, sink in peer.stored)


@pytest.mark.parametrize("pdu", [RELEASE, b"\x07\x00\x00\x00\x00\x04\x00\x00\x00\x00"])
def test_an_end_in_the_middle_of_an_instance_abandons_it(pdu):
    peer = Peer()
    peer.feed(STORE[:COMMAND_END] + pdu)
    assert peer.phase.end in (End.RELEASED, End.ABORTED_BY_PEER)
    assert peer.stored[0][2].abandoned


def test_a_command_that_never_ends_is_cut_off():
    peer = Peer()
    fragment = b"\x04\x00\x00\x00\x10\x06\x00\x00\x10\x02\x01\x01" + b"\x00" * 4096
    for _ in range(40):
        peer.feed(fragment)
        if peer.phase.end is not None:
            break
    assert peer.phase.end is End.ABORTED_BY_US


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=300))
def test_random_bytes_end_in_an_abort_or_wait_for_more(content):
    peer = Peer()
    peer.feed(content)
    assert all(not sink.finished for _, _, sink in peer.stored)


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_damaged_streams_never_raise(data):
    stream = bytearray(store_request(b"abcdefgh" * 20, pdu=64) * 2 + RELEASE)
    for _ in range(data.draw(st.integers(1, 5))):
        stream[data.draw(st.integers(0, len(stream) - 1))] = data.draw(st.integers(0, 255))
    peer = Peer()
    peer.feed(bytes(stream), data.draw(st.lists(st.integers(1, 60), max_size=30)))
    peer.phase.abandon()
    for _, _, sink in peer.stored:
        assert sink.finished is not sink.abandoned
