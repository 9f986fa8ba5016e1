"""Pipeline definitions of Clara Deploy 0.4 to 0.8 (docs.nvidia.com, Pipeline Definition Language).

An operator becomes a stage: `input.from` its edges, `container` its catalogue entry, `requests` its resources. Its
`command` is what Docker calls so, and Kubernetes `args`. What handed results to the DICOM adapter and to the render
server needs no stage here: the platform delivers and publishes.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePosixPath

from clara_ops.workflow.errors import Problem, WorkflowFileError
from clara_ops.workflow.importing.clara_definition import Container, Operator, Pipeline, Port
from clara_ops.workflow.importing.clara_parameters import PipelineParameters
from clara_ops.workflow.importing.imported import (
    Folders,
    Imported,
    Json,
    Notes,
    add_timeout,
    entry,
    label,
    labels,
    variables,
)
from clara_ops.workflow.resolve import TASKS_OF_THE_PRODUCT
from clara_ops.workflow.schema import build_model, nearest
from clara_ops.workflow.yaml_source import KeyPath, YamlSource

_OURS = ("dicom-reader", "dicom-writer")
_REGISTRATION = "register-results"


def is_pipeline(data: object) -> bool:
    """Whether a file looks like a pipeline definition."""
    return isinstance(data, Mapping) and "operators" in data and ("api-version" in data or "name" in data)


def import_pipeline(source: YamlSource) -> Imported:
    """A pipeline definition as a workflow of ours.

    Raises:
        WorkflowFileError: it is not sound itself: a key is missing, an operator is not there, or in another file.
    """
    notes = Notes(source)
    parameters = PipelineParameters(source.data.get("parameters"), notes)
    source = replace(source, data=parameters.fixed(source.data, ()))
    problems: list[Problem] = []
    pipeline = build_model(Pipeline, source, problems)
    if pipeline is not None:
        problems.extend(_operator_problems(pipeline, source))
    if pipeline is None or problems:
        raise WorkflowFileError(problems)
    return _Converter(pipeline, parameters, notes).convert()


def _operator_problems(pipeline: Pipeline, source: YamlSource) -> list[Problem]:
    problems = []
    names = [operator.name for operator in pipeline.operators]
    if not names:
        problems.append(source.problem(("operators",), "operators: a pipeline needs at least one"))
    for index, operator in enumerate(pipeline.operators):
        path: KeyPath = ("operators", index)
        if operator.container is None:
            words = "is in another file" if "import" in operator.others else "has no container"
            problems.append(source.problem(path, f"operator {operator.name!r} {words}; write its container out here"))
        if names.index(operator.name) < index:
            problems.append(source.problem((*path, "name"), f"a second operator {operator.name!r}; name each once"))
        for position, port in enumerate(operator.input):
            if port.source is not None and port.source not in names:
                message = f"no operator is called {port.source!r}{nearest(port.source, names)}"
                problems.append(source.problem((*path, "input", position, "from"), message))
    return problems


class _Converter:
    """One pipeline on its way. `_labels` are the names of the stages, by operator; `_dropped` are no stages here."""

    def __init__(self, pipeline: Pipeline, parameters: PipelineParameters, notes: Notes) -> None:
        self._pipeline = pipeline
        self._parameters = parameters
        self._notes = notes
        self._operators = {operator.name: operator for operator in pipeline.operators}
        self._dropped = {operator.name for operator in pipeline.operators if _is_registration(operator)}
        kept = [name for name in self._operators if name not in self._dropped]
        self._labels = dict(zip(kept, labels(kept, TASKS_OF_THE_PRODUCT), strict=True))
        self._destinations: list[str] = []
        self._delivered: set[str] = set()

    def convert(self) -> Imported:
        pipeline, stages, entries = self._pipeline, [], {}
        self._notes.unused((), dict.fromkeys(pipeline.others), ())
        for index, operator in enumerate(pipeline.operators):
            path: KeyPath = ("operators", index)
            if operator.name in self._dropped:
                self._drop(operator, path)
                continue
            self._tell_what_is_lost(operator, path)
            stage = self._labels[operator.name]
            ours = _image_name(operator) in _OURS
            if ours:
                self._notes.add((*path, "container"), f"runs here as stage {_image_name(operator)!r} of the catalogue")
            else:
                entries[stage] = self._entry(stage, operator, path)
            stages.append(self._stage(stage, operator, path, ours=ours))
        self._compare_deliveries(stages)
        workflow: Json = {
            "name": label(pipeline.name, "imported"),
            "description": pipeline.description,
            "stages": stages,
        }
        workflow["parameters"] = self._parameters.declarations
        workflow["destinations"] = self._destinations
        add_timeout(workflow, entries, self._notes)
        return Imported({key: value for key, value in workflow.items() if value}, entries, self._notes.in_order())

    def _drop(self, operator: Operator, path: KeyPath) -> None:
        """An operator that hands results on: its destinations are kept, the rest is the platform's work."""
        command = operator.container.command if operator.container is not None else ()
        words = [self._parameters.text(word, (*path, "container", "command")) for word in command]
        if "renderserver" in "".join(words).lower():
            self._notes.add(path, f"operator {operator.name!r}: the platform registers with the render server itself")
            return
        self._delivered |= self._producers(operator)
        names = _destinations(words)
        self._destinations += [name for name in names if name not in self._destinations]
        where = f"to {', '.join(names)}" if names else "to the destination that the AE title is mapped to"
        self._notes.add(path, f"operator {operator.name!r}: the platform delivers itself, {where}")

    def _producers(self, operator: Operator) -> set[str]:
        """Stages that an operator's inputs come from, past those that are dropped."""
        found: set[str] = set()
        waiting = [operator.name]
        while waiting:
            names = {port.source for port in self._operators[waiting.pop()].input if port.source is not None} - found
            found |= names
            waiting += names & self._dropped
        return {self._labels[name] for name in found - self._dropped}

    def _tell_what_is_lost(self, operator: Operator, path: KeyPath) -> None:
        self._notes.unused(path, dict.fromkeys(operator.others), ())
        for index, service in enumerate(operator.services):
            place: KeyPath = (*path, "services", index)
            if re.search("trt-?is|triton|tensorrt", service.model_dump_json(), re.IGNORECASE):
                self._notes.add(
                    place, f"service {service.name!r}: the platform's Triton serves; put the models into it"
                )
            else:
                self._notes.add(
                    place, f"service {service.name!r}: run it on the cluster, and give its address as 'env'"
                )
        for key in ("input", "output"):
            for index, port in enumerate(getattr(operator, key)):
                if port.type != "stream":
                    place = (*path, key, index, "type")
                    self._notes.add(
                        place, f"type {port.type!r}: no shared memory between stages here; they write files"
                    )
        for index, port in enumerate(operator.output[1:], start=1):
            self._notes.add(
                (*path, "output", index), f"output {port.name or port.path!r}: a stage has one output folder here"
            )

    def _entry(self, stage: str, operator: Operator, path: KeyPath) -> Json:
        container = operator.container or Container(image="")
        made = entry(stage, container.image, container.tag, self._folders(operator, path))
        wanted = operator.requests
        resources: Json = {}
        if wanted.cpu is not None:
            resources["cpu"] = str(wanted.cpu)
        if wanted.memory is not None:
            resources["memory"] = f"{wanted.memory}Mi"
        if wanted.gpu is not None:
            resources["gpu"] = wanted.gpu
        if resources:
            made["resources"] = resources
        if operator.models:
            made["models"] = [model.name for model in operator.models]
        plain = {
            name: value
            for name, value in self._variables(operator).items()
            if not self._parameters.has_reference(value)
        }
        if plain:
            made["env"] = plain
        if self._pipeline.pull_secrets:
            made["imagePullSecrets"] = [
                str(secret["name"] if isinstance(secret, dict) and "name" in secret else secret)
                for secret in self._pipeline.pull_secrets
            ]
        return made

    def _folders(self, operator: Operator, path: KeyPath) -> Folders:
        """Where the container reads and writes: the first input that another operator writes, and the first output."""
        first = next((port for port in operator.input if port.source is not None), None)
        first = first or next(iter(operator.input), Port())
        writes = next((port.path for port in operator.output if port.path), "/output")
        folders = Folders.of(first.path or "/input", writes)
        if operator.output and PurePosixPath(writes) != PurePosixPath(folders.output):
            self._notes.add((*path, "output", 0, "path"), f"written to {writes}: here the folder is {folders.output}")
        return folders

    def _stage(self, stage: str, operator: Operator, path: KeyPath, *, ours: bool) -> Json:
        after = sorted(self._producers(operator), key=list(self._labels.values()).index)
        made: Json = {"stage": _image_name(operator) if ours else stage}
        if made["stage"] != stage:
            made["name"] = stage
        made["after"] = after
        folders = self._inputs(operator, path)
        if folders != ([f"{name}/output" for name in after] or ["dicom/input"]):
            made["input"] = folders
        words = operator.container.command if operator.container is not None else ()
        if words and ours:
            self._notes.add((*path, "container", "command"), "its options: see those of the stage in the catalogue")
        elif words:
            place = (*path, "container", "command")
            made["args"] = [self._parameters.reference(word, place) for word in words]
        refer = {
            name: value for name, value in self._variables(operator).items() if self._parameters.has_reference(value)
        }
        if refer and not ours:
            made["env"] = {
                name: self._parameters.reference(value, (*path, "variables", name)) for name, value in refer.items()
            }
        return made

    def _variables(self, operator: Operator) -> dict[str, str]:
        index = self._pipeline.operators.index(operator)
        return variables(operator.variables, ("operators", index, "variables"), self._notes)

    def _inputs(self, operator: Operator, path: KeyPath) -> list[str]:
        """The folders that a stage reads; the payload is at `<appDir>/dicom` anyway."""
        own = self._folders(operator, path) if _image_name(operator) not in _OURS else None
        dicom = PurePosixPath(own.app_dir) / "dicom" if own is not None else None
        places: dict[str, tuple[int, Port]] = {}
        for index, port in enumerate(operator.input):
            is_dicom = port.source is None and (dicom is None or PurePosixPath(port.path or "") == dicom)
            if is_dicom and any(other.source for other in operator.input):
                continue
            for name in [f"{producer}/output" for producer in self._of(port)] or ["dicom/input"]:
                places.setdefault(name, (index, port))
        if len(places) > 1 and own is not None:
            for folder, (index, port) in places.items():
                place = f"{own.input}/{folder.split('/')[0]}"
                self._notes.add((*path, "input", index), f"input at {port.path}: here, with several, it is at {place}")
        return list(places) or ["dicom/input"]

    def _of(self, port: Port) -> list[str]:
        if port.source is None:
            return []
        if port.source in self._dropped:
            return sorted(self._producers(self._operators[port.source]))
        return [self._labels[port.source]]

    def _compare_deliveries(self, stages: list[Json]) -> None:
        awaited = {name for stage in stages for name in stage["after"]}
        last = {name for name in self._labels.values() if name not in awaited}
        if not self._delivered:
            return
        for name in sorted(last - self._delivered):
            self._notes.add(("operators",), f"stage {name!r}: nothing waits for it, so what it writes is delivered too")
        for name in sorted(self._delivered - last):
            self._notes.add(("operators",), f"stage {name!r}: others wait for it, so what it writes is not delivered")


def _image_name(operator: Operator) -> str:
    return PurePosixPath(operator.container.image).name if operator.container is not None else ""


def _is_registration(operator: Operator) -> bool:
    return _image_name(operator) == _REGISTRATION


def _destinations(words: list[str]) -> list[str]:
    """The names after `--data`, a JSON list."""
    if "--data" not in words[:-1]:
        return []
    try:
        names = json.loads(words[words.index("--data") + 1])
    except json.JSONDecodeError:
        return []
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
