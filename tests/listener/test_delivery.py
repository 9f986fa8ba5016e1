"""Deliveries against a PACS that is down, refuses, is full, or warns."""

from functools import partial
from types import SimpleNamespace

import pytest

from clara_ops.contract.documents import read_document, write_document
from clara_ops.contract.payload import Manifest
from clara_ops.contract.states import DeliveryState, RunState
from clara_ops.contract.written import OBJECTS, WrittenObject, WrittenObjects
from dicom_listener.config import Config
from dicom_listener.delivery import Deliverer
from dicom_listener.errors import DestinationNotFound, PayloadNotFound, Superseded
from dicom_listener.journal.deliveries import find_delivery
from dicom_listener.journal.groups import Start
from dicom_listener.journal.runs import move_run, run_instances
from dicom_listener.payloads import build_payload
from dicom_listener.predecessors import delivered_before, written_before
from dicom_listener.requests import Requests
from tests.listener.desk import CT, Clock, Desk
from tests.listener.peers import Pacs, configuration, free_port, make_series, start_pacs


@pytest.fixture
def peer():
    return Pacs(free_port())


@pytest.fixture
def live(peer):
    return SimpleNamespace(current=Config.model_validate(configuration("http://127.0.0.1:1", peer.port)))


@pytest.fixture
def desk(tmp_path):
    opened = Desk(tmp_path)
    yield opened
    opened.journal.close()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def deliverer(desk, live, clock):
    opened = Deliverer(desk.journal, live, desk.data, lambda: None, clock)
    yield opened
    opened.close()


@pytest.fixture
def requests(desk, live):
    return Requests(desk.journal, live, desk.data, lambda: None, lambda: None)


def with_results(desk: Desk, count: int = 3, **options) -> str:
    """A run with a payload and `count` results in folder `out`."""
    run_id = desk.run(**options)
    run = desk.find(run_id)
    build_payload(desk.data, run, desk.journal.read(partial(run_instances, run=run)))
    out = desk.data / "payloads" / run_id / "out"
    out.mkdir()
    for number, result in enumerate(make_series(count)):
        result.save_as(out / f"{number}.dcm", enforce_file_format=True)
    return run_id


def state_of(desk: Desk, delivery) -> tuple[str, str]:
    found = desk.journal.read(partial(find_delivery, delivery_id=delivery.id))
    return found.state, found.reason


def step(deliverer: Deliverer) -> float:
    """One attempt at everything; answers the seconds until the next one."""
    deliverer.step()
    deliverer.finish()
    return deliverer.step()


def serve(peer: Pacs, classes=None):
    return start_pacs(peer, classes)


def test_a_pacs_that_is_down_is_asked_until_it_is_back(desk, requests, deliverer, peer, clock):
    delivery = requests.deliver(with_results(desk), "out", None)
    wait = step(deliverer)
    state, reason = state_of(desk, delivery)
    assert state == DeliveryState.SENDING
    assert "cannot be reached" in reason
    assert 0 < wait <= 2.5
    server = serve(peer)
    step(deliverer)
    assert peer.received == [], "not before its time"
    clock.now += wait
    step(deliverer)
    server.shutdown()
    assert state_of(desk, delivery) == (DeliveryState.DELIVERED, "")
    assert len(peer.received) == 3
    assert desk.find(delivery.payload).state == RunState.DELIVERED


def test_what_was_taken_is_not_sent_again_after_a_failure(desk, requests, deliverer, peer, clock):
    delivery = requests.deliver(with_results(desk, 4), "out", None)
    server = serve(peer)
    peer.room = 2
    wait = step(deliverer)
    assert len(peer.received) == 2
    assert "status A700" in state_of(desk, delivery)[1]
    peer.room = 9
    clock.now += wait
    step(deliverer)
    server.shutdown()
    assert state_of(desk, delivery)[0] == DeliveryState.DELIVERED
    assert len(peer.received) == 4


def test_a_sop_class_that_is_not_accepted_fails_with_the_reason_after_bounded_attempts(
    desk, requests, deliverer, peer, clock
):
    delivery = requests.deliver(with_results(desk), "out", None)
    server = serve(peer, classes=["1.2.840.10008.5.1.4.1.1.4"])
    attempts = 0
    while state_of(desk, delivery)[0] == DeliveryState.SENDING:
        clock.now += step(deliverer)
        attempts += 1
        assert attempts < 10
    server.shutdown()
    assert state_of(desk, delivery)[0] == DeliveryState.FAILED
    assert "accepts none of the SOP classes" in state_of(desk, delivery)[1]
    assert attempts == 3


def test_a_failed_delivery_starts_again_when_it_is_asked_for_again(desk, requests, deliverer, peer, clock):
    run_id = with_results(desk)
    server = serve(peer)
    peer.status = 0xA900
    delivery = requests.deliver(run_id, "out", None)
    for _ in range(3):
        clock.now += step(deliverer)
    assert state_of(desk, delivery)[0] == DeliveryState.FAILED
    assert "status A900" in state_of(desk, delivery)[1]
    peer.status = 0
    assert requests.deliver(run_id, "out", None).id == delivery.id
    step(deliverer)
    server.shutdown()
    assert state_of(desk, delivery)[0] == DeliveryState.DELIVERED


def test_a_warning_is_a_delivery_and_is_told(desk, requests, deliverer, peer):
    delivery = requests.deliver(with_results(desk), "out", None)
    server = serve(peer)
    peer.status = 0xB000
    step(deliverer)
    server.shutdown()
    assert state_of(desk, delivery) == (DeliveryState.DELIVERED, "DCM4CHEE warned with status B000")


def test_files_that_are_no_dicom_stay_here(desk, requests, deliverer, peer):
    run_id = with_results(desk, 1)
    out = desk.data / "payloads" / run_id / "out"
    (out / "result.json").write_text("{}")
    (out / "notes.dcm").write_text("no DICOM in spite of its name")
    (out / "deeper").mkdir()
    (result,) = make_series(1)
    result.save_as(out / "deeper" / "another", enforce_file_format=True)
    requests.deliver(run_id, "out", None)
    server = serve(peer)
    step(deliverer)
    server.shutdown()
    assert len(peer.received) == 2


def test_the_same_three_get_one_delivery_and_other_destinations_another(desk, requests, live, peer):
    run_id = with_results(desk)
    first = requests.deliver(run_id, "out", None)
    assert requests.deliver(run_id, "out", "DCM4CHEE") == first
    with pytest.raises(DestinationNotFound):
        requests.deliver(run_id, "out", "ELSEWHERE")


def test_no_destination_and_no_dicom_are_skipped_with_the_reason(desk, requests):
    without = requests.deliver(with_results(desk, destination=None), "out", None)
    assert (without.state, without.reason) == (DeliveryState.SKIPPED, "the mapping names no destination")
    empty = requests.deliver(with_results(desk, series="2"), "no-such-folder", None)
    assert (empty.state, empty.reason) == (DeliveryState.SKIPPED, "no-such-folder holds no DICOM file")


def test_a_superseded_run_is_not_delivered(desk, requests):
    run_id = with_results(desk)
    desk.journal.write(partial(move_run, run_id=run_id, state=RunState.SUPERSEDED, reason="by g2", now=9.0))
    with pytest.raises(Superseded, match="superseded by g2"):
        requests.deliver(run_id, "out", None)


def written(desk: Desk, run_id: str, lineage: str) -> WrittenObject:
    """An object that dicom-writer notes in folder `out`."""
    found = WrittenObject(CT, f"1.{len(lineage)}", "2", "3", lineage)
    write_document(WrittenObjects((found,)), desk.data / "payloads" / run_id / "out" / OBJECTS)
    return found


def manifest_of(desk: Desk, requests: Requests, first: str) -> Manifest:
    """That of another run on the same images."""
    run = desk.find(first)
    again = requests.start_run(Start(run.workflow, None), run.ae_title, run.group_value)
    instances = desk.journal.read(partial(run_instances, run=again))
    predecessors = written_before(desk.data, desk.journal.read(partial(delivered_before, run=again)))
    build_payload(desk.data, again, instances, predecessors)
    return read_document(Manifest, desk.data / "payloads" / again.run_id / "payload.json")


def test_the_next_generation_knows_what_was_delivered_before(desk, requests, deliverer, peer):
    run_id = with_results(desk)
    expected = written(desk, run_id, "liver")
    requests.deliver(run_id, "out", None)
    server = serve(peer)
    step(deliverer)
    server.shutdown()
    assert len(peer.received) == 3, "the list of objects is not sent"
    manifest = manifest_of(desk, requests, run_id)
    assert (manifest.generation, manifest.predecessors) == (2, (expected,))
    third = manifest_of(desk, requests, run_id)
    assert (third.generation, third.predecessors) == (3, (expected,)), "the second one was never delivered"


def test_what_was_not_delivered_is_no_predecessor(desk, requests):
    run_id = with_results(desk)
    written(desk, run_id, "liver")
    assert manifest_of(desk, requests, run_id).predecessors == ()


def test_a_list_of_objects_that_cannot_be_read_holds_nothing_up(desk, requests, deliverer, peer, caplog):
    run_id = with_results(desk)
    (desk.data / "payloads" / run_id / "out" / OBJECTS).write_text("{")
    requests.deliver(run_id, "out", None)
    server = serve(peer)
    step(deliverer)
    server.shutdown()
    assert manifest_of(desk, requests, run_id).predecessors == ()
    assert "predecessors unknown" in caplog.text


def test_a_payload_that_is_not_there_is_named(requests):
    for name in ("ct-ai-0123456789abcdef0123-g1", "../../etc"):
        with pytest.raises(PayloadNotFound):
            requests.deliver(name, "out", None)


def test_a_destination_that_is_down_holds_no_other_up(desk, live, requests, deliverer, peer):
    data = configuration("http://127.0.0.1:1", peer.port)
    other = {"name": "DOWN", "ae-title": "DOWN", "host-ip": "127.0.0.1", "port": free_port()}
    data["dicom"]["scu"]["destinations"].append(other)
    live.current = Config.model_validate(data)
    waiting = [requests.deliver(with_results(desk, series=str(number)), "out", "DOWN") for number in (1, 2)]
    good = requests.deliver(with_results(desk, series="3"), "out", None)
    server = serve(peer)
    assert 0 < step(deliverer) <= 2.5
    server.shutdown()
    assert state_of(desk, good)[0] == DeliveryState.DELIVERED
    for delivery in waiting:
        state, reason = state_of(desk, delivery)
        assert state == DeliveryState.SENDING
        assert "DOWN" in reason
        assert "cannot be reached" in reason
