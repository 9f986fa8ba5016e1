"""The log of a stage that waits in the triggerer: nothing twice, nothing lost."""

import asyncio
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from kubernetes.client import V1ObjectMeta, V1Pod

from clara_ops.dag.pod_watch import WatchingPodManager
from clara_ops.dag.stage_trigger import LogPassingPodManager, StageTrigger

POD = V1Pod(metadata=V1ObjectMeta(name="work", namespace="clara"))


class Log:
    """A container's log, as the API gives it: whole seconds back, each line with its time."""

    def __init__(self, started: datetime, lines: int) -> None:
        self.lines = [(started + timedelta(milliseconds=100 * number), f"line {number}") for number in range(lines)]

    async def read_logs(self, since_seconds: int | None, **_: Any) -> list[str]:
        """As the provider's hook does."""
        return self.since(since_seconds)

    def since(self, seconds: int | None) -> list[str]:
        now = datetime.now(UTC)
        first = now - timedelta(seconds=seconds) if seconds is not None else self.lines[0][0]
        return [f"{time.isoformat()} {text}" for time, text in self.lines if first <= time <= now]


def test_each_line_is_passed_on_once_by_the_triggerer_and_then_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    log, passed = Log(datetime.now(UTC) - timedelta(seconds=2), 40), []
    monkeypatch.setattr(LogPassingPodManager, "log", SimpleNamespace(info=passed.append))
    manager = LogPassingPodManager(async_hook=log)

    async def poll() -> datetime:
        until = await manager.fetch_container_logs_before_current_sec(POD, "base")
        for _ in range(3):
            await asyncio.sleep(0.4)
            until = await manager.fetch_container_logs_before_current_sec(POD, "base", until)
        return until

    until = asyncio.run(poll())
    assert passed, "what is over was passed on while the container ran"
    worker = WatchingPodManager(kube_client=None)
    worker.log_since = until
    monkeypatch.setattr(
        "airflow.providers.cncf.kubernetes.utils.pod_manager.PodManager.read_pod_logs",
        lambda _, **__: [f"{time.isoformat()} {text}".encode() for time, text in log.lines] + [b""],
    )
    passed += [line.decode().split(" ", 1)[1] for line in worker.read_pod_logs(pod=POD, container_name="base") if line]
    assert passed == [text for _, text in log.lines]


def test_the_triggerer_can_build_it_again() -> None:
    trigger = StageTrigger(
        pod_name="work", pod_namespace="clara", trigger_start_time=datetime.now(UTC), base_container_name="base"
    )
    path, arguments = trigger.serialize()
    assert path == "clara_ops.dag.stage_trigger.StageTrigger"
    assert StageTrigger(**arguments).serialize() == (path, arguments)
