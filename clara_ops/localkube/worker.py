"""The life of one pod that has its place: volumes, init containers, containers, and its end."""

import asyncio
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Protocol

from clara_ops.contract import environment as names
from clara_ops.localkube import process
from clara_ops.localkube.configuration import Lookup, NotReady
from clara_ops.localkube.errors import Json
from clara_ops.localkube.launch import Place, prepare_launch
from clara_ops.localkube.logs import LogQuery, read_log
from clara_ops.localkube.machine import Machine
from clara_ops.localkube.model import Container, Pod
from clara_ops.localkube.process import Exit, Launch, Process
from clara_ops.localkube.sandbox import START_ERROR
from clara_ops.localkube.status import LOST, Outcome, first_states, pod_status, running, states_in, terminated, waiting
from clara_ops.localkube.volumes import FAILED_MOUNT, PodFolders, prepare_volume

DEADLINE = Outcome("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")

_MESSAGE_BYTES = 4096
_FALLBACK_LINES, _FALLBACK_BYTES = 80, 2048


class Reporter(Protocol):
    """Where a worker tells what happens to its pod."""

    def status(self, status: Json) -> None:
        """The pod has another status."""

    def event(self, kind: str, reason: str, message: str, container: Container | None = None) -> None:
        """Something happened; `kind` is Normal or Warning."""


class PodWorker:
    """Runs one pod. After a restart of the server it goes on where the pod's status and its processes are."""

    def __init__(
        self, stored: Json, pod: Pod, place: Place, machine: Machine, lookup: Lookup, reporter: Reporter
    ) -> None:
        self.stored = stored
        self.pod = pod
        self._place = place
        self._machine = machine
        self._lookup = lookup
        self._reporter = reporter
        self._status: Json = stored.get("status", {})
        self._states = first_states(pod.spec) | states_in(self._status)
        self._processes: dict[str, Process] = {}
        self._outcome: Outcome | None = None
        self._stopping = False
        self._killed = False
        self._wake = asyncio.Event()
        self._sources: Mapping[str, Path] | None = None
        self._told: set[str] = set()

    async def run(self) -> None:
        """Run the pod to its end, and report the last status. Volumes go with it; logs stay until it is deleted."""
        self._report()
        deadline = self._start_deadline()
        if await self._run_init_containers():
            await asyncio.gather(*(self._run_container(container) for container in self.pod.spec.containers))
        if deadline is not None:
            deadline.cancel()
        self._report(ended=True)
        await asyncio.to_thread(self._place.folders.remove_volumes)

    def stop(self, grace: float, outcome: Outcome | None = None) -> None:
        """End the pod: SIGTERM now, SIGKILL after `grace` seconds; a shorter grace may follow a longer one."""
        self._outcome = self._outcome or outcome
        self._stopping = True
        self._wake.set()
        for container in (*self.pod.spec.init_containers, *self.pod.spec.containers):
            if container.name in self._processes:
                self._processes[container.name].terminate()
                self._reporter.event("Normal", "Killing", f"Stopping container {container.name}", container)
        asyncio.get_running_loop().call_later(grace, self._kill)

    def retry(self) -> None:
        """Something that a container may be waiting for has changed."""
        self._wake.set()

    def _kill(self) -> None:
        self._killed = True
        for running_process in self._processes.values():
            running_process.kill()

    def _start_deadline(self) -> asyncio.TimerHandle | None:
        seconds = self.pod.spec.active_deadline_seconds
        if seconds is None:
            return None
        since = self.stored.get("status", {}).get("startTime")
        left = seconds if since is None else datetime.fromisoformat(since).timestamp() + seconds - time.time()
        loop = asyncio.get_running_loop()
        return loop.call_later(max(left, 0), self._exceed_deadline)

    def _exceed_deadline(self) -> None:
        self._reporter.event("Normal", DEADLINE.reason, DEADLINE.message)
        self.stop(self.pod.spec.grace, DEADLINE)

    async def _run_init_containers(self) -> bool:
        for container in self.pod.spec.init_containers:
            if not await self._run_container(container):
                return False
        return True

    async def _run_container(self, container: Container) -> bool:
        """Run one container to its end. Whether it ended with exit code 0."""
        folder = self._place.folders.container(container.name)
        found = process.find(folder)
        if found is None and "waiting" in self._states[container.name]:
            try:
                found = await self._start(container)
            except OSError as error:
                found = Exit(START_ERROR, "StartError", str(error), 0, time.time())
            if found is None:
                return False
        if isinstance(found, Process):
            self._processes[container.name] = found
            if self._stopping:
                found.terminate()
            if self._killed:
                found.kill()
            found = await found.wait()
            del self._processes[container.name]
        end = found or Exit(LOST, "ContainerStatusUnknown", "The container's parent process is gone", 0, time.time())
        self._set(container, terminated(end, self._termination_message(container, end)))
        return end.exit_code == 0

    async def _start(self, container: Container) -> Process | None:
        launch = await self._until_ready(container)
        if launch is None:
            return None
        self._warn(container)
        started, runs = await process.start(launch)
        if runs:
            self._set(container, running(time.time()))
            self._reporter.event("Normal", "Started", f"Started container {container.name}", container)
        else:
            self._reporter.event("Warning", "Failed", f"Error: container {container.name} did not start", container)
        return started

    def _warn(self, container: Container) -> None:
        if self._machine.images.find(container.image) is None:
            text = f'"{container.image}" is not in the image map; its command runs in the stages\' environment'
            self._reporter.event("Warning", "UnknownImage", text, container)
        if not self._machine.isolated and container.volume_mounts:
            text = f"this machine gives no mount namespace: {names.APP_DIR} leads to links instead of mounts"
            self._reporter.event("Warning", "MountsNotIsolated", text, container)

    async def _until_ready(self, container: Container) -> Launch | None:
        """What starts a container, tried again whenever configuration changes; None when the pod is stopped before."""
        while not self._stopping:
            try:
                return self._prepare(container)
            except NotReady as problem:
                self._tell(container, problem)
            self._wake.clear()
            await self._wake.wait()
        return None

    def _prepare(self, container: Container) -> Launch:
        claims, folders = self._machine.claims, self._place.folders
        if self._sources is None:
            self._sources = {
                volume.name: prepare_volume(volume, folders, claims, self._lookup) for volume in self.pod.spec.volumes
            }
        stored = {**self.stored, "status": self._status}
        return prepare_launch(container, stored, self.pod, self._place, self._machine, self._sources, self._lookup)

    def _tell(self, container: Container, problem: NotReady) -> None:
        """Report once why a container waits; a volume that is not ready concerns the whole pod."""
        if problem.reason == FAILED_MOUNT:
            reason, text, concerned = problem.reason, problem.message, None
        else:
            self._set(container, waiting(problem.reason, problem.message))
            reason, text, concerned = "Failed", f"Error: {problem.reason}: {problem.message}", container
        if text not in self._told:
            self._told.add(text)
            self._reporter.event("Warning", reason, text, concerned)

    def _termination_message(self, container: Container, end: Exit) -> str:
        folder = self._place.folders.container(container.name)
        path = folder / "termination-log"
        text = path.read_bytes()[:_MESSAGE_BYTES] if path.exists() else b""
        if not text and end.exit_code != 0 and container.termination_message_policy == "FallbackToLogsOnError":
            text = read_log(folder / "log", LogQuery(tail=_FALLBACK_LINES))[-_FALLBACK_BYTES:]
        return text.decode(errors="replace")

    def _set(self, container: Container, state: Json) -> None:
        if self._states[container.name] != state:
            self._states[container.name] = state
            self._report()

    def _report(self, ended: bool = False) -> None:
        uid = self.stored["metadata"]["uid"]
        outcome = self._outcome if ended else None
        self._status = pod_status(self.pod.spec, uid, self._states, self._status, outcome)
        self._reporter.status(self._status)


async def end_containers(folders: PodFolders) -> None:
    """Kill what still runs of a pod that is not known any more, and wait until it has written its last record."""
    found = [process.find(folder) for folder in (folders.path / "containers").glob("*")]
    running = [item for item in found if isinstance(item, Process)]
    for item in running:
        item.kill()
    for item in running:
        await item.wait()
