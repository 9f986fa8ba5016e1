"""The shadow of a stage in Airflow: whatever becomes of it, the run and its delivery go on as they would without it.

Its tasks start when the workflow's own stages are over. They are upstream of `shadow` only, which runs in any case and
never fails: Airflow judges a run by its last tasks.
"""

from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowSkipException

from clara_ops.dag.errors import PayloadError, ServiceRefused, ServiceUnavailable
from clara_ops.dag.listener import Listener
from clara_ops.dag.prepare import payload_of
from clara_ops.dag.stage_operator import StageOperator
from clara_ops.workflow.workflow import Shadow

POOL = "clara_shadow"
WEIGHT = 0
"""Below that of any task of real work."""


class ShadowOperator(StageOperator):
    """A stage of a shadow. By the class's name (`SHADOW_OPERATOR`) the listener knows that no run fails by it."""


class ShadowReportOperator(BaseOperator):
    """Says how the two models compare."""

    def __init__(self, *, shadow: Shadow, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shadow = shadow

    def execute(self, context: Context) -> str:
        """The comparison in a sentence.

        Raises:
            AirflowSkipException: there is none.
        """
        name, comparison = self.shadow.stage.name, self.shadow.comparison
        try:
            result = Listener.connect().result(payload_of(context), comparison.output)
        except (PayloadError, ServiceRefused, ServiceUnavailable) as error:
            raise AirflowSkipException(f"no comparison of {name!r} can be had: {error}") from error
        if result is None:
            raise AirflowSkipException(f"{name!r} was not compared; tasks {name!r} and {comparison.name!r} say why")
        sentence = f"{name} beside {self.shadow.of}: {result.get('reason') or 'compared'}"
        self.log.info("%s", sentence)
        return sentence
