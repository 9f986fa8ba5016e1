"""One stage as an Airflow task: its pod, what becomes of it, and what that means for the run."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from http import HTTPStatus
from typing import Any

import jinja2
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.providers.cncf.kubernetes.utils.pod_manager import PodPhase
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException
from kubernetes.client import V1Pod
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from clara_ops.contract.environment import IMAGE_REGISTRY
from clara_ops.contract.errors import StageExit
from clara_ops.contract.evaluator import attributes_of, evaluate
from clara_ops.dag.cause import cause_of, exit_code_of, taken_away
from clara_ops.dag.errors import MemoryExhausted, OutOfMemory, StageError, WorkflowTimeout
from clara_ops.dag.listener import Listener
from clara_ops.dag.pod_watch import WatchingPodManager
from clara_ops.dag.prepare import facts_of, parameters_of, payload_of
from clara_ops.dag.running_time import remember, used_by
from clara_ops.dag.stage_trigger import LOG_SECONDS, POLL_SECONDS, StageTrigger
from clara_ops.workflow.budget import deadline_of, used_up
from clara_ops.workflow.pod import CONTAINER, stage_pod
from clara_ops.workflow.workflow import Stage, Workflow

CONNECTION_ID = "clara_kubernetes"
LONG_SECONDS = 900
WAITING_SECONDS = 3600
PULLING_SECONDS = 600
_SPARE_SECONDS = 60
_POLL_SECONDS = 5
_OUT_OF_MEMORY = "clara_out_of_memory"


class StageOperator(KubernetesPodOperator):  # type: ignore[misc]  # the provider is not typed
    """Runs one stage of a workflow as a pod.

    What is filled in at run time is the payload and the values of parameters: `args` and `env` of a workflow are data,
    and are never rendered as templates. `pod_template_dict` is a template field so that the UI shows the pod.
    """

    template_fields = ("pod_template_dict",)

    def __init__(self, *, workflow: Workflow, stage: Stage, **kwargs: Any) -> None:
        super().__init__(
            kubernetes_conn_id=CONNECTION_ID,
            pod_template_dict=stage_pod(workflow, stage, "{{ run_id }}", _registry()),
            termination_message_policy="FallbackToLogsOnError",
            schedule_timeout_seconds=WAITING_SECONDS,
            startup_timeout_seconds=PULLING_SECONDS,
            startup_check_interval_seconds=_POLL_SECONDS,
            execution_timeout=timedelta(seconds=stage.timeout + WAITING_SECONDS + PULLING_SECONDS + _SPARE_SECONDS),
            get_logs=True,
            init_container_logs=None,
            container_name_log_prefix_enabled=False,
            log_events_on_failure=True,
            log_pod_spec_on_failure=False,
            on_finish_action="delete_pod",
            durable=True,
            deferrable=defers(stage),
            **kwargs,
        )
        self.workflow = workflow
        self._used = 0.0
        self._deadline = stage.timeout
        self.stage = stage

    def _set_xcomargs_dependencies(self) -> None:
        """Nothing: a pod holds no results of other tasks, and Airflow's search through all of it costs a sixth."""

    @cached_property
    def pod_manager(self) -> WatchingPodManager:
        """The manager that waits by watching."""
        return WatchingPodManager(kube_client=self.client, callbacks=self.callbacks)

    def await_pod_start(self, pod: V1Pod) -> None:
        """Wait until the pod runs; where it does not come to that, keep what it says of itself before it is deleted."""
        try:
            super().await_pod_start(pod)
        except AirflowException:
            self.remote_pod = self.pod_manager.read_pod(pod)
            raise

    def render_template_fields(
        self,
        context: Context,
        jinja_env: jinja2.Environment | None = None,  # noqa: ARG002 - Airflow's signature
    ) -> None:
        """Fill in payload and parameters, as data: nothing is a template."""
        stage, store = self.stage, context.get("task_state_store")
        if store is not None and store.get(_OUT_OF_MEMORY) and stage.resources.memory_retry is not None:
            more = stage.resources.model_copy(update={"memory": stage.resources.memory_retry})
            stage = replace(stage, resources=more)
        self._used = used_by(context, stage)
        self._deadline = deadline_of(self.workflow, stage, self._used)
        stage = replace(stage, timeout=max(self._deadline, 1))
        values = parameters_of(context, self.workflow.parameters)
        self.pod_template_dict = stage_pod(self.workflow, stage, context["run_id"], _registry(), values)

    def cleanup(self, pod: V1Pod, remote_pod: V1Pod, xcom_result: Any = None, context: Context | None = None) -> None:
        """Hand on how much running time is used, then go on as the provider does."""
        if context is not None:
            remember(context, self.stage, remote_pod)
        super().cleanup(pod, remote_pod, xcom_result, context)

    def execute(self, context: Context) -> None:
        """Run the pod to its end.

        Raises:
            StageInputRefused: exit 65; not tried again.
            AirflowSkipException: exit 99 with a `result.json`, or `when` is not met; what follows is skipped.
            WorkflowTimeout: no running time is left for this stage.
            StageError: by its cause; tried again.
        """
        if self._deadline < 1:
            raise WorkflowTimeout(used_up(self.workflow, self.stage, self._used))
        self._check_when(payload_of(context), facts_of(context))
        with self._told_by_cause(context):
            super().execute(context)

    def get_or_create_pod(self, pod_request_obj: V1Pod, context: Context) -> V1Pod:
        """The pod of an earlier try whose worker was killed, else a new one.

        The provider takes over what still runs, and does again what has ended meanwhile; what ended well is done.
        """
        earlier = self.find_pod(pod_request_obj.metadata.namespace, context=context)
        if earlier is not None and earlier.status.phase == PodPhase.SUCCEEDED:
            self.log.info("taking over pod %s, which has ended well meanwhile", earlier.metadata.name)
            return earlier
        return super().get_or_create_pod(pod_request_obj, context)

    def invoke_defer_method(
        self,
        last_log_time: datetime | None = None,
        context: Context | None = None,  # noqa: ARG002 - the provider's signature
    ) -> None:
        """Leave the waiting to the triggerer. The connection says where the cluster is; the environment does not."""
        self.defer(
            trigger=StageTrigger(
                pod_name=self.pod.metadata.name,
                pod_namespace=self.pod.metadata.namespace,
                trigger_start_time=datetime.now(UTC),
                base_container_name=CONTAINER,
                kubernetes_conn_id=CONNECTION_ID,
                poll_interval=POLL_SECONDS,
                schedule_timeout=WAITING_SECONDS,
                startup_timeout=PULLING_SECONDS,
                startup_check_interval=_POLL_SECONDS,
                last_log_time=last_log_time,
                logging_interval=LOG_SECONDS,
            ),
            method_name=self.trigger_reentry.__name__,
        )

    def trigger_reentry(self, context: Context, event: Mapping[str, Any]) -> None:
        """Go on with what the trigger waited for: mostly the pod's end, else the worker waits for that itself.

        Raises:
            PodLost: the pod is gone.
            StageError: as `execute`.
        """
        with self._told_by_cause(context):
            try:
                self.pod = self.hook.get_pod(event["name"], event["namespace"])
            except ApiException as error:
                if error.status == HTTPStatus.NOT_FOUND:
                    raise taken_away(self.stage.name) from error
                raise
            self.pod_manager.log_since = event.get("last_log_time")
            self.execute_sync(context)

    @contextmanager
    def _told_by_cause(self, context: Context) -> Iterator[None]:
        try:
            yield
        except (AirflowFailException, AirflowSkipException, StageError):
            raise
        except (AirflowException, ApiException) as error:
            pod: V1Pod | None = self.remote_pod or self.pod
            if exit_code_of(pod) == StageExit.NOTHING_TO_DO:
                raise self._nothing_to_do(payload_of(context)) from error
            cause = cause_of(self.stage.name, pod, error.__context__ or error)
            raise (self._out_of_memory(cause, context) if isinstance(cause, OutOfMemory) else cause) from error
        except HTTPError as error:
            raise StageError(f"stage {self.stage.name!r}: the pod API does not answer: {error}") from error

    def _check_when(self, payload: str, facts: Mapping[str, Any]) -> None:
        when = self.stage.when
        if when is None:
            return
        listener, attributes = Listener.connect(), dict(facts)
        for step in sorted({attribute.partition(".")[0] for attribute in attributes_of(when) if "." in attribute}):
            result = listener.result(payload, self.workflow.stage(step).output) or {}
            attributes |= {f"{step}.{name}": value for name, value in (result.get("facts") or {}).items()}
        verdict = evaluate(when, attributes)
        if not verdict.value:
            meaning = "cannot be decided" if verdict.value is None else "is not met"
            raise self._skip(f"stage {self.stage.name!r} is left out, its 'when' {meaning}: {verdict.reason}")

    def _out_of_memory(self, cause: OutOfMemory, context: Context) -> AirflowException:
        """Once more with `memory-retry` where the stage has it; the store tells the next try."""
        store = context.get("task_state_store")
        if self.stage.resources.memory_retry is None or store is None or store.get(_OUT_OF_MEMORY):
            return MemoryExhausted(str(cause))
        store.set(_OUT_OF_MEMORY, True)
        return cause

    def _nothing_to_do(self, payload: str) -> AirflowException:
        result = Listener.connect().result(payload, self.stage.output)
        if result is None or not result.get("reason"):
            return StageError(
                f"stage {self.stage.name!r} said that there is nothing to do (exit {StageExit.NOTHING_TO_DO}) "
                "but gave no reason in result.json"
            )
        return self._skip(f"stage {self.stage.name!r} had nothing to do: {result['reason']}")

    def _skip(self, reason: str) -> AirflowSkipException:
        """The reason goes into the log by itself: Airflow shows that of the exception only in a folded group."""
        self.log.info("%s", reason)
        return AirflowSkipException(reason)


def defers(stage: Stage) -> bool:
    """Whether a stage waits in the triggerer: as its catalogue entry says, else when it may take long."""
    return stage.entry.timeout > LONG_SECONDS if stage.entry.deferrable is None else stage.entry.deferrable


def _registry() -> str:
    return os.environ.get(IMAGE_REGISTRY, "")
