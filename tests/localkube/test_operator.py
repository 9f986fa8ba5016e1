"""The real KubernetesPodOperator against localkube: synchronous and deferrable, without an Airflow server."""

import asyncio
import traceback
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

pytestmark = [pytest.mark.airflow, pytest.mark.e2e]

Json = dict[str, Any]


@dataclass
class TaskInstance:
    """What the operator reads of a task instance."""

    task_id: str
    try_number: int = 1
    dag_id: str = "organ-seg"
    map_index: int = -1
    start_date: datetime = field(default_factory=lambda: datetime.now(UTC))
    pushed: Json = field(default_factory=dict)

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


def context_of(task_id: str, try_number: int = 1) -> Json:
    return {"ti": TaskInstance(task_id, try_number), "run_id": "run-1", "dag": SimpleNamespace(parent_dag=None)}


def operator_for(server: Any, script: str, **options: Any) -> Any:
    from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator

    container = {
        "name": "base",
        "image": "stages",
        "command": ["/bin/sh", "-c", script],
        **options.pop("container", {}),
    }
    template = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "stage", "namespace": "clara", "labels": {"clara": "stage"}},
        "spec": {
            "restartPolicy": "Never",
            "containers": [container],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "clara-data"}}],
        },
    }
    settings = {"task_id": "stage", "startup_check_interval_seconds": 0.1, "poll_interval": 0.1, "get_logs": True}
    return KubernetesPodOperator(
        name="stage",
        namespace="clara",
        pod_template_dict=template,
        config_file=str(server.kubeconfig),
        kubernetes_conn_id=None,
        in_cluster=False,
        **{**settings, **options},
    )


def run_deferred(operator: Any, context: Json) -> Json:
    """Run a deferrable operator as Airflow does: defer, let the trigger run, go on. Tells the trigger's event."""
    from airflow.sdk.exceptions import TaskDeferred

    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(context)

    async def first_event() -> Json:
        async for event in deferred.value.trigger.run():
            return dict(event.payload)
        raise AssertionError("the trigger ended without an event")

    event = asyncio.run(first_event())
    operator.trigger_reentry(context, event)
    return event


@pytest.fixture
def pods(server):
    server.start()
    return lambda: server.api.list_namespaced_pod("clara").items


@pytest.mark.parametrize("deferrable", [False, True], ids=["synchronous", "deferrable"])
def test_a_stage_runs_its_log_is_shown_and_its_pod_is_deleted(server, pods, capfd, deferrable):
    mounts = [{"name": "data", "mountPath": "/app/output", "subPath": "payloads/r1/out"}]
    operator = operator_for(
        server,
        "echo hello from the stage; echo result > /app/output/file; sleep 0.3; echo last line",
        container={"volumeMounts": mounts, "resources": {"limits": {"nvidia.com/gpu": "1", "memory": "256Mi"}}},
        deferrable=deferrable,
    )
    context = context_of("stage")
    if deferrable:
        assert run_deferred(operator, context)["status"] == "success"
    else:
        operator.execute(context)
    assert (server.claim / "payloads/r1/out/file").read_text() == "result\n"
    shown = capfd.readouterr().out
    assert "hello from the stage" in shown
    assert "last line" in shown
    assert context["ti"].pushed["pod_namespace"] == "clara"
    assert pods() == []


@pytest.mark.parametrize("deferrable", [False, True], ids=["synchronous", "deferrable"])
def test_a_stage_that_fails_fails_the_task_with_its_exit_code(server, pods, capfd, deferrable):
    from airflow.sdk.exceptions import AirflowException

    operator = operator_for(server, "echo no good; exit 3", on_finish_action="keep_pod", deferrable=deferrable)
    context = context_of("stage")
    with pytest.raises(AirflowException):
        run_deferred(operator, context) if deferrable else operator.execute(context)
    (pod,) = pods()
    assert pod.status.phase == "Failed"
    assert pod.status.container_statuses[0].state.terminated.exit_code == 3
    assert pod.metadata.labels["already_checked"] == "True"
    assert "no good" in capfd.readouterr().out


@pytest.mark.parametrize("deferrable", [False, True], ids=["synchronous", "deferrable"])
def test_an_unknown_image_fails_the_task_and_says_what_to_do(server, pods, capfd, deferrable):
    from airflow.sdk.exceptions import AirflowException

    container = {"image": "registry.example/other:1", "command": []}
    operator = operator_for(server, "", container=container, deferrable=deferrable)
    context = context_of("stage")
    with pytest.raises(AirflowException) as failure:
        run_deferred(operator, context) if deferrable else operator.execute(context)
    shown = capfd.readouterr().out + "".join(traceback.format_exception(failure.value))
    assert "unable to start: ErrImagePull" in shown
    assert "give the stage's catalogue entry a command:" in shown
    assert pods() == []


def test_an_exit_code_can_skip_the_task(server, pods):
    from airflow.sdk.exceptions import AirflowSkipException

    operator = operator_for(server, "exit 99", skip_on_exit_code=99)
    with pytest.raises(AirflowSkipException):
        operator.execute(context_of("stage"))


def test_events_of_a_pod_that_waits_for_a_gpu_are_shown(server, pods, capfd):
    server.create("holder", "exec sleep 2", container={"resources": {"limits": {"nvidia.com/gpu": "1"}}})
    operator = operator_for(server, "true", container={"resources": {"limits": {"nvidia.com/gpu": "1"}}})
    operator.execute(context_of("stage"))
    assert "Insufficient nvidia.com/gpu" in capfd.readouterr().out


def test_a_try_after_a_lost_worker_takes_up_the_running_pod(server, pods):
    first = operator_for(server, "sleep 1; echo once >> /data/runs", container=_data())
    request = first.build_pod_request_obj(context_of("stage"))
    first.get_or_create_pod(request, context_of("stage"))
    second = operator_for(server, "sleep 1; echo once >> /data/runs", container=_data())
    second.execute(context_of("stage", try_number=2))
    assert (server.claim / "runs").read_text() == "once\n"
    assert pods() == []


def test_killing_the_task_ends_the_pod(server, pods):
    operator = operator_for(server, "echo $$$$ > /data/pid; exec sleep 600", container=_data())
    operator.pod = operator.get_or_create_pod(operator.build_pod_request_obj(context_of("stage")), context_of("stage"))
    server.wait(operator.pod.metadata.name, lambda pod: pod.status.phase == "Running")
    operator.on_kill()
    end = datetime.now(UTC).timestamp() + 10
    while pods():
        assert datetime.now(UTC).timestamp() < end, pods()[0].status
    assert (server.claim / "pid").read_text()


def _data() -> Json:
    return {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}
