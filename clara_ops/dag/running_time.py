"""How long the stages of a run have run: each task hands on to the next what was used at its end, in seconds."""

from typing import Any

from airflow.sdk import Context
from kubernetes.client import V1Pod

from clara_ops.dag.cause import running_seconds
from clara_ops.workflow.budget import used_before
from clara_ops.workflow.workflow import Stage

USED = "clara_running_seconds"
_TRIES = "clara_earlier_tries"


def used_by(context: Context, stage: Stage) -> float:
    """Seconds used before this try: by the stages before, and by tries of this one since a person cleared it."""
    task_instance: Any = context.get("ti")
    if task_instance is None:
        return 0.0
    used = {name: task_instance.xcom_pull(task_ids=name, key=USED) or 0.0 for name in stage.after}
    return used_before(stage, used) + _earlier_tries(context)


def remember(context: Context, stage: Stage, pod: V1Pod | None) -> None:
    """Hand on what is used, now that a pod has ended; a pod that does not say how long it ran counts nothing."""
    seconds = running_seconds(pod)
    if seconds is None:
        return
    context["ti"].xcom_push(key=USED, value=used_by(context, stage) + seconds)
    store = context.get("task_state_store")
    if store is not None:
        store.set(_TRIES, {"max_tries": context["ti"].max_tries, "seconds": _earlier_tries(context) + seconds})


def _earlier_tries(context: Context) -> float:
    store = context.get("task_state_store")
    tries: Any = store.get(_TRIES) if store is not None else None
    # Airflow raises max_tries when a person clears a task: its tries then count anew
    if not isinstance(tries, dict) or tries["max_tries"] != context["ti"].max_tries:
        return 0.0
    return float(tries["seconds"])
