"""The parts of a clinical workflow of MONAI Deploy that are read (its workflow manager's mwm-workflow-spec.md).

Keys are taken in any spelling (`Name`, `ae-title`), as its own examples have them.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from clara_ops.workflow.importing.source_model import Anything, ListOf, SourceModel, Text, Texts
from clara_ops.workflow.yaml_source import KeyPath, YamlSource

_AS_THEY_ARE = "args"


class MonaiModel(SourceModel):
    """A part of a clinical workflow."""

    model_config = ConfigDict(alias_generator=lambda name: name)


class Gateway(MonaiModel):
    """Where input comes from, and where results may go."""

    ae_title: Text = ""
    data_origins: Annotated[tuple[Any, ...], ListOf] = ()
    export_destinations: Annotated[tuple[Any, ...], ListOf] = ()


class Destination(MonaiModel):
    """A task, or a place outside, that comes next where all conditions hold."""

    name: Text
    conditions: Texts = ()


class Artifact(MonaiModel):
    """Something that a task reads or writes."""

    name: Text = ""
    value: Text = ""


class Artifacts(MonaiModel):
    """All that a task reads and writes."""

    input: Annotated[tuple[Artifact, ...], ListOf] = ()
    output: Annotated[tuple[Artifact, ...], ListOf] = ()


class Task(MonaiModel):
    """One task."""

    id: Text
    type: Text
    description: Text = ""
    args: Anything = Field(default_factory=dict)
    artifacts: Artifacts = Artifacts()
    task_destinations: Annotated[tuple[Destination, ...], ListOf] = ()
    export_destinations: Annotated[tuple[Destination, ...], ListOf] = ()
    timeout_minutes: float | None = None


class ClinicalWorkflow(MonaiModel):
    """A whole workflow; the first task is where it starts."""

    name: Text
    version: Text = ""
    description: Text = ""
    informatics_gateway: Gateway = Gateway()
    predicate: Texts = ()
    tasks: Annotated[tuple[Task, ...], ListOf]


def is_clinical_workflow(data: object) -> bool:
    """Whether a file looks like a clinical workflow, alone or within a revision of it."""
    if not isinstance(data, Mapping):
        return False
    keys = {_plain(key) for key in data}
    inner = data.get("workflow", data.get("Workflow"))
    return {"tasks", "informatics_gateway"} <= keys or (inner is not data and is_clinical_workflow(inner))


def clinical_workflow(source: YamlSource) -> YamlSource:
    """The workflow of a file with its keys in one spelling."""
    place: KeyPath = ()
    while "tasks" not in {_plain(key) for key in source.part(place).data}:
        place = (*place, next(key for key in source.part(place).data if _plain(key) == "workflow"))
    part = source.part(place)
    values = {_plain_path(path): mark for path, mark in source.values.items() if path[: len(place)] == place}
    keys = {_plain_path(path): mark for path, mark in source.keys.items() if path[: len(place)] == place}
    return replace(part, data=_in_one_spelling(part.data), values=values, keys=keys, base=_plain_path(place))


def _plain(key: object) -> str:
    return str(key).lower().replace("-", "_")


def _plain_path(path: KeyPath) -> KeyPath:
    steps: list[str | int] = []
    for step in path:
        kept = isinstance(step, int) or _AS_THEY_ARE in steps
        steps.append(step if kept else _plain(step))
    return tuple(steps)


def _in_one_spelling(data: Any) -> Any:
    if isinstance(data, list):
        return [_in_one_spelling(item) for item in data]
    if not isinstance(data, dict):
        return data
    return {
        _plain(key): value if _plain(key) == _AS_THEY_ARE else _in_one_spelling(value) for key, value in data.items()
    }
