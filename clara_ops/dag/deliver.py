"""The last task of every run: the results go to the DICOM destination, and the task is over when they have arrived."""

import time
from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowSkipException

from clara_ops.contract.states import DeliveryState
from clara_ops.dag.delivery_trigger import DeliveryTrigger
from clara_ops.dag.errors import DeliveryFailed, ServiceRefused
from clara_ops.dag.listener import Delivery, Listener
from clara_ops.dag.prepare import payload_of

_PATIENCE_SECONDS = 5.0
_POLL_SECONDS = 0.1


class DeliverOperator(BaseOperator):
    """Asks the listener to send the folders, waits a few seconds in place, and for anything longer in the triggerer."""

    def __init__(self, *, folders: tuple[str, ...], destinations: tuple[str, ...], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.folders = folders
        self.destinations = destinations

    def execute(self, context: Context) -> None:
        """Raises DeliveryFailed with the reason, AirflowSkipException where there is nothing to send or nowhere to."""
        run_id, listener = payload_of(context), Listener.connect()
        try:
            deliveries = [
                listener.deliver(run_id, folder, destination)
                for folder in self.folders
                for destination in self.destinations or (None,)
            ]
        except ServiceRefused as error:
            if error.error == "Superseded":
                raise AirflowSkipException(f"not delivered: {error}") from error
            raise
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while any(delivery.is_open for delivery in deliveries) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
            deliveries = [listener.delivery(item.id) if item.is_open else item for item in deliveries]
        if any(delivery.is_open for delivery in deliveries):
            self.log.info("still sending; waiting for it in the triggerer")
            self.defer(trigger=DeliveryTrigger([delivery.id for delivery in deliveries]), method_name="resume")
        self._conclude(deliveries)

    def resume(self, context: Context, event: Sequence[str]) -> None:  # noqa: ARG002 - Airflow's signature
        """All deliveries are over: say how. `event` holds their ids."""
        listener = Listener.connect()
        self._conclude([listener.delivery(delivery_id) for delivery_id in event])

    def _conclude(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            self.log.info(
                "delivery %s: %s%s", delivery.id, delivery.state, f" ({delivery.reason})" if delivery.reason else ""
            )
        failed = [delivery for delivery in deliveries if delivery.state is DeliveryState.FAILED]
        if failed:
            raise DeliveryFailed("; ".join(f"delivery {delivery.id} failed: {delivery.reason}" for delivery in failed))
        if all(delivery.state is DeliveryState.SKIPPED for delivery in deliveries):
            raise AirflowSkipException("; ".join(f"not delivered: {delivery.reason}" for delivery in deliveries))
