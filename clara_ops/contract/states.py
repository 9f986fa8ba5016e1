"""The states that the listener keeps and that Airflow, the command line and the dashboard show."""

from enum import StrEnum


class SeriesState(StrEnum):
    """A series, or whatever the AE title groups by."""

    RECEIVING = "receiving"
    COMPLETE = "complete"
    HELD = "held"
    DISCARDED = "discarded"


class RunState(StrEnum):
    """One run of one workflow on one group; `in-review` waits for a person, who may end it as `rejected`."""

    PENDING = "pending"
    TRIGGERED = "triggered"
    RUNNING = "running"
    IN_REVIEW = "in-review"
    DONE = "done"
    DELIVERED = "delivered"
    FAILED = "failed"
    REJECTED = "rejected"
    NOT_APPLICABLE = "not-applicable"
    SUPERSEDED = "superseded"


SHADOW_OPERATOR = "ShadowOperator"
"""Airflow's name for tasks by which a run does not fail."""


class DeliveryState(StrEnum):
    """One folder of one payload on its way to one destination."""

    SENDING = "sending"
    DELIVERED = "delivered"
    SKIPPED = "skipped"
    FAILED = "failed"
