"""What whoever operates a listener uses: pause and resume, metrics, open associations."""

import httpx
import pytest
from pynetdicom import AE

from dicom_listener.command import main
from tests.listener.peers import CTImageStorage, make_instance, make_series, send, wait_for


def scrape(listener) -> dict[str, float]:
    answer = httpx.get(f"{listener.api_url}/metrics", trust_env=False)
    assert answer.headers["content-type"].startswith("text/plain")
    lines = [line for line in answer.text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def completed(listener) -> bool:
    return any(row["state"] == "complete" for row in listener.series())


class TestPause:
    def test_receives_and_decides_and_starts_nothing_until_resumed(self, make_listener, airflow, capsys):
        listener = make_listener()
        assert main(["pause", "--api-url", listener.api_url, "--reason", "new PACS"]) == 0
        assert send(listener, make_series(2)) == [0, 0]
        wait_for(lambda: completed(listener))
        assert [run["state"] for run in listener.runs()] == ["pending"]
        assert airflow.posts == []
        assert main(["status", "--api-url", listener.api_url]) == 0
        assert "(new PACS): nothing is triggered or delivered" in capsys.readouterr().out
        assert main(["resume", "--api-url", listener.api_url]) == 0
        wait_for(lambda: airflow.posts)

    def test_holds_over_a_restart(self, make_listener, airflow):
        listener = make_listener()
        listener.ask("PUT", "/v1/pause", json={})
        listener.stop()
        listener.start()
        assert listener.get("/v1/pause")["paused"] is True
        send(listener, make_series(2))
        wait_for(lambda: completed(listener))
        assert airflow.posts == []

    def test_sends_nothing_to_the_pacs(self, make_listener, airflow, pacs):
        listener = make_listener()
        send(listener, make_series(2))
        run_id = wait_for(lambda: next(iter(airflow.runs), None))
        listener.ask("PUT", "/v1/pause", json={})
        result = listener.data / "payloads" / run_id / "out"
        result.mkdir()
        make_instance("1.2.99", 1).save_as(result / "1.dcm", enforce_file_format=True)
        listener.ask("POST", "/v1/deliveries", json={"payload": run_id, "folder": "out"})
        assert listener.get("/v1/deliveries/1")["state"] == "sending"
        assert pacs.received == []
        listener.ask("DELETE", "/v1/pause")
        wait_for(lambda: pacs.received)

    def test_of_a_listener_that_is_not_there_is_an_error(self, capsys):
        assert main(["pause", "--api-url", "http://127.0.0.1:1"]) != 0
        assert "does not answer" in capsys.readouterr().err


class TestMetrics:
    def test_count_what_was_received_refused_and_rejected(self, make_listener, airflow):
        listener = make_listener()
        send(listener, make_series(2))
        entity = AE("PACS")
        entity.add_requested_context(CTImageStorage)
        assert entity.associate("127.0.0.1", listener.dicom_port, ae_title="NOBODY").is_rejected
        wait_for(lambda: airflow.runs)
        found = scrape(listener)
        assert found['clara_listener_instances_total{ae_title="CT_AI",status="0000"}'] == 2
        stored = sum(file.stat().st_size for file in (listener.data / "spool").rglob("*.dcm"))
        assert found['clara_listener_received_bytes_total{ae_title="CT_AI"}'] == stored
        rejected = 'clara_listener_associations_rejected_total{reason="the called AE title is not one of '
        assert found[f'{rejected}dicom.scp.ae-titles"}}'] == 1

    def test_tell_how_things_stand(self, make_listener, airflow):
        listener = make_listener(ae_titles=[{"ae-title": "CT_AI", "timeout": 60}])
        airflow.fail_with = 500
        send(listener, make_series(2))
        wait_for(lambda: completed(listener))
        found = scrape(listener)
        assert found['clara_listener_groups{state="complete"}'] == 1
        assert found['clara_listener_runs{state="pending"}'] == 1
        assert 0 <= found['clara_listener_runs_oldest_seconds{state="pending"}'] < 60
        assert found['clara_listener_deliveries{state="sending"}'] == 0
        assert found["clara_listener_paused"] == 0
        assert 0 < found["clara_listener_free_ratio"] < 1

    def test_hold_nothing_that_identifies(self, make_listener, airflow):
        listener = make_listener()
        send(listener, make_series(2))
        wait_for(lambda: airflow.runs)
        assert "SECRET" not in httpx.get(f"{listener.api_url}/metrics", trust_env=False).text.upper()


@pytest.mark.parametrize("count", [0, 2])
def test_open_associations_are_listed(make_listener, count):
    listener = make_listener()
    entity = AE("PACS")
    entity.add_requested_context(CTImageStorage)
    opened = [entity.associate("127.0.0.1", listener.dicom_port, ae_title="CT_AI") for _ in range(count)]
    rows = listener.get("/v1/associations")
    assert [(row["called_ae"], row["calling_ae"], row["address"]) for row in rows] == [
        ("CT_AI", "PACS", "127.0.0.1")
    ] * count
    for association in opened:
        association.release()
