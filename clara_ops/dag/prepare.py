"""The first task of every run: is the input what the workflow is made for, and are its folders there?"""

from collections.abc import Mapping
from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowSkipException

from clara_ops.contract.conf import FactValue
from clara_ops.contract.errors import NameRuleError
from clara_ops.contract.evaluator import evaluate
from clara_ops.contract.run_id import check_run_id
from clara_ops.contract.states import RunState
from clara_ops.dag.errors import ParametersRefused, PayloadError, ServiceRefused
from clara_ops.dag.listener import Listener
from clara_ops.workflow.parameters import Parameter, ParameterError, parameter_values

_MAKE_A_RUN = "runs are made by the listener: let it receive the series, or POST /v1/runs {workflow, ae_title, group}"


class PrepareOperator(BaseOperator):
    """Checks the run's parameters and its input, then asks the listener for the payload's folders.

    A run that is not accepted ends well, with everything after this task skipped; the listener is told the reason. So
    does one that a person started in Airflow: the listener makes the real run, which has a payload, out of what was
    entered.
    """

    def __init__(
        self,
        *,
        workflow_id: str,
        parameters: Mapping[str, Parameter],
        input_folder: str,
        folders: tuple[str, ...],
        accepts: Mapping[str, Any] | None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.workflow_id = workflow_id
        self.parameters = parameters
        self.input_folder = input_folder
        self.folders = folders
        self.accepts = accepts

    def execute(self, context: Context) -> None:
        """Raises by what is wrong.

        Raises:
            ParametersRefused: a parameter is unknown, or has a value that the workflow does not take.
            PayloadError: the run has no payload, and does not say what to make one of.
            AirflowSkipException: its input is not accepted, or another run was started in its place.
        """
        listener, conf = Listener.connect(), conf_of(context)
        by_hand = conf.get("payload") != context["run_id"] and "ae_title" in conf and "group" in conf
        if by_hand:
            raise self._start(context, listener)
        run_id = payload_of(context)
        try:
            parameters_of(context, self.parameters)
        except ParametersRefused as error:
            listener.report(run_id, RunState.FAILED, str(error))
            raise
        self._check_input(run_id, facts_of(context), listener)
        try:
            files = listener.make_folders(run_id, self.input_folder, self.folders)
        except ServiceRefused as error:
            if error.error == "PayloadNotFound":
                raise PayloadError(f"payload {run_id!r} does not exist; {_MAKE_A_RUN}") from error
            raise
        self.log.info("payload %s is ready: %d files in %s", run_id, files, self.input_folder)

    def _start(self, context: Context, listener: Listener) -> AirflowSkipException:
        """Have the listener make the run that was asked for; tried again, it is the same one."""
        conf, dag_id = conf_of(context), context["dag_run"].dag_id
        started = listener.start_run(
            {
                "workflow": self.workflow_id,
                "dag_id": dag_id,
                "ae_title": conf["ae_title"],
                "group": conf["group"],
                "parameters": parameters_of(context, self.parameters),
                "request_id": f"{dag_id}/{context['run_id']}",
            }
        )
        self.log.info("started as run %s", started)
        return AirflowSkipException(f"started as run {started}")

    def _check_input(self, run_id: str, facts: Mapping[str, Any], listener: Listener) -> None:
        verdict = evaluate(self.accepts, facts) if self.accepts is not None else None
        if verdict is not None and not verdict.value:
            reason = f"not for this workflow: {verdict.reason}"
            listener.report(run_id, RunState.NOT_APPLICABLE, reason)
            raise AirflowSkipException(reason)


def payload_of(context: Context) -> str:
    """The payload of a run: its run id.

    Raises:
        PayloadError: the run was not made by the listener.
    """
    conf, run_id = conf_of(context), context["run_id"]
    if conf.get("payload") != run_id:
        raise PayloadError(
            f"run {run_id!r} has payload {conf.get('payload')!r} in its conf, not its own id; {_MAKE_A_RUN}"
        )
    try:
        return check_run_id(run_id)
    except NameRuleError as error:
        raise PayloadError(f"{error}; {_MAKE_A_RUN}") from error


def conf_of(context: Context) -> Mapping[str, Any]:
    """What the run was triggered with."""
    return context["dag_run"].conf or {}


def facts_of(context: Context) -> Mapping[str, Any]:
    """What the listener says of the run's input."""
    facts: Mapping[str, Any] = conf_of(context).get("facts") or {}
    return facts


def parameters_of(context: Context, declared: Mapping[str, Parameter]) -> dict[str, FactValue]:
    """The value of every parameter in this run.

    Raises:
        ParametersRefused: with everything that is wrong.
    """
    try:
        return parameter_values(declared, conf_of(context))
    except ParameterError as error:
        raise ParametersRefused(str(error)) from error
