"""Waiting for a pod by watching it: what it does is known within milliseconds, without asking again and again.

The operator's own manager asks every few seconds, which is most of the time that a short stage takes. Here a watch
waits for the first few seconds; whatever takes longer is left to the manager's slow polling.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from airflow.providers.cncf.kubernetes.kubernetes_helper_functions import PodLaunchFailedException
from airflow.providers.cncf.kubernetes.utils.container import container_is_running
from airflow.providers.cncf.kubernetes.utils.pod_manager import PodManager, PodPhase, parse_log_line
from kubernetes.client import V1Pod
from kubernetes.client.exceptions import ApiException
from kubernetes.watch import Watch
from urllib3.exceptions import HTTPError

from clara_ops.dag.cause import CONFIGURATION_REASON, missing_configuration

CONFIGURATION_SECONDS = 30
"""How long a pod may wait for a Secret that is not there."""

_START_SECONDS = 20
_END_SECONDS = 5
_CONNECT_SECONDS = 10
_TROUBLE = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", CONFIGURATION_REASON}
)


class WatchingPodManager(PodManager):  # type: ignore[misc]  # the provider is not typed
    """The operator's pod manager, with a watch in front of each of its waits.

    Attributes:
        log_since: the log before this moment was passed on already, by the triggerer; None for all of it.
    """

    log_since: datetime | None = None

    def read_pod_logs(self, *args: Any, **kwargs: Any) -> Iterable[bytes]:
        """The lines of the container's log that were not passed on yet, each with its time in front."""
        wanted = self.log_since is None
        for line in super().read_pod_logs(*args, **kwargs):
            time, _ = parse_log_line(line.decode("utf-8", errors="backslashreplace"))
            if time is not None and self.log_since is not None:
                wanted = time >= self.log_since
            if wanted:
                yield line

    async def await_pod_start(
        self, pod: V1Pod, schedule_timeout: int = 120, startup_timeout: int = 120, check_interval: int = 1
    ) -> None:
        """Wait until the pod is no longer Pending; raises as the base class does where that takes too long.

        Raises:
            PodLaunchFailedException: a Secret was missing for half a minute; without it the pod would wait for ever.
        """
        self._watch_until(pod, _has_left_pending, _START_SECONDS)
        start = asyncio.create_task(super().await_pod_start(pod, schedule_timeout, startup_timeout, check_interval))
        since: float | None = None
        while not (await asyncio.wait({start}, timeout=check_interval))[0]:
            missing = missing_configuration(self.read_pod(pod))
            since = (since or time.monotonic()) if missing else None
            if since is not None and time.monotonic() - since >= CONFIGURATION_SECONDS:
                start.cancel()
                raise PodLaunchFailedException(f"pod cannot start: {missing}")
        await start

    def container_is_running(self, pod: V1Pod, container_name: str) -> bool:
        """Whether the container runs, asked when its log has ended: its status may be a moment behind its log."""
        if not super().container_is_running(pod, container_name):
            return False
        self._watch_until(pod, lambda seen: not container_is_running(seen, container_name), _END_SECONDS)
        return bool(super().container_is_running(pod, container_name))

    def await_pod_completion(
        self, pod: V1Pod, istio_enabled: bool = False, container_name: str = "base", do_xcom_push: bool = False
    ) -> V1Pod:
        """Wait until the pod has ended, and answer its final state."""
        self._watch_until(pod, lambda seen: seen.status.phase in PodPhase.terminal_states, _END_SECONDS)
        return super().await_pod_completion(pod, istio_enabled, container_name, do_xcom_push)

    def _watch_until(self, pod: V1Pod, reached: Callable[[V1Pod], bool], seconds: int) -> None:
        """Return when the pod is as wanted, gone, or `seconds` have passed: the caller looks at it anyway."""
        watch = Watch()
        this = {"namespace": pod.metadata.namespace, "field_selector": f"metadata.name={pod.metadata.name}"}
        try:
            found = self._client.list_namespaced_pod(**this)
            if not found.items or reached(found.items[0]):
                return
            for event in watch.stream(
                self._client.list_namespaced_pod,
                **this,
                resource_version=found.metadata.resource_version,
                timeout_seconds=seconds,
                _request_timeout=(_CONNECT_SECONDS, seconds + _CONNECT_SECONDS),
            ):
                if event["type"] == "DELETED" or reached(event["object"]):
                    return
        except (ApiException, HTTPError) as error:
            self.log.info("pod %s cannot be watched, asking for its state instead: %s", pod.metadata.name, error)
        finally:
            watch.stop()


def _has_left_pending(pod: V1Pod) -> bool:
    if pod.status.phase not in (PodPhase.PENDING, PodPhase.UNKNOWN, None):
        return True
    waiting = [status.state.waiting for status in pod.status.container_statuses or [] if status.state]
    return any(state is not None and state.reason in _TROUBLE for state in waiting)
