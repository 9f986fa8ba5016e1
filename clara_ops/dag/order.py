"""Which of the tasks that wait for a slot starts first. Imports nothing of Airflow: `policy` is loaded everywhere.

Airflow takes the greatest `priority_weight` first, and among equals the earliest logical date. Runs of workflows have
no logical date, so equals would come in any order; and what is lower would wait for as long as anything higher comes.
Therefore a task's weight is the moment that its run arrived, put forward or back by its priority: first come, first
served within a priority, and a head start of so many seconds between them. It is given once and needs no upkeep, since
all that waits ages alike. `bench/order.py` simulates a day of it.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

WEIGHTS: Mapping[str, int] = {"lower": 1, "normal": 10, "higher": 100, "immediate": 1000}
"""What the DAG says; its tasks' weights are made of it."""

HEAD_START_SECONDS: Mapping[str, int] = {
    "lower": -4 * 3600,
    "normal": 0,
    "higher": 3600,
    "immediate": 10 * 365 * 24 * 3600,
}

_BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
_GREATEST = 2**30  # Airflow keeps 32 bits: enough until 2050
_PRIORITIES: Mapping[int, str] = {weight: priority for priority, weight in WEIGHTS.items()}


def weight_in_queue(weight: int, arrived: datetime) -> int:
    """The weight of a task of a run that arrived then; `weight` is its DAG's, anything else is returned as it is."""
    priority = _PRIORITIES.get(weight)
    if priority is None:
        return weight
    return _GREATEST + HEAD_START_SECONDS[priority] - int((arrived - _BEGINNING).total_seconds())
