"""A pod's `status` from the states of its containers, as the kubelet makes it."""

from collections.abc import Mapping
from dataclasses import dataclass

from clara_ops.localkube.errors import Json
from clara_ops.localkube.model import Container, PodSpec
from clara_ops.localkube.process import Exit
from clara_ops.localkube.store import timestamp

NODE_NAME = "localkube"
NODE_ADDRESS = "127.0.0.1"
TERMINAL = ("Succeeded", "Failed")
LOST = 137


@dataclass(frozen=True)
class Outcome:
    """Why the whole pod has failed, where no container says it."""

    reason: str
    message: str

    def failure(self) -> Json:
        """What of a status says it."""
        return {"phase": "Failed", "reason": self.reason, "message": self.message}


def waiting(reason: str, message: str = "") -> Json:
    """State of a container that does not run yet."""
    return {"waiting": {"reason": reason, **({"message": message} if message else {})}}


def running(started: float) -> Json:
    """State of a container that runs."""
    return {"running": {"startedAt": timestamp(started)}}


def terminated(end: Exit, message: str) -> Json:
    """State of a container that has ended; `message` is its termination message."""
    text = end.message or message
    return {
        "terminated": {
            "exitCode": end.exit_code,
            "reason": end.reason,
            "startedAt": timestamp(end.started),
            "finishedAt": timestamp(end.finished),
            **({"message": text} if text else {}),
        }
    }


def phase_of(spec: PodSpec, states: Mapping[str, Json]) -> str:
    """The phase of a pod whose containers are not restarted."""
    for container in spec.init_containers:
        end = states[container.name].get("terminated")
        if end is None:
            return "Pending"
        if end["exitCode"] != 0:
            return "Failed"
    main = [states[container.name] for container in spec.containers]
    if any("waiting" in state for state in main):
        return "Pending"
    if any("running" in state for state in main):
        return "Running"
    return "Succeeded" if all(state["terminated"]["exitCode"] == 0 for state in main) else "Failed"


def first_states(spec: PodSpec) -> dict[str, Json]:
    """The states before anything has run."""
    reason = "PodInitializing" if spec.init_containers else "ContainerCreating"
    return {container.name: waiting(reason) for container in (*spec.init_containers, *spec.containers)}


def states_in(status: Json) -> dict[str, Json]:
    """The states that a stored status holds."""
    listed = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
    return {entry["name"]: entry["state"] for entry in listed}


def pending_status(before: Json, unschedulable: str = "") -> Json:
    """The status of a pod that has no place yet."""
    if not unschedulable:
        return {"phase": "Pending"}
    return {
        "phase": "Pending",
        "conditions": [_condition("PodScheduled", False, "Unschedulable", unschedulable, before)],
    }


def pod_status(spec: PodSpec, uid: str, states: Mapping[str, Json], before: Json, outcome: Outcome | None) -> Json:
    """The status of a pod that has a place. `outcome` is given once all containers have ended."""
    phase = "Failed" if outcome is not None else phase_of(spec, states)
    initialized = all(states[item.name].get("terminated", {}).get("exitCode") == 0 for item in spec.init_containers)
    ready = phase == "Running" and all("running" in states[item.name] for item in spec.containers)
    not_ready = {"Succeeded": "PodCompleted", "Failed": "PodFailed"}.get(phase, "ContainersNotReady")
    conditions = [
        _condition("Initialized", initialized, "ContainersNotInitialized", "", before),
        _condition("Ready", ready, not_ready, "", before),
        _condition("ContainersReady", ready, not_ready, "", before),
        _condition("PodScheduled", True, "", "", before),
    ]
    status = {
        "phase": phase,
        **(outcome.failure() if outcome is not None else {}),
        "conditions": conditions,
        "hostIP": NODE_ADDRESS,
        "podIP": NODE_ADDRESS,
        "podIPs": [{"ip": NODE_ADDRESS}],
        "startTime": before.get("startTime") or timestamp(),
        "containerStatuses": [_container_status(item, uid, states[item.name]) for item in spec.containers],
    }
    if spec.init_containers:
        status["initContainerStatuses"] = [
            _container_status(item, uid, states[item.name]) for item in spec.init_containers
        ]
    return status


def _container_status(container: Container, uid: str, state: Json) -> Json:
    started = "waiting" not in state
    return {
        "name": container.name,
        "image": container.image,
        "imageID": f"localkube://{container.image}" if started else "",
        **({"containerID": f"localkube://{uid}/{container.name}"} if started else {}),
        "ready": "running" in state,
        "started": "running" in state,
        "restartCount": 0,
        "state": state,
        "lastState": {},
    }


def _condition(kind: str, holds: bool, reason: str, message: str, before: Json) -> Json:
    value = "True" if holds else "False"
    old = next((item for item in before.get("conditions", []) if item["type"] == kind), None)
    since = old["lastTransitionTime"] if old is not None and old["status"] == value else timestamp()
    explained = {} if holds else {"reason": reason, **({"message": message} if message else {})}
    return {"type": kind, "status": value, "lastProbeTime": None, "lastTransitionTime": since, **explained}
