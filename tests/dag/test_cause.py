"""Why a stage failed, told by what Kubernetes says of its pod."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from kubernetes.client import ApiClient, V1Pod
from kubernetes.client.exceptions import ApiException

from clara_ops.dag.cause import cause_of, exit_code_of
from clara_ops.dag.errors import (
    DeadlineExceeded,
    ImageUnavailable,
    MemoryExhausted,
    OutOfMemory,
    PodConfigurationError,
    PodLost,
    PodRefused,
    PodUnschedulable,
    StageError,
    StageInputRefused,
    WorkflowTimeout,
)

OWN_WORDS = AirflowException("Pod x returned a failure.")


def pod(status: dict[str, Any], **metadata: Any) -> V1Pod:
    """A pod as the API server's JSON has it."""
    container = {"name": "base", "resources": {"limits": {"memory": "2Gi"}}}
    data = {
        "metadata": {"name": "p", "namespace": "clara", **metadata},
        "spec": {"containers": [container], "activeDeadlineSeconds": 300},
        "status": status,
    }
    return ApiClient().deserialize(SimpleNamespace(data=json.dumps(data)), "V1Pod")


def ended(code: int, reason: str = "Error", message: str | None = None) -> dict[str, Any]:
    state = {"terminated": {"exitCode": code, "reason": reason, "message": message}}
    return {"phase": "Failed", "containerStatuses": [status_of("base", state)]}


def waiting(reason: str, message: str) -> dict[str, Any]:
    state = {"waiting": {"reason": reason, "message": message}}
    return {"phase": "Pending", "containerStatuses": [status_of("base", state)]}


def status_of(name: str, state: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "state": state, "image": "tool:1", "imageID": "", "ready": False, "restartCount": 0}


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (ended(65, message="no CT\n"), StageInputRefused, "refused its input: no CT"),
        (ended(1, message="boom\n"), StageError, "failed with exit code 1: boom"),
        (ended(2), StageError, "failed with exit code 2: it left no message"),
        (ended(137, "OOMKilled"), OutOfMemory, r"more memory than its limit \(2Gi\)"),
        ({**ended(143), "reason": "DeadlineExceeded"}, DeadlineExceeded, "longer than its 300 s"),
        (
            {"phase": "Failed", "reason": "Evicted", "message": "disk pressure"},
            PodLost,
            r"lost \(Evicted\): disk pressure",
        ),
        ({"phase": "Failed", "reason": "NodeLost"}, PodLost, "lost"),
        ({"phase": "Unknown"}, PodLost, "deleted from outside, or its node is gone"),
        (
            waiting("ImagePullBackOff", "not found"),
            ImageUnavailable,
            r"'tool:1' cannot be pulled \(ImagePullBackOff\): not found",
        ),
        (
            waiting("CreateContainerConfigError", 'secret "site" not found'),
            PodConfigurationError,
            r'cannot start \(CreateContainerConfigError\): secret "site" not found; create it in namespace .clara',
        ),
        (
            {
                "phase": "Pending",
                "conditions": [
                    {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
                ],
            },
            PodUnschedulable,
            "no node took its pod: 0/3 nodes",
        ),
        ({"phase": "Pending"}, StageError, "did not run: Pod x returned a failure"),
    ],
)
def test_each_cause_has_its_class_and_its_words(status: dict[str, Any], kind: type[Exception], words: str) -> None:
    cause = cause_of("ai", pod(status), OWN_WORDS)
    assert type(cause) is kind
    with pytest.raises(kind, match=f"stage 'ai'.*{words}"):
        raise cause


@pytest.mark.parametrize("status", [{"phase": "Running"}, ended(137), ended(143)])
def test_a_pod_that_is_being_deleted_was_lost(status: dict[str, Any]) -> None:
    assert type(cause_of("ai", pod(status, deletionTimestamp="2026-01-01T00:00:00Z"), OWN_WORDS)) is PodLost
    assert type(cause_of("ai", pod(ended(1), deletionTimestamp="2026-01-01T00:00:00Z"), OWN_WORDS)) is StageError


def test_a_pod_that_is_not_there_any_more_was_lost() -> None:
    assert type(cause_of("ai", pod({"phase": "Running"}), ApiException(status=404))) is PodLost


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('{"kind": "Status", "message": "violates PodSecurity restricted"}', "violates PodSecurity restricted"),
        ("<html>", "403 Forbidden"),
        ("", "403 Forbidden"),
        ('"no"', "no"),
    ],
)
def test_a_pod_that_the_api_refuses(body: str, words: str) -> None:
    error = ApiException(status=403, reason="Forbidden")
    error.body = body
    cause = cause_of("ai", None, error)
    assert type(cause) is PodRefused
    assert str(cause) == f"stage 'ai': the pod API refuses its pod: {words}"


def test_no_pod_at_all() -> None:
    assert "no pod could be started" in str(cause_of("ai", None, OWN_WORDS))
    assert exit_code_of(None) is None


def test_the_exit_code_is_that_of_the_stage_not_of_a_sidecar() -> None:
    status = ended(99)
    status["containerStatuses"].insert(0, status_of("istio-proxy", {"terminated": {"exitCode": 0}}))
    assert exit_code_of(pod(status)) == 99


def test_what_is_never_tried_again() -> None:
    kinds = (
        StageInputRefused,
        WorkflowTimeout,
        MemoryExhausted,
        StageError,
        OutOfMemory,
        DeadlineExceeded,
        PodLost,
        PodRefused,
        PodUnschedulable,
        PodConfigurationError,
        ImageUnavailable,
    )
    never = [kind for kind in kinds if issubclass(kind, AirflowFailException)]
    assert never == [StageInputRefused, WorkflowTimeout, MemoryExhausted]
