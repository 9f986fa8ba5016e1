"""Runs that somebody asks for: their parameters are kept and reach the DAG, and a request asked again is one run."""

import pytest

from tests.listener.peers import WORKFLOW, make_series, send, wait_for

pytestmark = pytest.mark.e2e


@pytest.fixture
def listener(make_listener):
    return make_listener()


@pytest.fixture
def request_body(listener, airflow):
    """A request for a run on a series that was received, whose first run is triggered."""
    (first, *_) = series = make_series(2)
    send(listener, series)
    wait_for(lambda: airflow.posts)
    return {"workflow": WORKFLOW, "ae_title": "CT_AI", "group": str(first.SeriesInstanceUID)}


def test_parameters_are_kept_with_the_run_and_stand_in_its_conf(listener, airflow, request_body):
    parameters = {"threshold": 0.25, "fast": True, "model": "large", "count": 3}
    answer = listener.ask("POST", "/v1/runs", json={**request_body, "parameters": parameters})
    run_id = answer.json()["run_id"]
    assert (answer.status_code, answer.json()["parameters"]) == (201, parameters)
    wait_for(lambda: run_id in airflow.posts)
    conf = airflow.runs[run_id]["conf"]
    assert {name: conf[name] for name in parameters} == parameters
    assert (conf["payload"], conf["group"], conf["generation"]) == (run_id, request_body["group"], 2)
    assert listener.get(f"/v1/runs/{run_id}")["parameters"] == parameters


def test_a_run_that_nobody_asked_for_has_no_parameters(listener, airflow, request_body):
    (run,) = listener.runs()
    assert run["parameters"] == {}
    assert airflow.runs[run["run_id"]]["conf"]["group"] == request_body["group"]


def test_a_request_asked_again_is_the_same_run(listener, airflow, request_body):
    body = {**request_body, "request_id": "w/manual__1", "parameters": {"count": 3}}
    run_ids = {listener.ask("POST", "/v1/runs", json=body).json()["run_id"] for _ in range(3)}
    assert len(run_ids) == 1
    other = listener.ask("POST", "/v1/runs", json={**body, "request_id": "w/manual__2"}).json()
    assert other["generation"] == 3
    assert len(listener.runs()) == 3


def test_a_mapping_may_have_the_name_of_the_workflow_that_is_asked_for_by_its_id(listener, airflow, request_body):
    by_name = {**request_body, "workflow": "11111111-0000-4000-8000-000000000001", "dag_id": WORKFLOW}
    run = listener.ask("POST", "/v1/runs", json=by_name).json()
    assert (run["workflow"], run["generation"]) == (WORKFLOW, 2)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"payload": "x"}, "'payload' is set by the listener"),
        ({"count": [1]}, "parameters.count"),
        ({"count": None}, "parameters.count"),
        ([], "parameters"),
    ],
)
def test_what_is_no_parameter(listener, request_body, parameters, message):
    answer = listener.ask("POST", "/v1/runs", json={**request_body, "parameters": parameters})
    assert (answer.status_code, answer.json()["error"]) == (422, "BadRequest")
    assert message in answer.json()["message"]
