"""Registers a run with the Render Server, so that its result can be looked at in 3D. Never fails a run."""

from typing import Any

from airflow.sdk import BaseHook, BaseOperator, Context
from airflow.sdk.exceptions import AirflowNotFoundException, AirflowSkipException

from clara_ops.dag.errors import ServiceRefused, ServiceUnavailable
from clara_ops.dag.prepare import payload_of
from clara_ops.dag.rest import Service

CONNECTION_ID = "clara_render"


class PublishOperator(BaseOperator):
    """Tells the Render Server of the payload; skipped, saying so, where there is none or it does not want it."""

    def __init__(self, *, stages: tuple[str, ...], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.stages = stages

    def execute(self, context: Context) -> None:
        """Raises AirflowSkipException with the reason."""
        try:
            service = Service.from_connection(BaseHook.get_connection(CONNECTION_ID))
            service.call("PUT", f"/v1/payloads/{payload_of(context)}", {"stages": list(self.stages)})
        except AirflowNotFoundException as error:
            raise self._skip(f"there is no Render Server (Airflow connection {CONNECTION_ID!r} is absent)") from error
        except (ServiceRefused, ServiceUnavailable) as error:
            raise self._skip(str(error)) from error

    def _skip(self, reason: str) -> AirflowSkipException:
        """The reason goes into the log by itself: Airflow shows that of the exception only in a folded group."""
        self.log.info("not published: %s", reason)
        return AirflowSkipException(f"not published: {reason}")
