"""The outbox against an Airflow that is down, paused, ambiguous, forgetful: every run is triggered once."""

from functools import partial

import pytest

from clara_ops.contract.states import RunState
from dicom_listener.airflow_client import AirflowClient
from dicom_listener.backoff import retry_delay
from dicom_listener.config import AirflowLogin
from dicom_listener.errors import AirflowError
from dicom_listener.follow import Follower
from dicom_listener.journal.groups import Start, find_group, make_runs
from dicom_listener.journal.runs import move_run
from dicom_listener.trigger import Trigger
from tests.listener.desk import Clock, Desk
from tests.listener.peers import WORKFLOW, FakeAirflow, free_port


@pytest.fixture
def desk(tmp_path):
    opened = Desk(tmp_path)
    yield opened
    opened.journal.close()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def client(airflow):
    opened = AirflowClient(airflow.url, AirflowLogin())
    yield opened
    opened.close()


@pytest.fixture
def trigger(desk, client, clock):
    return Trigger(desk.journal, client, desk.data, lambda: None, clock)


def test_a_run_is_posted_with_its_payload_already_there(desk, trigger, airflow, monkeypatch):
    run_id = desk.run()
    seen = []
    answer = airflow.answer

    def watch(method, *rest):
        seen.append((method, (desk.data / "payloads" / run_id / "payload.json").exists()))
        return answer(method, *rest)

    monkeypatch.setattr(airflow, "answer", watch)
    trigger.step()
    assert all(there for _, there in seen)
    assert desk.find(run_id).state == RunState.TRIGGERED
    assert desk.find(run_id).dag_id == "organ-seg"
    assert set(airflow.runs[run_id]) == {"dag_id", "dag_run_id", "logical_date", "conf"}


def test_409_means_that_it_was_triggered_before(desk, trigger, airflow):
    run_id = desk.run()
    airflow.runs[run_id] = {}
    trigger.step()
    assert desk.find(run_id).state == RunState.TRIGGERED
    assert airflow.posts == [run_id]


def test_an_answer_that_got_lost_leads_to_one_run(desk, trigger, airflow, clock):
    run_id = desk.run()
    airflow.answer_after_taking = 500
    wait = trigger.step()
    assert desk.find(run_id).state == RunState.PENDING
    airflow.answer_after_taking = None
    clock.now += wait
    trigger.step()
    assert desk.find(run_id).state == RunState.TRIGGERED
    assert airflow.posts == [run_id, run_id]
    assert len(airflow.runs) == 1


def test_an_expired_token_is_renewed_in_the_same_attempt(desk, trigger, airflow):
    desk.run()
    trigger.step()
    airflow.token = "second"
    second = desk.run(series="2")
    trigger.step()
    assert desk.find(second).state == RunState.TRIGGERED
    assert airflow.logins == 2


@pytest.mark.parametrize(
    ("dags", "said"),
    [
        ([], "has no DAG for workflow"),
        ([{"dag_id": "a", "is_paused": False}, {"dag_id": "b", "is_paused": False}], "several DAGs"),
        ([{"dag_id": "organ-seg", "is_paused": True}], "DAG organ-seg is paused"),
    ],
    ids=["none", "two", "paused"],
)
def test_a_run_without_its_one_dag_is_held_with_the_reason_and_goes_on_by_itself(
    desk, trigger, airflow, clock, dags, said
):
    run_id = desk.run()
    good, airflow.dags = airflow.dags, dags
    wait = trigger.step()
    held = desk.find(run_id)
    assert held.state == RunState.PENDING
    assert said in held.reason
    assert 0 < wait <= 2.5
    airflow.dags = good
    assert trigger.step() > 0, "not asked again before its time"
    assert airflow.posts == []
    clock.now += wait
    trigger.step()
    assert desk.find(run_id).state == RunState.TRIGGERED
    assert desk.find(run_id).reason == ""


def test_a_workflow_may_be_named_by_its_dag(desk, trigger, airflow):
    run_id = desk.run(workflow="organ-seg")
    unknown = desk.run(workflow="no-such-dag", series="2")
    trigger.step()
    assert desk.find(run_id).state == RunState.TRIGGERED
    assert "has no DAG for workflow no-such-dag" in desk.find(unknown).reason


def test_airflow_down_for_an_hour_loses_nothing_and_keeps_the_order(desk, airflow, clock, monkeypatch):
    client = AirflowClient(f"http://127.0.0.1:{free_port()}", AirflowLogin())
    trigger = Trigger(desk.journal, client, desk.data, lambda: None, clock)
    run_ids = [desk.run(series=str(number)) for number in range(1, 6)]
    attempts = 0
    while clock.now < 3600:
        clock.now += trigger.step()
        attempts += 1
    assert 100 < attempts < 400
    assert {desk.find(run_id).state for run_id in run_ids} == {RunState.PENDING}
    assert "does not answer" in desk.find(run_ids[0]).reason
    client.close()

    client = AirflowClient(airflow.url, AirflowLogin())
    monkeypatch.setattr(trigger, "_airflow", client)
    clock.now += 60
    trigger.step()
    assert airflow.posts == run_ids
    client.close()


def test_what_airflow_will_never_take_fails_at_once_and_the_next_run_goes_on(desk, trigger, airflow, monkeypatch):
    first, second = desk.run(), desk.run(series="2")
    take = FakeAirflow._trigger

    def refuse_first(self, dag_id, body):
        return (400, {"detail": "conf"}) if body["dag_run_id"] == first else take(self, dag_id, body)

    monkeypatch.setattr(FakeAirflow, "_trigger", refuse_first)
    trigger.step()
    assert desk.find(first).state == RunState.FAILED
    assert "does not take the run" in desk.find(first).reason
    assert desk.find(second).state == RunState.TRIGGERED


def test_one_workflow_that_is_held_does_not_hold_another(desk, trigger, airflow):
    held = desk.run(workflow="11111111-1111-1111-1111-111111111111")
    good = desk.run(series="2")
    trigger.step()
    assert desk.find(held).state == RunState.PENDING
    assert desk.find(good).state == RunState.TRIGGERED


def test_a_wrong_password_is_named(desk, trigger, monkeypatch):
    monkeypatch.setenv("CLARA_AIRFLOW_PASSWORD", "wrong")
    run_id = desk.run()
    trigger.step()
    assert desk.find(run_id).reason == "Airflow answered 401 to logging in"


def test_the_login_may_stand_in_files(airflow, tmp_path, monkeypatch):
    monkeypatch.delenv("CLARA_AIRFLOW_USERNAME")
    monkeypatch.delenv("CLARA_AIRFLOW_PASSWORD")
    (tmp_path / "username").write_text("clara\n")
    (tmp_path / "password").write_text("secret\n")
    login = AirflowLogin.model_validate(
        {"username-file": tmp_path / "username", "password-file": tmp_path / "password"}
    )
    client = AirflowClient(airflow.url, login)
    assert client.find_dag(WORKFLOW) == "organ-seg"
    client.close()
    with pytest.raises(AirflowError, match="set CLARA_AIRFLOW_USERNAME"):
        AirflowClient(airflow.url, AirflowLogin()).find_dag(WORKFLOW)


@pytest.mark.parametrize(
    ("state", "expected", "reason"),
    [
        ("queued", RunState.TRIGGERED, ""),
        ("running", RunState.RUNNING, ""),
        ("success", RunState.DONE, ""),
        ("failed", RunState.FAILED, "task ai-vnet failed"),
    ],
)
def test_runs_are_followed(desk, trigger, client, airflow, clock, state, expected, reason):
    run_id = desk.run()
    trigger.step()
    airflow.states[run_id] = state
    Follower(desk.journal, client, clock).step()
    assert (desk.find(run_id).state, desk.find(run_id).reason) == (expected, reason)


def test_a_run_does_not_fail_by_its_shadow(desk, trigger, client, airflow, clock, monkeypatch):
    run_id = desk.run()
    trigger.step()
    airflow.states[run_id] = "failed"
    tasks = [
        {"task_id": "s", "state": "failed", "end_date": "2026-01-01", "operator": "ShadowOperator"},
        {"task_id": "writer", "state": "failed", "end_date": "2026-01-02", "operator": "StageOperator"},
    ]
    get = FakeAirflow._get

    def with_shadow(self, path, query):
        return (200, {"task_instances": tasks}) if path.endswith("/taskInstances") else get(self, path, query)

    monkeypatch.setattr(FakeAirflow, "_get", with_shadow)
    Follower(desk.journal, client, clock).step()
    assert desk.find(run_id).reason == "task writer failed"


def test_a_run_in_review_waits_for_its_person_and_the_answer_stands(desk, trigger, client, airflow, clock):
    run_id = desk.run()
    trigger.step()
    airflow.states[run_id] = "running"
    follower = Follower(desk.journal, client, clock)
    told = [(RunState.IN_REVIEW, "waits"), (RunState.RUNNING, "approved by dr-who"), (RunState.REJECTED, "by dr-who")]
    for state, reason in told:
        desk.journal.write(partial(move_run, run_id=run_id, state=state, reason=reason, now=5.0))
        clock.now += 60
        follower.step()
        assert (desk.find(run_id).state, desk.find(run_id).reason) == (state, reason)
    airflow.states[run_id] = "success"
    clock.now += 60
    follower.step()
    assert desk.find(run_id).state == RunState.REJECTED


def test_a_later_generation_supersedes_what_is_in_review(desk, trigger):
    first = desk.run()
    trigger.step()
    desk.journal.write(partial(move_run, run_id=first, state=RunState.IN_REVIEW, reason="waits", now=5.0))
    group = desk.journal.read(partial(find_group, ae_title="CT_AI", value="1"))
    make = partial(make_runs, group=group, starts=[Start(WORKFLOW, None)], known={}, now=6.0)
    (second,) = desk.journal.write(make)
    trigger.step()
    assert (desk.find(first).state, desk.find(first).reason) == (RunState.SUPERSEDED, f"by {second}")


def test_a_run_that_airflow_forgot_fails(desk, trigger, client, airflow, clock):
    run_id = desk.run()
    trigger.step()
    airflow.runs.clear()
    Follower(desk.journal, client, clock).step()
    assert desk.find(run_id).state == RunState.FAILED


def test_following_survives_an_airflow_that_fails(desk, trigger, client, airflow, clock):
    run_id = desk.run()
    trigger.step()
    follower = Follower(desk.journal, client, clock)
    airflow.fail_with = 503
    wait = follower.step()
    assert desk.find(run_id).state == RunState.TRIGGERED
    airflow.fail_with = None
    airflow.states[run_id] = "running"
    clock.now += wait
    follower.step()
    assert desk.find(run_id).state == RunState.RUNNING


def test_delays_are_short_in_the_first_minute_and_bounded_later():
    assert all(0.3 < retry_delay(second, spread) <= 2.5 for second in range(60) for spread in (0, 1))
    assert 20 < retry_delay(3600) < 40
    assert retry_delay(10, 0) < retry_delay(10, 1)
