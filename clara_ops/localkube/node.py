"""The machine's pods: places given first come, first served, workers for those that have one, and their removal."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from decimal import Decimal

from clara_ops.localkube.admission import parse
from clara_ops.localkube.errors import Json
from clara_ops.localkube.launch import Place
from clara_ops.localkube.machine import Machine
from clara_ops.localkube.model import GPU, Container, Pod
from clara_ops.localkube.scheduler import schedule
from clara_ops.localkube.status import NODE_NAME, TERMINAL, Outcome, pending_status
from clara_ops.localkube.store import Store, key_of, timestamp
from clara_ops.localkube.volumes import PodFolders
from clara_ops.localkube.worker import PodWorker, end_containers

GPU_ANNOTATION = "localkube/gpus"
SHUTDOWN = Outcome("Terminated", "Pod was terminated in response to the shutdown of localkube")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Running:
    worker: PodWorker
    task: asyncio.Task[None]
    requests: dict[str, Decimal]
    gpus: list[int]


class Node:
    """All pods of the machine."""

    def __init__(self, store: Store, machine: Machine) -> None:
        self._store = store
        self._machine = machine
        self._waiting: dict[str, Json] = {}
        self._running: dict[str, _Running] = {}
        self._removals: set[asyncio.Task[None]] = set()
        self._closed = False

    def resume(self) -> None:
        """Take up the pods that an earlier server has left, and clear away what it was about to."""
        known = {stored["metadata"]["uid"] for stored in self._store.pods.all()}
        for folders in self._store.all_pod_folders():
            if folders.uid not in known:
                self._until_removed(_end_and_remove(folders))
        for stored in sorted(self._store.pods.all(), key=lambda item: item["metadata"]["creationTimestamp"]):
            metadata = stored["metadata"]
            if stored["status"]["phase"] in TERMINAL:
                if "deletionTimestamp" in metadata:
                    self._remove(stored)
            elif "nodeName" not in stored["spec"]:
                self._waiting[metadata["uid"]] = stored
            else:
                gpus = metadata.get("annotations", {}).get(GPU_ANNOTATION, "")
                worker = self._start(stored, [int(index) for index in gpus.split(",") if index])
                if "deletionTimestamp" in metadata:
                    worker.stop(metadata["deletionGracePeriodSeconds"])
        self._schedule()

    def create(self, stored: Json) -> Json:
        """Take a new pod. Raises ApiError 409 where the name is taken."""
        created = self._store.pods.create({**stored, "status": pending_status({})})
        self._waiting[created["metadata"]["uid"]] = created
        asyncio.get_running_loop().call_soon(self._schedule)
        return created

    def delete(self, namespace: str, name: str, grace: int | None) -> Json:
        """Delete a pod; one that runs gets `grace` seconds (None: as it says itself) to end."""
        pod = self._store.pods.get(namespace, name)
        running = self._running.get(pod["metadata"]["uid"])
        if running is None:
            self._waiting.pop(pod["metadata"]["uid"], None)
            self._remove(pod)
            self._schedule()
            return pod
        grace = running.worker.pod.spec.grace if grace is None else grace
        if grace == 0:
            self._store.pods.remove(namespace, name)
        else:
            marks = {"deletionTimestamp": timestamp(time.time() + grace), "deletionGracePeriodSeconds": grace}
            pod = self._store.pods.replace({**pod, "metadata": {**pod["metadata"], **marks}})
        running.worker.stop(grace)
        return pod

    def configuration_changed(self) -> None:
        """A ConfigMap or Secret is another: who waits for one looks again."""
        for running in self._running.values():
            running.worker.retry()

    async def shut_down(self, grace: float) -> None:
        """End all pods; each gets its own grace, at most `grace` seconds. None starts any more."""
        for stored in self._waiting.values():
            current = self._store.pods.get(*key_of(stored))
            self.set_status(stored, {**current["status"], **SHUTDOWN.failure()})
        self._waiting.clear()
        self._closed = True
        for running in self._running.values():
            running.worker.stop(min(grace, running.worker.pod.spec.grace), SHUTDOWN)
        await asyncio.gather(*(running.task for running in self._running.values()), return_exceptions=True)
        await asyncio.gather(*self._removals)

    def event(self, pod: Json, kind: str, reason: str, message: str, container: Container | None = None) -> None:
        """Record an event of a pod."""
        metadata = pod["metadata"]
        now = timestamp()
        involved = {
            "kind": "Pod",
            "apiVersion": "v1",
            "namespace": metadata["namespace"],
            "name": metadata["name"],
            "uid": metadata["uid"],
            **({"fieldPath": f"spec.containers{{{container.name}}}"} if container else {}),
        }
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"namespace": metadata["namespace"], "name": f"{metadata['name']}.{time.time_ns():x}"},
            "involvedObject": involved,
            "type": kind,
            "reason": reason,
            "message": message,
            "source": {"component": NODE_NAME},
            "count": 1,
            "firstTimestamp": now,
            "lastTimestamp": now,
        }
        self._store.events.create(event)

    def _schedule(self) -> None:
        if self._closed:
            return
        uids = list(self._waiting)
        pods = [parse(Pod, self._waiting[uid]) for uid in uids]
        shortages = schedule([pod.spec.requests() for pod in pods], self._free(), self._machine.capacity)
        for uid, pod, lacking in zip(uids, pods, shortages, strict=True):
            stored = self._waiting[uid]
            missing = self._missing_claim(pod)
            if missing is not None:
                self._unschedulable(stored, f'persistentvolumeclaim "{missing}" not found')
            elif lacking:
                insufficient = ", ".join(f"1 Insufficient {resource}" for resource in lacking)
                self._unschedulable(stored, f"0/1 nodes are available: {insufficient}.")
            else:
                del self._waiting[uid]
                self._assign(stored, pod)

    def _free(self) -> dict[str, Decimal]:
        free = dict(self._machine.capacity)
        for running in self._running.values():
            for resource, amount in running.requests.items():
                free[resource] = free.get(resource, Decimal(0)) - amount
        return free

    def _missing_claim(self, pod: Pod) -> str | None:
        claims = (item.persistent_volume_claim for item in pod.spec.volumes)
        return next(
            (claim.claim_name for claim in claims if claim and claim.claim_name not in self._machine.claims), None
        )

    def _unschedulable(self, stored: Json, message: str) -> None:
        current = self._store.pods.get(*key_of(stored))
        status = pending_status(current["status"], message)
        if status != current["status"]:
            self._store.pods.replace({**current, "status": status})
            self.event(stored, "Warning", "FailedScheduling", message)

    def _assign(self, stored: Json, pod: Pod) -> None:
        current = self._store.pods.get(*key_of(stored))
        taken = {index for running in self._running.values() for index in running.gpus}
        count = int(pod.spec.requests().get(GPU, 0))
        gpus = [index for index in range(int(self._machine.capacity[GPU])) if index not in taken][:count]
        annotations = dict(current["metadata"].get("annotations", {}))
        if gpus:
            annotations[GPU_ANNOTATION] = ",".join(map(str, gpus))
        metadata = {**current["metadata"], **({"annotations": annotations} if annotations else {})}
        assigned = {**current, "metadata": metadata, "spec": {**current["spec"], "nodeName": NODE_NAME}}
        name = "/".join(key_of(stored))
        self.event(stored, "Normal", "Scheduled", f"Successfully assigned {name} to {NODE_NAME}")
        self._start(self._store.pods.replace(assigned), gpus)

    def _start(self, stored: Json, gpus: list[int]) -> PodWorker:
        pod = parse(Pod, stored)
        uid = stored["metadata"]["uid"]
        place = Place(self._store.pod_folders(stored), gpus)
        worker = PodWorker(stored, pod, place, self._machine, self._lookup_in(pod), _PodReporter(self, stored))
        task = asyncio.get_running_loop().create_task(worker.run())
        self._running[uid] = _Running(worker, task, pod.spec.requests(), gpus)
        task.add_done_callback(lambda ended: self._finish(stored, ended))
        return worker

    def _finish(self, stored: Json, task: asyncio.Task[None]) -> None:
        if task.cancelled():  # The server ends and leaves its pods running.
            return
        del self._running[stored["metadata"]["uid"]]
        current = self._current(stored)
        error = task.exception()
        if current is None or "deletionTimestamp" in current["metadata"]:
            self._remove(stored)
        elif error is not None:
            _log.error("pod %s: given up, localkube has a defect", "/".join(key_of(stored)), exc_info=error)
            self.set_status(stored, {**current["status"], **Outcome("LocalkubeError", repr(error)).failure()})
        self._schedule()

    def _remove(self, stored: Json) -> None:
        if self._current(stored) is not None:
            self._store.pods.remove(*key_of(stored))
        self._until_removed(asyncio.to_thread(self._store.pod_folders(stored).remove))

    def _until_removed(self, steps: Coroutine[object, object, None]) -> None:
        removal = asyncio.get_running_loop().create_task(steps)
        self._removals.add(removal)
        removal.add_done_callback(self._removals.discard)

    def _current(self, stored: Json) -> Json | None:
        current = self._store.pods.find(*key_of(stored))
        return current if current and current["metadata"]["uid"] == stored["metadata"]["uid"] else None

    def set_status(self, stored: Json, status: Json) -> None:
        """Store a pod's new status, unless it has been deleted."""
        current = self._current(stored)
        if current is not None:
            self._store.pods.replace({**current, "status": status})

    def _lookup_in(self, pod: Pod) -> Callable[[str, str], Json | None]:
        namespace = pod.metadata.namespace
        collections = {"configmaps": self._store.config_maps, "secrets": self._store.secrets}
        return lambda plural, name: collections[plural].find(namespace, name)


async def _end_and_remove(folders: PodFolders) -> None:
    await end_containers(folders)
    await asyncio.to_thread(folders.remove)


@dataclass(frozen=True)
class _PodReporter:
    node: Node
    stored: Json

    def status(self, status: Json) -> None:
        self.node.set_status(self.stored, status)

    def event(self, kind: str, reason: str, message: str, container: Container | None = None) -> None:
        self.node.event(self.stored, kind, reason, message, container)
