"""What an import gives: a workflow in the extended form, the catalogue entries of its images, and what got lost."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from clara_ops.contract import environment
from clara_ops.workflow.catalogue import WorkflowTimeout
from clara_ops.workflow.errors import Problem
from clara_ops.workflow.yaml_source import KeyPath, YamlSource

Json = dict[str, Any]

STAGE_SECONDS = 600
OWN_VARIABLES = frozenset(value for name, value in vars(environment).items() if name.isupper())
_NOT_IN_A_LABEL = re.compile(r"[^a-z0-9]+")
_FOLDER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Imported:
    """A workflow out of another platform's file.

    Attributes:
        workflow: in the extended form, without `id`.
        stages: catalogue entries, by stage.
        notes: what has no counterpart here, or a different one, each with its place in the source.
    """

    workflow: Json
    stages: Mapping[str, Json]
    notes: tuple[Problem, ...]


@dataclass
class Notes:
    """Collects what has no counterpart, with its places."""

    source: YamlSource
    found: list[Problem] = field(default_factory=list)

    def add(self, path: KeyPath, message: str, *, at_key: bool = False) -> None:
        """Something that is not as it was."""
        self.found.append(self.source.problem(path, message, at_key=at_key))

    def in_order(self) -> tuple[Problem, ...]:
        """All of it once, in the order of the lines."""
        return tuple(sorted(set(self.found)))

    def unused(self, path: KeyPath, data: Mapping[str, Any], known: Iterable[str]) -> None:
        """Keys that are not read at all."""
        for key in sorted(set(data) - set(known)):
            self.add((*path, key), f"{key}: has no counterpart here", at_key=True)


@dataclass(frozen=True)
class Folders:
    """Where a container reads and writes here: `inputs` and `outputs` in `app_dir`."""

    app_dir: str = "/app"
    inputs: str = "input"
    outputs: str = "output"

    @classmethod
    def of(cls, reads: str, writes: str) -> "Folders":
        """As it was, as far as one folder holds both; what is read comes first."""
        source, target = PurePosixPath(reads), PurePosixPath(writes)
        if not source.is_absolute() or ".." in source.parts or _FOLDER.fullmatch(source.name) is None:
            return cls()
        if source.parent == target.parent and source.name != target.name and _FOLDER.fullmatch(target.name):
            return cls(str(source.parent), source.name, target.name)
        return cls(str(source.parent), source.name, "output" if source.name != "output" else "results")

    @property
    def input(self) -> str:
        """The folder that is read."""
        return str(PurePosixPath(self.app_dir) / self.inputs)

    @property
    def output(self) -> str:
        """The folder that is written."""
        return str(PurePosixPath(self.app_dir) / self.outputs)


def label(name: str, otherwise: str) -> str:
    """A name as Kubernetes takes it."""
    return _NOT_IN_A_LABEL.sub("-", name.lower()).strip("-")[:63].rstrip("-") or otherwise


def labels(names: Iterable[str], taken: Iterable[str]) -> list[str]:
    """Names as Kubernetes takes them, all different, and different from those that are taken."""
    used = set(taken)
    made = []
    for name in names:
        first = candidate = label(name, "stage")
        number = 2
        while candidate in used:
            candidate = f"{first[:58]}-{number}"
            number += 1
        used.add(candidate)
        made.append(candidate)
    return made


def entry(stage: str, image: str, tag: str, folders: Folders | None = None, seconds: int = STAGE_SECONDS) -> Json:
    """A catalogue entry for a container that knows nothing of us."""
    folders = folders or Folders()
    logs = PurePosixPath("/app/logs") if folders.app_dir == "/" else PurePosixPath(folders.app_dir) / "logs"
    named = {"inputs": folders.inputs} if folders.inputs != "input" else {}
    named |= {"outputs": folders.outputs} if folders.outputs != "output" else {}
    return {
        "image": {"repository": image, "tag": tag},
        "stageName": stage,
        "appDir": folders.app_dir,
        **named,
        "logName": str(logs / f"{stage}.log"),
        "lockName": f"{stage}.lock",
        "timeout": str(seconds),
        "driver": False,
    }


def add_timeout(workflow: Json, entries: Mapping[str, Json], notes: Notes) -> None:
    """Let a run take what its stages may take together, as far as a workflow may: there it had no limit."""
    limits = WorkflowTimeout()
    total = sum(int(entries.get(stage["stage"], {"timeout": STAGE_SECONDS})["timeout"]) for stage in workflow["stages"])
    if total > limits.default:
        workflow["timeout"] = min(total, limits.maximum)
    if total > limits.maximum:
        words = f"its stages may take {total} s together, but a run {limits.maximum} s"
        notes.add((), f"{words}: raise its 'timeout', and 'workflowTimeout' of the catalogue, if that is too short")


def split_image(reference: str) -> tuple[str, str]:
    """Repository and tag of an image; `latest` where it names none."""
    repository, colon, tag = reference.rpartition(":")
    return (repository, tag) if colon and "/" not in tag and repository else (reference, "latest")


def variables(given: Mapping[str, Any], path: KeyPath, notes: Notes) -> dict[str, str]:
    """Environment variables as text; those that the platform sets itself are left to it."""
    kept = {}
    for name, value in given.items():
        if name in OWN_VARIABLES:
            notes.add((*path, name), f"{name}: the platform sets it itself", at_key=True)
        elif _VARIABLE.fullmatch(name) is None or isinstance(value, (dict, list)):
            notes.add((*path, name), f"{name}: is no environment variable of plain text", at_key=True)
        else:
            kept[name] = "" if value is None else str(value)
    return kept
