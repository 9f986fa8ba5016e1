"""The workflows of these tests: each is a shell script or two, in pods that the product makes.

Scripts keep their notes in /app/logs, which a next try leaves alone.
"""

import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

Spec = dict[str, Any]

_NO_IMAGE = {"repository": "nowhere/nothing", "tag": "1"}
MEMORY = {"memory": "96Mi", "memory-retry": "400Mi"}
NO_LIVER = '{"version": 1, "reason": "no liver", "facts": {}}'
ODD = '{"version": 1, "facts": {"kind": "odd"}}'

# it holds on to the memory: localkube looks every tenth of a second, where a cgroup would be at once
_HUNGRY = "exec python3 -c 'import time; x = bytearray(200 << 20); x[::4096] = bytes(200 << 8); time.sleep(1)'"
_COUNTED = 'echo "$(date +%s.%N) $CLARA_RUN_ID" >> /app/logs/starts; '
_ONCE_IS_ENOUGH = "test $(wc -l < /app/logs/starts) = 1 || exit 0; sleep 110"
_HELD = "until [ -e /app/logs/stop ]; do sleep 0.2; done"
_HOLDS_THE_GPU = "date +%s.%N > /app/logs/begin; sleep 4; date +%s.%N > /app/logs/end"
_SEES_ITS_OUTPUT = "ls /app/output | wc -l >> /app/logs/seen; touch /app/output/mine; "
_TALKS = (
    'line=0; until [ -e /app/logs/stop ]; do line=$((line + 1)); echo "line $line."; sleep 1; done; '
    "echo $line > /app/logs/lines"
)


def workflow_id(name: str) -> str:
    """The id of the workflow of that name."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, name))


def _one(script: str, **changes: Any) -> list[Spec]:
    return [_step("work", script, **changes)]


def _step(name: str, script: str, stage: str = "probe", **changes: Any) -> Spec:
    return {"stage": stage, "name": name, "args": [script], **changes}


_STAGES: Mapping[str, Sequence[Spec]] = {
    "gpu": _one(_HOLDS_THE_GPU, stage="gpu-probe"),
    "gpu-held": _one(_COUNTED + _HELD, stage="gpu-probe"),
    "gpu-lower": _one(_HOLDS_THE_GPU, stage="gpu-probe"),
    "gpu-immediate": _one(_HOLDS_THE_GPU, stage="gpu-probe"),
    "oom-retry": _one(_HUNGRY, resources=MEMORY),
    "oom-out": _one(_HUNGRY, resources={"memory": "96Mi"}),
    "no-image": _one("true", stage="no-image"),
    "deadline": _one("sleep 60", stage="hasty"),
    "lost": _one(_COUNTED + _ONCE_IS_ENOUGH),
    "held": _one(_COUNTED + _HELD),
    "cancel": _one(_COUNTED + "sleep 110"),
    "refused": _one("echo 'not a CT' >&2; exit 65"),
    "broken": _one("echo 'lost my way' >&2; exit 3", stage="twice"),
    "nothing": [
        _step("work", f"echo '{NO_LIVER}' > /app/output/result.json; exit 99"),
        _step("after", "touch /app/logs/after"),
    ],
    "mute": _one("exit 99", stage="twice"),
    "fan": [
        _step("look", f"echo '{ODD}' > /app/output/result.json"),
        _step("even", "exit 1", after="look", when={"attribute": "look.kind", "op": "eq", "value": "even"}),
        _step("odd", "echo odd > /app/output/found", after="look"),
        _step("join", "cat /app/input/odd/found > /app/output/joined; ls /app/input/even", after=["even", "odd"]),
    ],
    "foreign": _one(_SEES_ITS_OUTPUT + "test $(wc -l < /app/logs/seen) = 2", stage="foreign"),
    "long": _one(_COUNTED + _TALKS, stage="deferred"),
    "long-lost": _one(_COUNTED + _ONCE_IS_ENOUGH, stage="deferred"),
    "long-cancel": _one(_COUNTED + "sleep 110", stage="deferred"),
    "long-oom": _one(_HUNGRY, stage="deferred", resources=MEMORY),
    "long-refused": _one("echo 'not a CT' >&2; exit 65", stage="deferred"),
    "long-deadline": _one("sleep 60", stage="deferred-hasty"),
    "long-no-image": _one("true", stage="deferred-no-image"),
    "long-nothing": _one(f"echo '{NO_LIVER}' > /app/output/result.json; exit 99", stage="deferred"),
}


def write_workflows(folder: Path) -> Path:
    """Write a file for each workflow, and the catalogue; the catalogue's path."""
    folder.mkdir()
    for name, stages in _STAGES.items():
        priority = name.removeprefix("gpu-") if name in ("gpu-lower", "gpu-immediate") else "normal"
        spec = {"id": workflow_id(name), "name": name, "priority": priority, "stages": list(stages)}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))
    catalogue = folder.parent / "catalogue.yaml"
    catalogue.write_text(yaml.safe_dump({"stages": _catalogue()}, sort_keys=False))
    return catalogue


def folders_of(name: str) -> tuple[str, ...]:
    """The folders of a payload of that workflow."""
    steps = [str(step["name"]) for step in _STAGES[name]]
    return (
        "dicom/input",
        "locks",
        "logs",
        *(f"{step}/output" for step in steps),
        *(f"publish/{step}" for step in steps),
    )


def _catalogue() -> Spec:
    return {
        "probe": _entry("probe"),
        "gpu-probe": _entry("gpu-probe", resources={"cpu": "50m", "memory": "64Mi", "gpu": 1}),
        "twice": _entry("twice", retries=1),
        "hasty": _entry("hasty", timeout="3", retries=1),
        "no-image": _entry("no-image", image=_NO_IMAGE, command=None),
        "foreign": _entry("foreign", driver=False),
        "deferred": _entry("deferred", deferrable=True),
        "deferred-hasty": _entry("deferred-hasty", deferrable=True, timeout="3", retries=1),
        "deferred-no-image": _entry("deferred-no-image", deferrable=True, image=_NO_IMAGE, command=None),
    }


def _entry(name: str, **changes: Any) -> Spec:
    entry: Spec = {
        "image": {"repository": "clara-stages", "tag": "0.1.0"},
        "stageName": name,
        "logName": f"/app/logs/{name}.log",
        "lockName": f"{name}.lock",
        "timeout": "120",
        "command": ["sh", "-c"],
        "resources": {"cpu": "50m", "memory": "64Mi"},
    }
    return {**entry, **changes}
