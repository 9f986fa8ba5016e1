"""The REST interface: tokens, errors, health."""

import httpx
import pytest

from tests.listener.peers import make_series, send, wait_for

pytestmark = pytest.mark.e2e


@pytest.fixture
def listener(make_listener):
    return make_listener()


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic dGVzdA=="}])
@pytest.mark.parametrize("path", ["/v1/runs", "/v1/series", "/v1/deliveries/1"])
def test_without_the_token_nothing_is_told(listener, headers, path):
    answer = httpx.get(listener.api_url + path, headers=headers, trust_env=False)
    assert (answer.status_code, answer.json()["error"]) == (401, "Unauthorised")


def test_health_needs_no_token(listener):
    for path in ("/healthz", "/readyz"):
        assert httpx.get(listener.api_url + path, trust_env=False).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "error"),
    [
        ("GET", "/v1/runs/ct-ai-0123456789abcdef0123-g1", None, 404, "RunNotFound"),
        ("GET", "/v1/series/1.2.3", None, 404, "SeriesNotFound"),
        ("GET", "/v1/deliveries/7", None, 404, "DeliveryNotFound"),
        ("GET", "/v1/nothing", None, 404, "NotFound"),
        ("GET", "/v1/runs?limit=0", None, 422, "BadRequest"),
        ("PUT", "/v1/payloads/ct-ai-0123456789abcdef0123-g1/folders", {"input": "in"}, 404, "PayloadNotFound"),
        ("PUT", "/v1/payloads/no-run-id/folders", {"input": "in"}, 404, "PayloadNotFound"),
        ("PUT", "/v1/payloads/x/folders", {"inputs": "in"}, 422, "BadRequest"),
        ("PUT", "/v1/runs/ct-ai-0123456789abcdef0123-g1/state", {"state": "done"}, 404, "RunNotFound"),
        ("PUT", "/v1/runs/ct-ai-0123456789abcdef0123-g1/state", {"state": "superseded"}, 422, "BadRequest"),
        ("POST", "/v1/runs", {"workflow": "x", "ae_title": "CT_AI", "group": "1.2"}, 404, "SeriesNotFound"),
        ("POST", "/v1/deliveries", {"payload": "x", "folder": "out"}, 404, "PayloadNotFound"),
    ],
)
def test_errors_have_a_name_and_a_message(listener, method, path, body, status, error):
    answer = listener.ask(method, path, json=body)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert answer.json()["message"]


@pytest.mark.parametrize("folder", ["../other", "/etc", "a/../b", ".hidden", "a//b", ""])
def test_folders_stay_inside_their_payload(listener, airflow, folder):
    send(listener, make_series(2))
    run_id = wait_for(lambda: next(iter(airflow.runs), None))
    for body in ({"input": folder}, {"input": "in", "folders": [folder]}):
        answer = listener.ask("PUT", f"/v1/payloads/{run_id}/folders", json=body)
        assert (answer.status_code, answer.json()["error"]) == (422, "BadRequest")
    answer = listener.ask("GET", f"/v1/payloads/{run_id}/result", params={"folder": folder})
    assert answer.status_code == 422


def test_a_missing_result_is_404_with_a_name_of_its_own(listener, airflow):
    send(listener, make_series(2))
    run_id = wait_for(lambda: next(iter(airflow.runs), None))
    answer = listener.ask("GET", f"/v1/payloads/{run_id}/result?folder=out")
    assert (answer.status_code, answer.json()["error"]) == (404, "ResultNotFound")


def test_not_applicable_is_the_end_of_a_run(listener, airflow):
    send(listener, make_series(2))
    run_id = wait_for(lambda: next(iter(airflow.runs), None))
    path = f"/v1/runs/{run_id}/state"
    body = {"state": "not-applicable", "reason": "modality is MR"}
    answer = listener.ask("PUT", path, json=body)
    assert (answer.json()["state"], answer.json()["reason"]) == ("not-applicable", "modality is MR")
    assert answer.json()["finished"] is not None
    assert listener.ask("PUT", path, json={"state": "done"}).json()["state"] == "not-applicable"


def test_the_interface_describes_itself(listener):
    answer = listener.ask("GET", "/openapi.json").json()
    assert {"/v1/runs", "/v1/series/{uid}", "/v1/deliveries", "/v1/payloads/{run}/folders"} <= set(answer["paths"])
