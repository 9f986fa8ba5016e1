"""prepare, publish and deliver, against a listener over HTTP."""

import asyncio
import json
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskDeferred
from airflow.triggers.base import TriggerEvent

from clara_ops.dag import deliver as deliver_module
from clara_ops.dag import delivery_trigger
from clara_ops.dag.deliver import DeliverOperator
from clara_ops.dag.delivery_trigger import DeliveryTrigger
from clara_ops.dag.errors import (
    DeliveryFailed,
    ParametersRefused,
    PayloadError,
    ServiceRefused,
    ServiceUnavailable,
)
from clara_ops.dag.prepare import PrepareOperator
from clara_ops.dag.publish import PublishOperator
from clara_ops.workflow.parameters import Parameter

from .service import Answer, Service, running

RUN = "ct-ai-0123456789abcdef0123-g1"
FOLDERS = f"PUT /v1/payloads/{RUN}/folders"
STATE = f"PUT /v1/runs/{RUN}/state"
DELIVERIES = "POST /v1/deliveries"
RUNS = "POST /v1/runs"
WORKFLOW = "7b413e24-d018-4689-8c41-73272f6649d4"
BY_HAND = "manual__2026-01-01"
CT_ONLY = {"attribute": "modality", "op": "eq", "value": "CT"}

Serve = Callable[[dict[str, list[Answer]]], Service]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Start a listener, to which the Airflow connections lead."""
    managers = []

    def start(answers: dict[str, list[Answer]]) -> Service:
        manager = running(Service(answers))
        managers.append(manager)
        service = manager.__enter__()
        connect(monkeypatch, "clara_listener", service.port)
        return service

    yield start
    for manager in managers:
        manager.__exit__(None, None, None)


def connect(monkeypatch: pytest.MonkeyPatch, name: str, port: int) -> None:
    connection = {"conn_type": "http", "host": "127.0.0.1", "port": port, "schema": "http", "password": "s3cret-token"}
    monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(connection))


def context(run_id: str = RUN, conf: dict[str, Any] | None = None, **facts: Any) -> Any:
    dag_run = SimpleNamespace(dag_id="w", conf=conf or {"payload": RUN, "facts": facts})
    return {"run_id": run_id, "dag_run": dag_run}


def prepare(accepts: Any = None, **parameters: Parameter) -> PrepareOperator:
    return PrepareOperator(
        task_id="prepare",
        workflow_id=WORKFLOW,
        parameters=parameters,
        input_folder="dicom/input",
        folders=("a/output",),
        accepts=accepts,
    )


def deliver(*destinations: str) -> DeliverOperator:
    return DeliverOperator(task_id="deliver", folders=("w/output",), destinations=destinations)


def delivery(state: str, reason: str | None = None, delivery_id: str = "7") -> Answer:
    return 200, {"id": delivery_id, "state": state, "reason": reason}


def refusal(status: int, error: str) -> Answer:
    return status, {"error": error, "message": "what, where, what to do"}


def test_prepare_asks_for_the_folders_with_the_token(serve: Serve) -> None:
    service = serve({FOLDERS: [(200, {"run_id": RUN, "files": 20})]})
    prepare(CT_ONLY).execute(context(modality="CT"))
    assert service.requests == [(FOLDERS, {"input": "dicom/input", "folders": ["a/output"]})]
    assert service.tokens == {"Bearer s3cret-token"}


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"modality": "MR"}, "not for this workflow: modality is 'MR', not eq 'CT'"),
        ({}, "not for this workflow: modality is missing"),
    ],
)
def test_input_that_is_not_accepted_ends_the_run_well(serve: Serve, facts: dict[str, str], reason: str) -> None:
    service = serve({STATE: [(200, {})]})
    with pytest.raises(AirflowSkipException, match=reason):
        prepare(CT_ONLY).execute(context(**facts))
    assert service.requests == [(STATE, {"state": "not-applicable", "reason": reason})]


def test_a_payload_that_does_not_exist_is_not_looked_for_again(serve: Serve) -> None:
    serve({FOLDERS: [refusal(404, "PayloadNotFound")]})
    with pytest.raises(PayloadError, match=f"payload '{RUN}' does not exist; runs are made by the listener"):
        prepare().execute(context())


@pytest.mark.parametrize(
    "wrong",
    [
        {"run_id": "manual__2026-01-01", "dag_run": SimpleNamespace(conf=None)},
        {"run_id": "manual__2026-01-01", "dag_run": SimpleNamespace(conf={"payload": RUN})},
        {"run_id": "../../etc", "dag_run": SimpleNamespace(conf={"payload": "../../etc"})},
    ],
)
def test_a_run_that_the_listener_did_not_make(serve: Serve, wrong: Any) -> None:
    service = serve({})
    with pytest.raises(PayloadError, match="POST /v1/runs"):
        prepare().execute(wrong)
    assert service.requests == []


def test_a_run_by_hand_becomes_one_of_the_listener_and_the_same_one_when_tried_again(serve: Serve) -> None:
    service = serve({RUNS: [(503, {}), (201, {"run_id": RUN})]})
    conf = {"ae_title": "CT_AI", "group": "1.2.3", "workers": 4}
    by_hand = context(BY_HAND, conf, modality="MR")
    operator = prepare(CT_ONLY, workers=Parameter(type="integer", default=2), quick=Parameter(type="flag"))
    with pytest.raises(ServiceUnavailable):
        operator.execute(by_hand)
    with pytest.raises(AirflowSkipException, match=f"started as run {RUN}"):
        operator.execute(by_hand)
    first, second = service.requests
    assert first == second
    assert second == (
        RUNS,
        {
            "workflow": WORKFLOW,
            "dag_id": "w",
            "ae_title": "CT_AI",
            "group": "1.2.3",
            "parameters": {"workers": 4, "quick": False},
            "request_id": f"w/{BY_HAND}",
        },
    )


def test_a_run_triggered_again_with_the_conf_of_another_is_a_run_by_hand(serve: Serve) -> None:
    serve({RUNS: [(201, {"run_id": "ct-ai-0123456789abcdef0123-g2"})]})
    conf = {"payload": RUN, "ae_title": "CT_AI", "calling_ae": "PACS", "group": "1.2.3", "generation": 1}
    with pytest.raises(AirflowSkipException, match="started as run ct-ai-0123456789abcdef0123-g2"):
        prepare().execute(context(BY_HAND, conf))


def test_input_that_the_listener_does_not_have_is_named(serve: Serve) -> None:
    serve({RUNS: [(404, {"error": "SeriesNotFound", "message": "AE title CT_AI received nothing of 1.2.3"})]})
    with pytest.raises(ServiceRefused, match=r"SeriesNotFound: AE title CT_AI received nothing of 1\.2\.3"):
        prepare().execute(context(BY_HAND, {"ae_title": "CT_AI", "group": "1.2.3"}))


def test_parameters_that_are_wrong_start_nothing(serve: Serve) -> None:
    service = serve({})
    with pytest.raises(ParametersRefused, match="'workers': expected a whole number; found text"):
        prepare(workers=Parameter(type="integer", default=2)).execute(
            context(BY_HAND, {"ae_title": "CT_AI", "group": "1.2.3", "workers": "all"})
        )
    assert service.requests == []


def test_parameters_that_are_wrong_fail_the_run_and_the_listener_knows_why(serve: Serve) -> None:
    service = serve({STATE: [(200, {})]})
    with pytest.raises(ParametersRefused, match="no parameter 'workres'") as raised:
        prepare(workers=Parameter(type="integer", default=2)).execute(context(conf={"payload": RUN, "workres": 1}))
    assert service.requests == [(STATE, {"state": "failed", "reason": str(raised.value)})]
    assert issubclass(ParametersRefused, AirflowFailException)


def test_a_listener_with_trouble_is_asked_again_one_that_refuses_is_not(serve: Serve) -> None:
    serve({FOLDERS: [(503, {}), refusal(401, "Unauthorized")]})
    with pytest.raises(ServiceUnavailable, match="503"):
        prepare().execute(context())
    with pytest.raises(ServiceRefused, match="Unauthorized: what, where, what to do"):
        prepare().execute(context())
    assert issubclass(ServiceRefused, AirflowFailException)
    assert not issubclass(ServiceUnavailable, AirflowFailException)


def test_a_listener_that_is_down_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, "clara_listener", 1)
    with pytest.raises(ServiceUnavailable, match=r"no answer.*clara_listener"):
        prepare().execute(context())


def test_a_delivery_that_is_quick_is_waited_for_in_place(serve: Serve) -> None:
    polls = [delivery("sending"), delivery("delivered")]
    service = serve({DELIVERIES: [delivery("sending")], "GET /v1/deliveries/7": polls})
    deliver().execute(context())
    assert service.requests[0] == (DELIVERIES, {"payload": RUN, "folder": "w/output"})
    assert len(service.requests) == 3


def test_each_destination_gets_its_delivery(serve: Serve) -> None:
    service = serve({DELIVERIES: [delivery("delivered", None, "1"), delivery("skipped", "no DICOM", "2")]})
    deliver("ARCHIVE", "READER").execute(context())
    assert [body["destination"] for _, body in service.requests] == ["ARCHIVE", "READER"]


def test_a_slow_delivery_is_waited_for_in_the_triggerer(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliver_module, "_PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(delivery_trigger, "_POLL_SECONDS", 0.01)
    service = serve({DELIVERIES: [delivery("sending")], "GET /v1/deliveries/7": [delivery("sending")]})
    with pytest.raises(TaskDeferred) as deferred:
        deliver().execute(context())
    classpath, arguments = deferred.value.trigger.serialize()
    assert classpath == "clara_ops.dag.delivery_trigger.DeliveryTrigger"
    service.answers["GET /v1/deliveries/7"] = [(502, {}), delivery("sending"), delivery("delivered")]
    event = asyncio.run(first_event(DeliveryTrigger(**arguments)))
    operator = deliver()
    getattr(operator, deferred.value.method_name)(context(), event.payload)


async def first_event(trigger: DeliveryTrigger) -> TriggerEvent:
    return await anext(aiter(trigger.run()))


def test_a_failed_delivery_fails_with_its_reason(serve: Serve) -> None:
    serve({DELIVERIES: [delivery("failed", "association rejected by ARCHIVE")]})
    with pytest.raises(DeliveryFailed, match="delivery 7 failed: association rejected by ARCHIVE"):
        deliver().execute(context())


def test_nothing_to_deliver_is_no_failure(serve: Serve) -> None:
    serve({DELIVERIES: [delivery("skipped", "the mapping has no destination")]})
    with pytest.raises(AirflowSkipException, match="the mapping has no destination"):
        deliver().execute(context())


def test_a_superseded_run_delivers_nothing(serve: Serve) -> None:
    serve({DELIVERIES: [refusal(409, "Superseded")]})
    with pytest.raises(AirflowSkipException, match="not delivered: Superseded"):
        deliver().execute(context())


def test_publishing_says_that_there_is_no_render_server() -> None:
    with pytest.raises(AirflowSkipException, match="there is no Render Server"):
        PublishOperator(task_id="publish", stages=("a",)).execute(context())


def test_publishing_never_fails_a_run(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    path = f"PUT /v1/payloads/{RUN}"
    service = serve({path: [(200, {}), (500, {}), refusal(400, "Unknown")]})
    connect(monkeypatch, "clara_render", service.port)
    operator = PublishOperator(task_id="publish", stages=("a", "b"))
    operator.execute(context())
    assert service.requests == [(path, {"stages": ["a", "b"]})]
    for _ in range(2):
        with pytest.raises(AirflowSkipException, match="not published"):
            operator.execute(context())
