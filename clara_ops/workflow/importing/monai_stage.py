"""One task of a clinical workflow as a catalogue entry, and the words that its container is started with."""

from collections.abc import Sequence
from pathlib import PurePosixPath

from clara_ops.workflow.importing.imported import (
    STAGE_SECONDS,
    Folders,
    Json,
    Notes,
    entry,
    label,
    split_image,
    variables,
)
from clara_ops.workflow.importing.monai_definition import Artifact, Task
from clara_ops.workflow.yaml_source import KeyPath

_FOLDERS_OF_A_PACKAGE = frozenset(
    {
        *("MONAI_INPUTPATH", "MONAI_OUTPUTPATH", "MONAI_WORKDIR"),
        *("HOLOSCAN_INPUT_PATH", "HOLOSCAN_OUTPUT_PATH", "HOLOSCAN_WORKDIR"),
    }
)
_ENV = "env_"
_OF_DOCKER = frozenset({"container_image", "entrypoint", "command", "task_timeout_minutes"})
_OF_ARGO = frozenset({"workflow_template_name", "cpu", "memory_gb", "gpu_required"})
_OF_NO_USE = frozenset({"server_url", "temp_storage_container_path", "namespace", "allow_insecure", "always_pull"})


def stage_of_task(stage: str, task: Task, path: KeyPath, notes: Notes) -> tuple[Json, list[str]]:
    """Catalogue entry and `args` of a task that runs a container."""
    place: KeyPath = (*path, "args")
    match task.type.lower():
        case "docker":
            made, words = _docker(stage, task, place, notes)
        case "argo":
            made, words = _argo(stage, task, place, notes), []
        case _:
            reference = str(task.args.get("map_id", stage))
            notes.add(place, f"map_id {reference!r}: names no image; put the package's image into the entry {stage!r}")
            made, words = _package(stage, reference, task), []
            notes.unused(place, task.args, {"map_id", *_OF_NO_USE})
    return made, words


def _seconds(task: Task, notes: Notes, place: KeyPath) -> int:
    given = task.args.get("task_timeout_minutes", task.timeout_minutes)
    try:
        return max(1, round(float(given) * 60)) if given is not None else STAGE_SECONDS
    except (TypeError, ValueError, OverflowError):
        notes.add(place, f"task_timeout_minutes {given!r} is no number; it is {STAGE_SECONDS} s here")
        return STAGE_SECONDS


def _package(stage: str, reference: str, task: Task) -> Json:
    repository, tag = split_image(reference)
    seconds = STAGE_SECONDS if task.timeout_minutes is None else max(1, round(task.timeout_minutes * 60))
    made = entry(stage, repository, tag, seconds=seconds)
    del made["driver"]
    return {**made, "map": True}


def _docker(stage: str, task: Task, place: KeyPath, notes: Notes) -> tuple[Json, list[str]]:
    arguments = task.args
    if "container_image" not in arguments:
        notes.add(place, f"container_image is missing; put the image into the entry {stage!r}")
    repository, tag = split_image(str(arguments.get("container_image", stage)))
    reads, writes = (_path(task, artifacts) for artifacts in (task.artifacts.input, task.artifacts.output))
    folders = Folders.of(reads or "/app/input", writes or "/app/output")
    made = entry(stage, repository, tag, folders, _seconds(task, notes, place))
    given = {key.removeprefix(_ENV): value for key, value in arguments.items() if key.startswith(_ENV)}
    is_package = bool(_FOLDERS_OF_A_PACKAGE & set(given))
    if is_package:
        made = entry(stage, repository, tag, seconds=int(made["timeout"]))
        del made["driver"]
        made["map"] = True
    elif reads != folders.input or (writes or folders.output) != folders.output:
        notes.add(place, f"it reads {folders.input} and writes {folders.output} here")
    if entrypoint := _words(arguments.get("entrypoint")):
        made["command"] = entrypoint
    kept = {name: value for name, value in given.items() if name not in _FOLDERS_OF_A_PACKAGE}
    if env := variables(kept, place, notes):
        made["env"] = env
    artifacts = {item.name for item in (*task.artifacts.input, *task.artifacts.output)}
    named = {*_OF_DOCKER, *_OF_NO_USE, *artifacts, *(key for key in arguments if key.startswith(_ENV))}
    notes.unused(place, arguments, named)
    return made, _words(arguments.get("command"))


def _path(task: Task, artifacts: Sequence[Artifact]) -> str | None:
    """Where the container has the first of some artifacts: an argument of the artifact's name says so."""
    paths = [task.args.get(artifact.name) for artifact in artifacts]
    return next((str(PurePosixPath(path)) for path in paths if isinstance(path, str) and path.startswith("/")), None)


def _argo(stage: str, task: Task, place: KeyPath, notes: Notes) -> Json:
    template = str(task.args.get("workflow_template_name", stage))
    notes.add(
        place, f"Argo template {template!r}: it is on an Argo server; put image and command into the entry {stage!r}"
    )
    made = entry(stage, label(template, stage), "latest", seconds=_seconds(task, notes, place))
    resources: Json = {}
    if task.args.get("cpu"):
        resources["cpu"] = str(task.args["cpu"])
    if task.args.get("memory_gb"):
        resources["memory"] = f"{task.args['memory_gb']}Gi"
    if str(task.args.get("gpu_required", "")).lower() == "true":
        resources["gpu"] = 1
    if resources:
        made["resources"] = resources
    notes.unused(place, task.args, _OF_ARGO | _OF_NO_USE | {"task_timeout_minutes"})
    return made


def _words(value: object) -> list[str]:
    """What the Docker plug-in splits at commas."""
    return [word.strip() for word in str(value).split(",") if word.strip()] if value is not None else []
