"""The listener as a process: killed while it receives, stopped while it receives, started again, set up wrongly."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE

from tests.listener.peers import ROOT, TOKEN, make_instance, make_series, new_series, send, wait_for

pytestmark = pytest.mark.e2e

COMMAND = [sys.executable, "-c", "import sys; from dicom_listener.command import main; sys.exit(main())"]


def run_command(*arguments, **environment):
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def send_until_cut(listener, series: str, acknowledged: list[str]) -> None:
    """Send without end, noting what was answered with Success, until the listener is gone."""
    entity = AE("PACS")
    entity.dimse_timeout = 5
    entity.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
    association = entity.associate("127.0.0.1", listener.dicom_port, ae_title="CT_AI")
    number = 0
    while association.is_established:
        number += 1
        instance = make_instance(series, number)
        try:
            status = association.send_c_store(instance)
        except RuntimeError:
            return
        if status.get("Status") == 0:
            acknowledged.append(instance.SOPInstanceUID)


def instances_in(listener) -> set[str]:
    return {item.SOPInstanceUID for item in listener.stored()}


@pytest.mark.parametrize("seconds", [0.1, 0.35, 0.8])
def test_killed_while_receiving_nothing_acknowledged_is_lost(make_process, airflow, seconds):
    listener = make_process(ae_titles=[{"ae-title": "CT_AI", "timeout": 1}])
    acknowledged: dict[str, list[str]] = {new_series(): [] for _ in range(3)}
    threads = [threading.Thread(target=send_until_cut, args=(listener, *item)) for item in acknowledged.items()]
    for thread in threads:
        thread.start()
    wait_for(lambda: all(acknowledged.values()))
    time.sleep(seconds)
    listener.end(signal.SIGKILL)
    for thread in threads:
        thread.join()
    everything = {uid for uids in acknowledged.values() for uid in uids}

    listener.start()
    assert everything <= instances_in(listener)
    wait_for(lambda: len(airflow.runs) == 3, 20)
    triggered = set()
    for run_id in airflow.runs:
        manifest = json.loads((listener.data / "payloads" / run_id / "payload.json").read_text())
        triggered |= {item["sop_instance_uid"] for item in manifest["instances"]}
    assert everything <= triggered
    assert len(airflow.posts) == 3


def test_killed_between_decision_and_trigger_the_run_is_triggered_once(make_process, airflow):
    listener = make_process()
    airflow.fail_with = 503
    send(listener, make_series(3))
    run = wait_for(lambda: next((run for run in listener.runs() if run["reason"]), None))
    assert "503" in run["reason"]
    listener.end(signal.SIGKILL)
    airflow.fail_with = None
    listener.start()
    wait_for(lambda: airflow.runs)
    assert airflow.posts == [run["run_id"]]


def test_sigterm_lets_open_associations_finish(make_process):
    listener = make_process(network={"host": "127.0.0.1", "drain": 20})
    entity = AE("PACS")
    entity.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
    association = entity.associate("127.0.0.1", listener.dicom_port, ae_title="CT_AI")
    first, second = make_series(2)
    assert association.send_c_store(first).Status == 0
    listener.process.send_signal(signal.SIGTERM)
    time.sleep(1)
    assert association.send_c_store(second).Status == 0
    refused = entity.associate("127.0.0.1", listener.dicom_port, ae_title="CT_AI")
    assert not refused.is_established
    association.release()
    assert listener.process.wait(15) == 0
    assert instances_in(listener) == {first.SOPInstanceUID, second.SOPInstanceUID}
    assert not (listener.folder / "ready.json").exists()


def test_sigterm_ends_an_association_that_does_not_end_itself(make_process):
    listener = make_process(network={"host": "127.0.0.1", "drain": 0.5})
    entity = AE("PACS")
    entity.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
    association = entity.associate("127.0.0.1", listener.dicom_port, ae_title="CT_AI")
    assert association.is_established
    assert listener.end(signal.SIGTERM) == 0
    wait_for(lambda: association.is_aborted)


def test_sighup_reloads_without_dropping_associations(make_process):
    listener = make_process()
    entity = AE("PACS")
    entity.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
    association = entity.associate("127.0.0.1", listener.dicom_port, ae_title="CT_AI")
    config = listener.folder / "config.yaml"
    config.write_text(config.read_text().replace("ae-title: CT_AI", "ae-title: MR_AI").replace("CT_AI", "MR_AI"))
    listener.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "configuration reloaded" in listener.log())
    assert association.send_c_store(make_instance(new_series(), 1)).Status == 0
    association.release()
    assert send(listener, make_series(1), called="MR_AI") == [0]


def test_files_that_were_never_acknowledged_are_set_aside(make_process):
    listener = make_process()
    (instance,) = make_series(1)
    send(listener, [instance])
    listener.end(signal.SIGKILL)
    (kept,) = (file for file in (listener.data / "spool").rglob("*.dcm") if file.stat().st_size)
    stray = kept.with_name("stray.dcm")
    stray.write_bytes(b"half an instance")
    listener.start()
    assert not stray.exists()
    assert kept.exists()
    assert len(list((listener.data / "orphans").rglob("stray.dcm"))) == 1


@pytest.mark.parametrize(
    ("config", "said"),
    [(None, "set CLARA_LISTENER_TOKEN"), ("dicom: {}", "config.yaml:1: dicom.scp: this key is missing")],
)
def test_what_keeps_it_from_starting_is_said_in_a_line(write_config, config, said):
    folder = write_config()
    if config is not None:
        (folder / "config.yaml").write_text(config)
    arguments = ("--config", folder / "config.yaml", "--data", folder / "data", "--journal", folder / "j.db")
    done = run_command("serve", *arguments, CLARA_LISTENER_TOKEN="")
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_taken_port_is_named(make_process, write_config):
    listener = make_process()
    folder = write_config()
    config = folder / "config.yaml"
    config.write_text(config.read_text().replace("port: 0", f"port: {listener.dicom_port}"))
    arguments = ("--config", config, "--data", folder / "data", "--journal", folder / "j.db")
    done = run_command("serve", *arguments, CLARA_LISTENER_TOKEN=TOKEN)
    assert done.returncode == 1
    assert f"127.0.0.1:{listener.dicom_port}: the" in done.stderr
    assert "Traceback" not in done.stderr


def test_check_config_and_echo_try_the_peers(make_process, airflow, pacs):
    listener = make_process()
    config = listener.folder / "config.yaml"
    good = run_command("check-config", "--config", config)
    assert good.returncode == 0, good.stdout + good.stderr
    assert "ok      destination DCM4CHEE" in good.stdout
    assert "ok      workflow organ-seg: organ-seg" in good.stdout
    airflow.dags = []
    config.write_text(config.read_text().replace(f"port: {pacs.port}", "port: 1"))
    bad = run_command("check-config", "--config", config)
    assert bad.returncode == 1
    assert "FAILED  destination DCM4CHEE" in bad.stdout
    assert "FAILED  workflow organ-seg" in bad.stdout
    assert run_command("check-config", "--offline", "--config", config).returncode == 0
    assert run_command("echo", "--config", config, "DCM4CHEE").returncode == 1
    assert run_command("echo", "--config", config, "NOBODY").returncode == 1


def test_status_shows_series_and_runs(make_process, airflow):
    listener = make_process()
    send(listener, make_series(2))
    run_id = wait_for(lambda: next(iter(airflow.runs), None))
    done = run_command("status", "--api-url", listener.api_url, CLARA_LISTENER_TOKEN=TOKEN)
    assert done.returncode == 0
    assert run_id in done.stdout
    refused = run_command("status", "--api-url", listener.api_url, CLARA_LISTENER_TOKEN="wrong")
    assert refused.returncode == 1
    assert "the bearer token is missing or wrong" in refused.stderr
