"""The review: what a person is shown, what becomes of the answer, and of none."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.standard.operators import hitl
from airflow.sdk import DAG, TriggerRule
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskAwaitingInput

from clara_ops.dag.compile import compile_file
from clara_ops.dag.deliver import DeliverOperator
from clara_ops.dag.errors import NotReviewed
from clara_ops.dag.review import ReviewOperator
from clara_ops.workflow.catalogue import load_catalogue

from .conftest import OWN_CATALOGUE
from .service import Answer, Service, running

RUN = "ct-ai-0123456789abcdef0123-g1"
STATE = f"PUT /v1/runs/{RUN}/state"
RESULT = f"GET /v1/payloads/{RUN}/result?folder=ai-vnet%2Foutput"
WORKFLOW = """\
id: 7b413e24-d018-4689-8c41-73272f6649d4
name: w
review: {timeLimit: 60, onTimeout: %s, question: "Is {{ 1 / 0 }} *right*?"}
stages: [{stage: dicom-reader}, {stage: ai-vnet}]
"""

Serve = Callable[[dict[str, list[Answer]]], Service]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Start a listener, to which the Airflow connection leads."""
    managers = []

    def start(answers: dict[str, list[Answer]]) -> Service:
        manager = running(Service(answers))
        managers.append(manager)
        service = manager.__enter__()
        connection = {"conn_type": "http", "host": "127.0.0.1", "port": service.port, "password": "t"}
        monkeypatch.setenv("AIRFLOW_CONN_CLARA_LISTENER", json.dumps(connection))
        return service

    yield start
    for manager in managers:
        manager.__exit__(None, None, None)


@pytest.fixture
def compiled(tmp_path) -> Callable[..., DAG]:
    """The DAG of a workflow with a review."""

    def compile_text(on_timeout: str = "reject") -> DAG:
        path = tmp_path / "w.yaml"
        path.write_text(WORKFLOW % on_timeout)
        (dag,) = compile_file(path, load_catalogue([OWN_CATALOGUE]))
        return dag

    return compile_text


@pytest.fixture
def review(compiled: Callable[..., DAG]) -> ReviewOperator:
    """Its review."""
    task = compiled().get_task("review")
    assert isinstance(task, ReviewOperator)
    return task


def context(decision: Any = None) -> Any:
    instance = SimpleNamespace(id="an-id", xcom_pull=lambda task_ids: {"review": decision}[task_ids])
    dag_run = SimpleNamespace(dag_id="w", conf={"payload": RUN})
    return {"run_id": RUN, "dag_run": dag_run, "ti": instance, "task_instance": instance}


def answered(option: str, comment: str | None = None, name: str | None = "dr-who") -> dict[str, Any]:
    return {
        "chosen_options": [option],
        "params_input": {"comment": comment},
        "responded_at": datetime.now(UTC),
        "responded_by_user": {"id": "1", "name": name} if name else None,
        "timedout": name is None,
    }


def test_the_review_stands_between_the_results_and_their_delivery(compiled: Callable[..., DAG]) -> None:
    dag = compiled()
    assert dag.get_task("ai-vnet").downstream_task_ids == {"review", "publish"}
    assert dag.get_task("review").downstream_task_ids == {"deliver"}
    assert dag.get_task("review").trigger_rule == TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS
    assert dag.dagrun_timeout is None
    assert dag.get_task("review").execution_timeout is None


@pytest.mark.parametrize(("on_timeout", "defaults"), [("approve", ["Approve"]), ("reject", ["Reject"]), ("fail", None)])
def test_what_happens_without_an_answer(compiled: Callable[..., DAG], on_timeout: str, defaults: Any) -> None:
    assert compiled(on_timeout).get_task("review").defaults == defaults


def test_a_person_is_shown_what_the_stages_found(
    serve: Serve, review: ReviewOperator, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = {"liver_ml": 1432.123456, "note": "| [x](http://evil)\n<b>"}
    service = serve({STATE: [(200, {})], RESULT: [(200, {"version": 1, "reason": "look | here", "facts": facts})]})
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **request: asked.append(request))
    with pytest.raises(TaskAwaitingInput) as waiting:
        review.execute(context())
    assert waiting.value.timeout.total_seconds() == 60
    (request,) = asked
    assert request["subject"] == "Deliver the results of w?"
    assert request["options"] == ["Approve", "Reject"]
    lines = request["body"].splitlines()
    assert lines[0] == "Is \\{\\{ 1 / 0 \\}\\} \\*right\\*?"
    assert f"/dags/w/runs/{RUN}" in lines[2]
    assert "| ai-vnet | | look \\| here |" in lines
    assert "| ai-vnet | liver\\_ml | 1432.12 |" in lines
    assert "| ai-vnet | note | \\| \\[x\\](http://evil) \\<b\\> |" in lines
    (reported,) = [body for call, body in service.requests if call == STATE]
    assert reported["state"] == "in-review"
    assert reported["reason"].startswith("waits for a person's review until 2")


@pytest.mark.parametrize(
    ("event", "approved", "words"),
    [
        (answered("Approve"), True, "approved by dr-who"),
        (answered("Reject", " not\nthe liver "), False, "rejected by dr-who: not the liver"),
        (answered("Reject", name=None), False, "rejected since nobody reviewed it within 60 s"),
        (answered("Approve", name=None), True, "approved since nobody reviewed it within 60 s"),
    ],
)
def test_the_answer_is_handed_on(review: ReviewOperator, event: Any, approved: bool, words: str) -> None:
    assert review.execute_complete(context(), event) == {"approved": approved, "words": words}


@pytest.mark.parametrize("listener", [(200, {}), (503, {})])
def test_no_answer_may_fail_the_run_with_the_reason(serve: Serve, review: ReviewOperator, listener: Answer) -> None:
    service = serve({STATE: [listener]})
    with pytest.raises(NotReviewed, match="nobody reviewed it within 60 s"):
        review.execute_complete(context(), {"error": "too late", "error_type": "timeout"})
    assert service.requests == [(STATE, {"state": "failed", "reason": "nobody reviewed it within 60 s"})]
    assert issubclass(NotReviewed, AirflowFailException)


def deliver() -> DeliverOperator:
    return DeliverOperator(task_id="deliver", folders=("w/output",), destinations=(), reviewed=True)


def test_what_was_rejected_is_not_delivered_and_the_listener_knows_why(serve: Serve) -> None:
    service = serve({STATE: [(200, {})]})
    with pytest.raises(AirflowSkipException, match="not delivered: rejected by dr-who: no"):
        deliver().execute(context({"approved": False, "words": "rejected by dr-who: no"}))
    assert service.requests == [(STATE, {"state": "rejected", "reason": "rejected by dr-who: no"})]


def test_what_was_approved_is_delivered(serve: Serve) -> None:
    delivered = (200, {"id": "7", "state": "delivered", "reason": None})
    service = serve({STATE: [(200, {})], "POST /v1/deliveries": [delivered]})
    deliver().execute(context({"approved": True, "words": "approved by dr-who"}))
    assert service.requests[0] == (STATE, {"state": "running", "reason": "approved by dr-who"})
    assert service.requests[1][0] == "POST /v1/deliveries"


def test_a_review_that_was_set_to_success_by_hand_is_no_approval(serve: Serve) -> None:
    service = serve({})
    with pytest.raises(NotReviewed, match="clear it to ask again"):
        deliver().execute(context(None))
    assert service.requests == []
