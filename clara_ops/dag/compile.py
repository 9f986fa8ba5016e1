"""From a workflow file to Airflow DAGs: one task before, one after, and in between one pod for each stage."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, BaseOperator, ExceptionRetryPolicy, RetryAction, RetryRule, TriggerRule

from clara_ops.contract.payload import PUBLISH
from clara_ops.dag.deliver import REVIEW, DeliverOperator
from clara_ops.dag.errors import ImageUnavailable, PodConfigurationError, PodLost, PodRefused
from clara_ops.dag.form import trigger_form
from clara_ops.dag.layout import TAG
from clara_ops.dag.order import WEIGHTS
from clara_ops.dag.prepare import PrepareOperator
from clara_ops.dag.publish import PublishOperator
from clara_ops.dag.review import ReviewOperator
from clara_ops.dag.shadow import POOL as SHADOW_POOL
from clara_ops.dag.shadow import WEIGHT as SHADOW_WEIGHT
from clara_ops.dag.shadow import ShadowOperator, ShadowReportOperator
from clara_ops.dag.stage_operator import StageOperator
from clara_ops.workflow.catalogue import Catalogue
from clara_ops.workflow.loading import load_workflows
from clara_ops.workflow.workflow import Shadow, Stage, Workflow

GPU_POOL = "clara_gpu"
MAX_ACTIVE_RUNS = 1000

_BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
_RETRY_DELAY = timedelta(seconds=5)
_LONGEST_RETRY_DELAY = timedelta(minutes=5)
_SERVICE_RETRIES = 20
_STAGE_RETRIES = ExceptionRetryPolicy(
    rules=[
        RetryRule(PodLost, RetryAction.RETRY, timedelta(seconds=1), "the pod was lost, not the stage"),
        RetryRule(ImageUnavailable, RetryAction.RETRY, timedelta(seconds=60), "the registry may come back"),
        RetryRule(PodRefused, RetryAction.RETRY, timedelta(seconds=60), "the quota may be free then"),
        RetryRule(PodConfigurationError, RetryAction.RETRY, timedelta(seconds=60), "someone may add what is missing"),
    ]
)


def compile_file(path: Path, catalogue: Catalogue) -> list[DAG]:
    """The DAGs of one workflow file. Pure: the same file and catalogue give the same DAGs.

    Raises:
        WorkflowFileError: with all problems of the file.
    """
    return [compile_workflow(workflow) for workflow in load_workflows(path, catalogue)]


def compile_workflow(workflow: Workflow) -> DAG:
    """The DAG of one workflow, with the workflow's name as its id."""
    dag = DAG(
        dag_id=workflow.name,
        description=workflow.description or None,
        tags={TAG, workflow.id},
        params=trigger_form(workflow),
        schedule=None,
        start_date=_BEGINNING,
        catchup=False,
        max_active_runs=MAX_ACTIVE_RUNS,
        max_active_tasks=MAX_ACTIVE_RUNS,
        is_paused_upon_creation=False,
    )
    # tasks join the DAG by add_task or set_upstream: an argument `dag` costs a copy for each class of the operator
    order: dict[str, Any] = {"priority_weight": WEIGHTS[workflow.priority], "weight_rule": "absolute"}
    services: dict[str, Any] = {
        **order,
        "retries": _SERVICE_RETRIES,
        "retry_delay": _RETRY_DELAY,
        "retry_exponential_backoff": 2.0,
        "max_retry_delay": _LONGEST_RETRY_DELAY,
    }
    prepare = PrepareOperator(
        task_id="prepare",
        workflow_id=workflow.id,
        parameters=workflow.parameters,
        input_folder=workflow.input,
        folders=(*workflow.folders[1:], *(f"{PUBLISH}/{stage.name}" for stage in workflow.every_stage)),
        accepts=workflow.accepts,
        **services,
    )
    dag.add_task(prepare)
    tasks: dict[str, BaseOperator] = {}
    for stage in workflow.stages:
        task = tasks[stage.name] = _stage_task(workflow, stage, order)
        task.set_upstream([tasks[name] for name in stage.after] or [prepare])
    last: list[BaseOperator] = [tasks[stage.name] for stage in workflow.results]
    publish = PublishOperator(
        task_id="publish",
        stages=tuple(tasks),
        trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS,
        **order,
    )
    publish.set_upstream(last)
    if workflow.review is not None:
        review = ReviewOperator(
            task_id=REVIEW,
            workflow=workflow,
            review=workflow.review,
            trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS,
            **services,
        )
        review.set_upstream(last)
        last = [review]
    deliver = DeliverOperator(
        task_id="deliver",
        folders=tuple(stage.output for stage in workflow.results),
        destinations=workflow.destinations,
        reviewed=workflow.review is not None,
        trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS,
        **services,
    )
    deliver.set_upstream(last)
    if workflow.shadow is not None:
        _add_shadow(workflow, workflow.shadow, tasks, order)
    return dag


def _stage_task(workflow: Workflow, stage: Stage, order: Mapping[str, Any]) -> StageOperator:
    placement: dict[str, Any] = (
        {"pool": GPU_POOL, "pool_slots": stage.resources.gpu or 1} if stage.resources.uses_gpu else {}
    )
    joins = len(stage.after) > 1
    rule = TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS if joins else TriggerRule.ALL_SUCCESS
    return StageOperator(trigger_rule=rule, **_of_stage(workflow, stage), **order, **placement)


def _of_stage(workflow: Workflow, stage: Stage) -> dict[str, Any]:
    return {
        "workflow": workflow,
        "stage": stage,
        "task_id": stage.name,
        "retries": stage.entry.retries,
        "retry_delay": _RETRY_DELAY,
        "retry_exponential_backoff": 2.0,
        "max_retry_delay": _LONGEST_RETRY_DELAY,
        "retry_policy": _STAGE_RETRIES,
    }


def _add_shadow(
    workflow: Workflow, shadow: Shadow, tasks: Mapping[str, BaseOperator], order: Mapping[str, Any]
) -> None:
    """After all stages, so that it takes nothing from them, and beside review and delivery."""
    place: dict[str, Any] = {**order, "pool": SHADOW_POOL, "priority_weight": SHADOW_WEIGHT}
    beside = ShadowOperator(
        trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS, **_of_stage(workflow, shadow.stage), **place
    )
    comparison = ShadowOperator(**_of_stage(workflow, shadow.comparison), **place)
    report = ShadowReportOperator(task_id="shadow", shadow=shadow, trigger_rule=TriggerRule.ALL_DONE, **order)
    names = dict.fromkeys((shadow.of, *(stage.name for stage in workflow.results)))
    beside.set_upstream([tasks[name] for name in names])
    comparison.set_upstream([tasks[shadow.of], beside])
    report.set_upstream(comparison)
