"""The last task of every run: the results go to the DICOM destination, and the task is over when they have arrived."""

import time
from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowSkipException

from clara_ops.contract.states import DeliveryState, RunState
from clara_ops.dag.delivery_trigger import DeliveryTrigger
from clara_ops.dag.errors import DeliveryFailed, NotReviewed, ServiceRefused
from clara_ops.dag.listener import Delivery, Listener
from clara_ops.dag.prepare import payload_of

REVIEW = "review"
"""Task of the person's decision."""
_PATIENCE_SECONDS = 5.0
_POLL_SECONDS = 0.1


class DeliverOperator(BaseOperator):
    """Asks the listener to send the folders, waits a few seconds in place, and for anything longer in the triggerer."""

    def __init__(
        self, *, folders: tuple[str, ...], destinations: tuple[str, ...], reviewed: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.folders = folders
        self.destinations = destinations
        self.reviewed = reviewed

    def execute(self, context: Context) -> None:
        """Raises by the end that it comes to.

        Raises:
            DeliveryFailed: with the reason.
            NotReviewed: somebody set the review to success without an answer.
            AirflowSkipException: there is nothing to send or nowhere to, or a person rejected it.
        """
        run_id, listener = payload_of(context), Listener.connect()
        if self.reviewed:
            self._heed_review(context, run_id, listener)
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

    def _heed_review(self, context: Context, run_id: str, listener: Listener) -> None:
        """The listener learns what the person decided, from here since this task may be tried again."""
        decision = context["ti"].xcom_pull(task_ids=REVIEW)
        if decision is None:
            raise NotReviewed(f"task {REVIEW!r} has no answer; clear it to ask again")
        if not decision["approved"]:
            listener.report(run_id, RunState.REJECTED, decision["words"])
            raise AirflowSkipException(f"not delivered: {decision['words']}")
        listener.report(run_id, RunState.RUNNING, decision["words"])

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
