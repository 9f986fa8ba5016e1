"""What ended a stage's pod, in the words of its termination message."""

import json
import signal
from http import HTTPStatus

from airflow.sdk.exceptions import AirflowException
from kubernetes.client import V1ContainerStateTerminated, V1Pod
from kubernetes.client.exceptions import ApiException

from clara_ops.contract.errors import StageExit
from clara_ops.dag.errors import (
    DeadlineExceeded,
    ImageUnavailable,
    OutOfMemory,
    PodConfigurationError,
    PodLost,
    PodRefused,
    PodUnschedulable,
    StageError,
    StageInputRefused,
)
from clara_ops.workflow.pod import CONTAINER

_LOST_REASONS = frozenset(
    {"Evicted", "NodeLost", "NodeShutdown", "Terminated", "Preempting", "UnexpectedAdmissionError"}
)
_KILLED = frozenset({128 + signal.SIGKILL, 128 + signal.SIGTERM})
_IMAGE_REASONS = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})
_REFUSALS = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY})
CONFIGURATION_REASON = "CreateContainerConfigError"


def exit_code_of(pod: V1Pod | None) -> int | None:
    """Exit code of the stage's container; None where it has not ended."""
    terminated = _terminated(pod)
    return terminated.exit_code if terminated is not None else None


def running_seconds(pod: V1Pod | None) -> float | None:
    """How long the stage's container ran; None where it has not ended, or nobody knows."""
    terminated = _terminated(pod)
    if terminated is None or terminated.started_at is None or terminated.finished_at is None:
        return None
    return float((terminated.finished_at - terminated.started_at).total_seconds())


def cause_of(stage: str, pod: V1Pod | None, error: BaseException) -> AirflowException:
    """The failure of a stage by its cause.

    Args:
        stage: the stage's name, for the message.
        pod: the pod as it was seen last, or as it was asked for; None when it was never there.
        error: what the operator says, used where the pod itself says nothing.
    """
    if pod is not None and isinstance(error, ApiException) and error.status == HTTPStatus.NOT_FOUND:
        return taken_away(stage)
    if isinstance(error, ApiException) and error.status in _REFUSALS:
        return PodRefused(f"stage {stage!r}: the pod API refuses its pod: {_said_by(error)}")
    if pod is None or pod.status is None:
        return StageError(f"stage {stage!r}: no pod could be started: {error}")
    reason = pod.status.reason or ""
    if reason == "DeadlineExceeded":
        return DeadlineExceeded(
            f"stage {stage!r} ran longer than its {pod.spec.active_deadline_seconds} s (its timeout in the catalogue, "
            "or what was left of the workflow's); raise the 'timeout' meant, or give it more resources"
        )
    if reason in _LOST_REASONS:
        return PodLost(f"stage {stage!r}: its pod was lost ({reason}): {pod.status.message or 'no message'}")
    terminated = _terminated(pod)
    if _was_taken_away(pod, terminated):
        return taken_away(stage)
    if terminated is not None:
        return _cause_by_exit(stage, pod, terminated)
    return _cause_without_exit(stage, pod, error)


def taken_away(stage: str) -> PodLost:
    """The failure of a stage whose pod is not there any more, or about to go."""
    return PodLost(f"stage {stage!r}: its pod was deleted from outside, or its node is gone")


def missing_configuration(pod: V1Pod) -> str | None:
    """Why the container of a pod cannot be made as the pod says; None where nothing hinders it."""
    statuses = (pod.status.init_container_statuses or []) + (pod.status.container_statuses or [])
    for status in statuses:
        waiting = status.state.waiting if status.state else None
        if waiting is not None and waiting.reason == CONFIGURATION_REASON:
            return str(waiting.message or "no message")
    return None


def _cause_by_exit(stage: str, pod: V1Pod, terminated: V1ContainerStateTerminated) -> AirflowException:
    message = (terminated.message or "").strip() or "it left no message; its log is above"
    if terminated.reason == "OOMKilled":
        resources = pod.spec.containers[0].resources
        limit = ((resources.limits if resources else None) or {}).get("memory", "none")
        return OutOfMemory(
            f"stage {stage!r} used more memory than its limit ({limit}); raise 'memory' in the catalogue"
        )
    if terminated.exit_code == StageExit.BAD_INPUT:
        return StageInputRefused(f"stage {stage!r} refused its input: {message}")
    return StageError(f"stage {stage!r} failed with exit code {terminated.exit_code}: {message}")


def _cause_without_exit(stage: str, pod: V1Pod, error: BaseException) -> AirflowException:
    missing = missing_configuration(pod)
    if missing is not None:
        return PodConfigurationError(
            f"stage {stage!r}: its pod cannot start ({CONFIGURATION_REASON}): {missing}; "
            f"create it in namespace {pod.metadata.namespace!r}, or correct the catalogue entry"
        )
    for status in pod.status.container_statuses or []:
        waiting = status.state.waiting if status.state else None
        if waiting is not None and waiting.reason in _IMAGE_REASONS:
            return ImageUnavailable(
                f"stage {stage!r}: image {status.image!r} cannot be pulled ({waiting.reason}): {waiting.message or ''}"
            )
    for condition in pod.status.conditions or []:
        if condition.type == "PodScheduled" and condition.status == "False":
            return PodUnschedulable(f"stage {stage!r}: no node took its pod: {condition.message or condition.reason}")
    return StageError(f"stage {stage!r}: its pod did not run: {error}")


def _said_by(error: ApiException) -> str:
    """The message of an answer of the pod API, without its headers."""
    try:
        status = json.loads(error.body or "")
    except ValueError:
        return f"{error.status} {error.reason}"
    return str(status.get("message") if isinstance(status, dict) else status)


def _was_taken_away(pod: V1Pod, terminated: V1ContainerStateTerminated | None) -> bool:
    if terminated is not None:
        return pod.metadata.deletion_timestamp is not None and terminated.exit_code in _KILLED
    return pod.metadata.deletion_timestamp is not None or pod.status.phase == "Unknown"


def _terminated(pod: V1Pod | None) -> V1ContainerStateTerminated | None:
    statuses = (pod.status.container_statuses if pod is not None and pod.status is not None else None) or []
    for status in statuses:
        if status.name == CONTAINER and status.state is not None:
            return status.state.terminated
    return None
