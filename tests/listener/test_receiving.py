"""What senders hear, and what is kept: duplicates, late instances, refusals, associations."""

import socket
import struct
import subprocess
import threading
import time
from io import BytesIO

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, SecondaryCaptureImageStorage
from pynetdicom import AE
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.pdu import P_DATA_TF

from tests.listener.peers import make_instance, make_series, new_series, send, wait_for

pytestmark = pytest.mark.e2e


@pytest.fixture(params=[True, False], ids=["fast", "pynetdicom"])
def make_listener(request, make_listener):
    """Everything here holds on the fast path and without it."""

    def make(**changes):
        network = {"host": "127.0.0.1", "drain": 3, **changes.pop("network", {}), "fast-path": request.param}
        return make_listener(network=network, **changes)

    return make


def raw_store(listener, content: bytes, sop_class: str = CTImageStorage, sop_uid: str = "1.2.3.4.5") -> int:
    """Send bytes that no library would send; answers the status."""
    entity = AE("PACS")
    entity.add_requested_context(sop_class, "1.2.840.10008.1.2.1")
    association = entity.associate("127.0.0.1", listener.dicom_port, ae_title="CT_AI")
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = sop_class, sop_uid
    request.DataSet = BytesIO(content)
    association._reactor_checkpoint.clear()
    association.dimse.send_msg(request, association.accepted_contexts[0].context_id)
    _, answer = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    association.release()
    return int(answer.Status)


def encoded(dataset: Dataset) -> bytes:
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    content = buffer.getvalue()
    (length,) = struct.unpack_from("<L", content, 140)
    return content[144 + length :]


def settled(listener, series: str, state: str):
    return wait_for(
        lambda: next((row for row in listener.series() if row["series_uid"] == series and row["state"] == state), None)
    )


def test_bytes_that_are_no_dicom_are_refused_and_the_next_instance_is_taken(make_listener):
    listener = make_listener()
    assert raw_store(listener, b"this is a letter to the radiologist, not an image") == 0xC000
    assert listener.stored() == []
    assert send(listener, make_series(2)) == [0, 0]


def test_a_data_set_that_is_not_what_the_command_says_is_refused(make_listener):
    listener = make_listener()
    instance = make_instance("1.2.3.4", 5)
    assert raw_store(listener, encoded(instance), sop_uid="9.9") == 0xC000
    instance.SOPClassUID = SecondaryCaptureImageStorage
    assert raw_store(listener, encoded(instance)) == 0xA900
    assert listener.stored() == []


def test_the_same_content_collapses(make_listener, airflow):
    listener = make_listener()
    series = make_series(3)
    assert send(listener, series) == [0, 0, 0]
    wait_for(lambda: airflow.runs)
    assert send(listener, series) == [0, 0, 0]
    time.sleep(0.5)
    assert len(listener.stored()) == 3
    (row,) = listener.series()
    assert (row["state"], row["instances"], row["conflicts"], row["generation"]) == ("complete", 3, 0, 1)
    assert len(airflow.posts) == 1


def test_the_same_content_from_another_sender_collapses_too(make_listener):
    sources = [{"host-ip": "127.0.0.1", "ae-title": title} for title in ("PACS", "CT1")]
    listener = make_listener(sources=sources)
    series = make_series(2)
    assert send(listener, series) == send(listener, series, calling="CT1") == [0, 0]
    (row,) = listener.series()
    assert (row["instances"], row["conflicts"], len(listener.stored())) == (2, 0, 2)


def test_other_content_under_the_same_uid_is_kept_as_a_conflict_and_shown(make_listener, airflow):
    listener = make_listener()
    series = new_series()
    first, other = make_instance(series, 1, content=1), make_instance(series, 1, content=2)
    assert send(listener, [first, make_instance(series, 2), other, other]) == [0, 0, 0, 0]
    row = settled(listener, series, "complete")
    assert (row["instances"], row["conflicts"]) == (2, 1)
    contents = {item.PixelData[0] for item in listener.stored() if item.SOPInstanceUID == f"{series}.1"}
    assert contents == {1, 2}
    run_id = wait_for(lambda: next(iter(airflow.runs), None))
    received = listener.data / "payloads" / run_id / "received" / series / f"{series}.1.dcm"
    assert dcmread(received).PixelData[0] == 1


def test_other_content_replaces_where_the_ae_title_says_so(make_listener, airflow):
    listener = make_listener(ae_titles=[{"ae-title": "CT_AI", "timeout": 2, "overwrite-same-instance": True}])
    series = new_series()
    send(listener, [make_instance(series, 1, content=1), make_instance(series, 2)])
    wait_for(lambda: len(airflow.runs) == 1)
    send(listener, [make_instance(series, 1, content=2)])
    wait_for(lambda: len(airflow.runs) == 2)
    for run_id, content in zip(airflow.posts, (1, 2), strict=True):
        received = listener.data / "payloads" / run_id / "received" / series
        assert dcmread(received / f"{series}.1.dcm").PixelData[0] == content
        assert len(list(received.iterdir())) == 2
    assert [run["state"] for run in listener.runs()] == ["triggered", "superseded"]


def test_the_same_instance_on_eight_associations_at_once_is_one_instance(make_listener):
    listener = make_listener()
    instance = make_instance(new_series(), 1)
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda: statuses.extend(send(listener, [instance]))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [0] * 8
    (row,) = listener.series()
    assert (row["instances"], row["conflicts"], len(listener.stored())) == (1, 0, 1)


def test_late_instances_make_a_second_generation_of_everything(make_listener, airflow):
    listener = make_listener()
    series = new_series()
    send(listener, [make_instance(series, number) for number in (1, 2, 3)])
    wait_for(lambda: len(airflow.runs) == 1)
    send(listener, [make_instance(series, number) for number in (4, 5)])
    wait_for(lambda: len(airflow.runs) == 2)
    first, second = airflow.posts
    assert (first[-3:], second[-3:]) == ("-g1", "-g2")
    assert airflow.runs[second]["conf"]["generation"] == 2
    assert airflow.runs[second]["conf"]["facts"]["instances"] == 5
    assert len(list((listener.data / "payloads" / second / "received" / series).iterdir())) == 5
    wait_for(lambda: listener.get(f"/v1/runs/{first}")["state"] == "superseded")
    folder = listener.data / "payloads" / first / "out"
    folder.mkdir()
    make_instance(new_series(), 1).save_as(folder / "a.dcm", enforce_file_format=True)
    answer = listener.ask("POST", "/v1/deliveries", json={"payload": first, "folder": "out"})
    assert (answer.status_code, answer.json()["error"]) == (409, "Superseded")


def test_a_series_with_missing_slices_is_held_and_goes_on_when_they_come(make_listener, airflow):
    listener = make_listener(ae_titles=[{"ae-title": "CT_AI", "timeout": 1}])
    series = new_series()
    send(listener, [make_instance(series, number) for number in (1, 2, 3, 5, 6)])
    row = settled(listener, series, "held")
    assert row["reason"].startswith("about 1 of 6 instances are missing")
    assert airflow.runs == {}
    send(listener, [make_instance(series, 4)])
    wait_for(lambda: airflow.runs)
    (run,) = airflow.runs.values()
    assert run["conf"]["facts"] | {"complete": True, "instances": 6} == run["conf"]["facts"]
    assert run["conf"]["generation"] == 1


def test_a_held_series_can_be_released_by_a_person(make_listener, airflow):
    listener = make_listener(ae_titles=[{"ae-title": "CT_AI", "timeout": 1}])
    series = new_series()
    send(listener, [make_instance(series, number) for number in (1, 2, 3, 5, 6)])
    settled(listener, series, "held")
    answer = listener.ask("POST", f"/v1/series/{series}/release?ae_title=CT_AI")
    assert answer.status_code == 200
    wait_for(lambda: airflow.runs)
    assert airflow.runs[answer.json()[0]["run_id"]]["conf"]["facts"]["complete"] is False
    assert listener.ask("POST", f"/v1/series/{series}/release?ae_title=CT_AI").status_code == 409


def test_a_single_slice_waits_for_its_quiet_time(make_listener, airflow):
    listener = make_listener(ae_titles=[{"ae-title": "CT_AI", "timeout": 1}])
    started = time.monotonic()
    send(listener, make_series(1))
    wait_for(lambda: airflow.runs)
    assert time.monotonic() - started > 1
    assert "complete" not in next(iter(airflow.runs.values()))["conf"]["facts"]


def test_one_series_to_two_workflows_and_a_title_without_any(make_listener, airflow):
    mapping = {"clara-ae-title": "CT_AI", "destination-name": "DCM4CHEE"}
    listener = make_listener(
        ae_titles=["CT_AI", {"ae-title": "SPARE", "timeout": 1}],
        workflows=[
            {"name": "one", "workflow": "organ-seg", **mapping},
            {"name": "two", "workflow": "second", **mapping},
        ],
    )
    airflow.dags.append({"dag_id": "second", "is_paused": False})
    series = make_series(2)
    send(listener, series)
    wait_for(lambda: len(airflow.runs) == 2)
    assert {run["dag_id"] for run in airflow.runs.values()} == {"organ-seg", "second"}
    send(listener, series, called="SPARE")
    uid = series[0].SeriesInstanceUID
    row = wait_for(
        lambda: next((row for row in listener.series() if (row["ae_title"], row["state"]) == ("SPARE", "discarded")), 0)
    )
    assert "no workflow is mapped to SPARE" in row["reason"]
    answer = listener.ask("POST", "/v1/runs", json={"workflow": "organ-seg", "ae_title": "SPARE", "group": uid})
    assert answer.status_code == 201
    wait_for(lambda: answer.json()["run_id"] in airflow.runs)


def test_a_run_by_hand_is_the_next_generation(make_listener, airflow):
    listener = make_listener()
    series = make_series(2)
    send(listener, series)
    first = wait_for(lambda: next(iter(airflow.runs), None))
    request = {
        "workflow": listener.get(f"/v1/runs/{first}")["workflow"],
        "ae_title": "CT_AI",
        "group": series[0].SeriesInstanceUID,
    }
    answer = listener.ask("POST", "/v1/runs", json=request)
    assert answer.status_code == 201
    assert answer.json()["run_id"] == first[:-1] + "2"
    wait_for(lambda: answer.json()["run_id"] in airflow.runs)
    unknown = listener.ask("POST", "/v1/runs", json={**request, "group": "9.9.9"})
    assert (unknown.status_code, unknown.json()["error"]) == (404, "SeriesNotFound")


def test_ignored_sop_classes_are_kept_and_start_nothing(make_listener, airflow):
    listener = make_listener(
        ae_titles=[{"ae-title": "CT_AI", "timeout": 1, "ignored-sop-classes": [str(SecondaryCaptureImageStorage)]}]
    )
    (capture,) = make_series(1)
    capture.SOPClassUID = SecondaryCaptureImageStorage
    assert send(listener, [capture]) == [0]
    row = settled(listener, capture.SeriesInstanceUID, "discarded")
    assert row["reason"] == "only SOP classes that the AE title ignores"
    assert len(listener.stored()) == 1
    assert airflow.runs == {}


def test_below_the_low_water_mark_instances_are_refused_in_time(make_listener):
    listener = make_listener(storage={"min-free-percent": 0, "min-free-gb": 10**9})
    assert send(listener, make_series(1)) == [0xA700]
    assert listener.stored() == []


def test_a_disk_that_does_not_take_it_is_out_of_resources_and_leaves_nothing(make_listener, monkeypatch):
    listener = make_listener()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("dicom_listener.spool.os.fdatasync", full)
        assert send(listener, make_series(1)) == [0xA700]
    assert listener.stored() == []
    assert listener.series() == []
    assert send(listener, make_series(1)) == [0]


def test_limits_of_associations_are_transient_rejections(make_listener):
    listener = make_listener(network={"max-associations-per-source": 1, "drain": 1})
    entity = AE("PACS")
    entity.add_requested_context(CTImageStorage)
    first = entity.associate("127.0.0.1", listener.dicom_port, ae_title="CT_AI")
    assert first.is_established
    second = entity.associate("127.0.0.1", listener.dicom_port, ae_title="CT_AI")
    assert second.is_rejected
    answer = second.acceptor.primitive
    assert (answer.result, answer.result_source, answer.diagnostic) == (2, 3, 2)
    first.release()
    wait_for(lambda: entity.associate("127.0.0.1", listener.dicom_port, ae_title="CT_AI").is_established)


@pytest.mark.parametrize("cut", [b"", b"\x01\x00", b"GET / HTTP/1.1\r\n\r\n", b"\x04\x00\x00\x00\x00\x04abcd"])
def test_garbage_on_the_port_disturbs_nobody(make_listener, cut):
    listener = make_listener()
    with socket.create_connection(("127.0.0.1", listener.dicom_port)) as peer:
        peer.sendall(cut)
    assert send(listener, make_series(2)) == [0, 0]


@pytest.mark.e2e
def test_storescu_with_many_transfer_syntaxes_is_stored_as_sent(make_listener, tmp_path):
    listener = make_listener()
    instance = make_instance(new_series(), 1)
    instance.save_as(tmp_path / "plain.dcm", enforce_file_format=True)
    port = str(listener.dicom_port)
    for number, (option, proposal, syntax) in enumerate(
        (
            ("+ti", "-xi", "1.2.840.10008.1.2"),
            ("+tb", "-xb", "1.2.840.10008.1.2.2"),
            ("+td", "-xd", "1.2.840.10008.1.2.1.99"),
        )
    ):
        file = tmp_path / f"{number}.dcm"
        subprocess.run(["dcmconv", option, str(tmp_path / "plain.dcm"), str(file)], check=True)
        uid = f"{instance.SOPInstanceUID}.{number}"
        subprocess.run(["dcmodify", "-nb", "-imt", "-m", f"SOPInstanceUID={uid}", str(file)], check=True)
        command = ["storescu", "-aet", "PACS", "-aec", "CT_AI", proposal, "127.0.0.1", port, str(file)]
        subprocess.run(command, check=True)
        (read,) = (item for item in listener.stored() if item.SOPInstanceUID == uid)
        assert read.file_meta.TransferSyntaxUID == syntax
        assert read.PatientID == instance.PatientID


def connect(listener):
    """An association whose socket the test uses itself."""
    entity = AE("PACS")
    entity.add_requested_context(CTImageStorage, "1.2.840.10008.1.2.1")
    association = entity.associate("127.0.0.1", listener.dicom_port, ae_title="CT_AI")
    assert association.is_established
    association._reactor_checkpoint.clear()
    association.dul.kill_dul()
    association.dul.join()
    return association.dul.socket.socket


def begin_instance(peer: socket.socket, share: float = 0.5) -> None:
    """Send a C-STORE request and a part of its data set."""
    instance = make_instance(new_series(), 1)
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = CTImageStorage, instance.SOPInstanceUID
    content = encoded(instance)
    request.DataSet = BytesIO(content)
    message = C_STORE_RQ()
    message.primitive_to_message(request)
    stream = b"".join(P_DATA_TF(primitive).encode() for primitive in message.encode_msg(1, 16384))
    peer.sendall(stream[: len(stream) - int(len(content) * (1 - share))])


@pytest.mark.parametrize("how", ["abort", "close", "reset"])
def test_a_sender_that_breaks_off_mid_instance_leaves_nothing(make_listener, airflow, how):
    listener = make_listener(ae_titles=[{"ae-title": "CT_AI", "timeout": 1}])
    peer = connect(listener)
    begin_instance(peer)
    time.sleep(0.2)
    if how == "abort":
        peer.sendall(b"\x07\x00\x00\x00\x00\x04\x00\x00\x00\x00")
    elif how == "reset":
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()
    wait_for(lambda: listener.service._associations.count() == 0)
    wait_for(lambda: listener.stored() == [])
    assert listener.series() == []
    assert send(listener, make_series(2)) == [0, 0]


def test_a_silent_sender_is_aborted(make_listener):
    listener = make_listener(network={"network-timeout": 1})
    peer = connect(listener)
    begin_instance(peer)
    peer.settimeout(10)
    assert peer.recv(100)[:1] in (b"\x07", b"")
    wait_for(lambda: listener.service._associations.count() == 0)
    peer.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.filterwarnings("ignore:End of file reached")
@pytest.mark.parametrize(
    "pdu",
    [
        b"\x01\x00\x00\x00\x00\x04abcd",
        b"\x09\x00\x00\x00\x00\x04abcd",
        b"\x04\x00\x00\x00\x00\x06\x00\x00\x00\x02\x63\x03",
        b"\x04\x00\x00\x00\x00\x06\x00\x00\xff\xff\x01\x03",
        b"\x04\x00\x00\x00\x00\x0e\x00\x00\x00\x0a\x01\x03\x00\x00\x00\x01\xff\xff\xff\xff",
    ],
    ids=["unexpected", "unknown", "context", "too long", "command"],
)
def test_a_sender_that_breaks_the_protocol_is_aborted_and_disturbs_nobody(make_listener, pdu):
    listener = make_listener()
    other = connect(listener)
    peer = connect(listener)
    peer.sendall(pdu)
    peer.settimeout(10)
    assert peer.recv(100)[:1] in (b"\x07", b"")
    peer.close()
    other.sendall(b"\x05\x00\x00\x00\x00\x04\x00\x00\x00\x00")
    assert other.recv(100)[:1] == b"\x06"
    other.close()
    wait_for(lambda: listener.service._associations.count() == 0)
    assert send(listener, make_series(2)) == [0, 0]
