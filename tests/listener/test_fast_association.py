"""The fast path: when it is used, slow senders, and that it goes back to pynetdicom when the internals are others."""

import contextlib
import socket
import time

import pynetdicom

from dicom_listener import fast_association
from dicom_listener.fast_association import check_internals
from tests.listener.peers import make_series, send, wait_for
from tests.listener.test_receiving import begin_instance, connect


def test_the_installed_pynetdicom_is_known():
    assert check_internals() is None


def test_another_release_of_pynetdicom_is_not_trusted(make_listener, monkeypatch, caplog):
    monkeypatch.setattr(pynetdicom, "__version__", "3.1.0")
    assert check_internals() == "pynetdicom 3.1.0 is not one of 3.0.x"
    listener = make_listener()
    assert "pynetdicom runs the data phase" in caplog.text
    assert send(listener, make_series(2)) == [0, 0]


def test_changed_internals_are_noticed(monkeypatch):
    monkeypatch.delattr(fast_association.RequestHandler, "_create_association")
    assert "RequestHandler._create_association is not what this release knows" in (check_internals() or "")


def test_one_byte_a_second_is_too_slow(make_listener):
    listener = make_listener(network={"host": "127.0.0.1", "network-timeout": 1})
    peer = connect(listener)
    begin_instance(peer)

    def trickle() -> bool:
        with contextlib.suppress(OSError):
            peer.sendall(b"\x00")
        time.sleep(0.3)
        return listener.service._associations.count() == 0

    wait_for(trickle, 5)
    peer.close()


def test_a_slow_sender_that_goes_on_is_served(make_listener):
    listener = make_listener(network={"host": "127.0.0.1", "network-timeout": 1})
    series = make_series(4)
    entity = pynetdicom.AE("PACS")
    entity.add_requested_context(series[0].SOPClassUID, series[0].file_meta.TransferSyntaxUID)
    association = entity.associate("127.0.0.1", listener.dicom_port, ae_title="CT_AI")
    for instance in series:
        time.sleep(0.7)
        assert association.send_c_store(instance).Status == 0
    association.release()


def test_a_connection_that_asks_for_nothing_is_closed(make_listener, monkeypatch):
    monkeypatch.setattr("dicom_listener.receiver._ASSOCIATE_WITHIN", 0.5)
    listener = make_listener()
    with socket.create_connection(("127.0.0.1", listener.dicom_port)) as peer:
        peer.settimeout(10)
        peer.sendall(b"\x01\x00\x00\x00\xff\xff half a request")
        assert peer.recv(100) == b""
    assert send(listener, make_series(2)) == [0, 0]


def test_an_association_that_is_idle_stays(make_listener, monkeypatch):
    monkeypatch.setattr("dicom_listener.receiver._ASSOCIATE_WITHIN", 0.5)
    listener = make_listener()
    peer = connect(listener)
    time.sleep(2)
    assert listener.service._associations.count() == 1
    peer.sendall(b"\x05\x00\x00\x00\x00\x04\x00\x00\x00\x00")
    assert peer.recv(100)[:1] == b"\x06"
    peer.close()
