"""Waits in the triggerer for the end of a stage's pod and passes its log on: a long stage costs no worker."""

import math
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from airflow.providers.cncf.kubernetes.triggers.pod import KubernetesPodTrigger
from airflow.providers.cncf.kubernetes.utils.pod_manager import AsyncPodManager, parse_log_line
from kubernetes.client import V1Pod

POLL_SECONDS = 2.0
LOG_SECONDS = 5


class StageTrigger(KubernetesPodTrigger):  # type: ignore[misc]  # the provider is not typed
    """Fires when the pod has ended, or when something is wrong with it; deletes the pod when a person cancels the task.

    The event's `last_log_time` is the moment up to which the log has been passed on.
    """

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """What the triggerer builds this trigger from."""
        return f"{__name__}.{type(self).__name__}", super().serialize()[1]

    @cached_property
    def pod_manager(self) -> "LogPassingPodManager":
        """The manager that passes each line on once."""
        return LogPassingPodManager(async_hook=self.hook)


class LogPassingPodManager(AsyncPodManager):  # type: ignore[misc]  # the provider is not typed
    """The provider's manager reads a log in whole seconds, and so passes lines on twice; this one does not."""

    async def fetch_container_logs_before_current_sec(
        self, pod: V1Pod, container_name: str, since_time: datetime | None = None
    ) -> datetime:
        """Pass on the lines since `since_time`, but for those of the current second, which may not be over.

        Returns:
            The moment up to which they were passed on: `since_time` of the next call.
        """
        now = datetime.now(UTC)
        until = now.replace(microsecond=0)
        since_seconds = math.ceil((now - since_time) / timedelta(seconds=1)) if since_time is not None else None
        lines = await self._hook.read_logs(
            name=pod.metadata.name,
            namespace=pod.metadata.namespace,
            container_name=container_name,
            since_seconds=since_seconds,
        )
        for line in lines:
            time, message = parse_log_line(line)
            if message and time is not None and time < until and (since_time is None or time >= since_time):
                self.log.info(message)
        return until
