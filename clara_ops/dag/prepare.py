"""The first task of every run: is the input what the workflow is made for, and are its folders there?"""

from collections.abc import Mapping
from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowSkipException

from clara_ops.contract.errors import NameRuleError
from clara_ops.contract.evaluator import evaluate
from clara_ops.contract.run_id import check_run_id
from clara_ops.contract.states import RunState
from clara_ops.dag.errors import PayloadError, ServiceRefused
from clara_ops.dag.listener import Listener

_MAKE_A_RUN = "runs are made by the listener: let it receive the series, or POST /v1/runs {workflow, ae_title, group}"


class PrepareOperator(BaseOperator):
    """Refuses input that the workflow does not accept, then asks the listener for the payload's folders.

    A run that is not accepted ends well, with everything after this task skipped; the listener is told the reason.
    """

    def __init__(
        self, *, input_folder: str, folders: tuple[str, ...], accepts: Mapping[str, Any] | None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.input_folder = input_folder
        self.folders = folders
        self.accepts = accepts

    def execute(self, context: Context) -> None:
        """Raises PayloadError where the run has no payload, AirflowSkipException where its input is not accepted."""
        run_id = payload_of(context)
        listener = Listener.connect()
        if self.accepts is not None:
            verdict = evaluate(self.accepts, facts_of(context))
            if not verdict.value:
                reason = f"not for this workflow: {verdict.reason}"
                listener.report(run_id, RunState.NOT_APPLICABLE, reason)
                raise AirflowSkipException(reason)
        try:
            files = listener.make_folders(run_id, self.input_folder, self.folders)
        except ServiceRefused as error:
            if error.error == "PayloadNotFound":
                raise PayloadError(f"payload {run_id!r} does not exist; {_MAKE_A_RUN}") from error
            raise
        self.log.info("payload %s is ready: %d files in %s", run_id, files, self.input_folder)


def payload_of(context: Context) -> str:
    """The payload of a run: its run id.

    Raises:
        PayloadError: the run was not made by the listener.
    """
    conf, run_id = context["dag_run"].conf or {}, context["run_id"]
    if conf.get("payload") != run_id:
        raise PayloadError(
            f"run {run_id!r} has payload {conf.get('payload')!r} in its conf, not its own id; {_MAKE_A_RUN}"
        )
    try:
        return check_run_id(run_id)
    except NameRuleError as error:
        raise PayloadError(f"{error}; {_MAKE_A_RUN}") from error


def facts_of(context: Context) -> Mapping[str, Any]:
    """What the listener says of the run's input."""
    conf = context["dag_run"].conf or {}
    facts: Mapping[str, Any] = conf.get("facts") or {}
    return facts
