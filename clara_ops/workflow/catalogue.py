"""The stage catalogue: what images there are to build workflows of, and how each wants to be run.

An entry is what `clara-wf cs NAME` writes, key for key as in 2019; the keys after `timeout` are optional and new.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import Field, StrictBool, StrictFloat, StrictInt, StrictStr, model_validator

from clara_ops.contract.names import check_dns_label
from clara_ops.workflow.errors import Problem, WorkflowFileError
from clara_ops.workflow.fields import AbsolutePath, Environment, FileName, Label, ObjectName, Quantity, Seconds
from clara_ops.workflow.placement import Placement
from clara_ops.workflow.schema import FileModel, build_model, nearest
from clara_ops.workflow.security import SecurityContext
from clara_ops.workflow.yaml_source import YamlSource, read_yaml

_OPTION_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


class Image(FileModel):
    """The container image of a stage.

    Attributes:
        repository: its name; one without a registry gets the platform's registry in front.
        tag: its version.
    """

    repository: Annotated[StrictStr, Field(min_length=1)]
    tag: Annotated[StrictStr, Field(min_length=1)] = "latest"


class NamedFolder(FileModel):
    """A port of Clara's pipeline definition; kept for 2019, the mount point is `inputs` or `outputs`.

    Attributes:
        name: of the port; without effect.
    """

    name: StrictStr


class OptionDeclaration(FileModel):
    """An option that a workflow may give: `--<name> VALUE`, or `--<name>` alone for a flag.

    Attributes:
        name: without the dashes.
        type: what its value is; a flag has none.
        choices: the values of a `choice`.
        default: what the stage gets where the workflow does not give it.
        help: what it does.
    """

    name: StrictStr
    type: Literal["text", "integer", "number", "flag", "choice"] = "text"
    choices: tuple[StrictStr, ...] = ()
    default: StrictStr | StrictBool | StrictInt | StrictFloat | None = None
    help: StrictStr = ""


class Resources(FileModel):
    """What the pod asks for, as request and limit in one.

    Attributes:
        cpu: processors, for example `"2"` or `500m`.
        memory: for example `4Gi`.
        memory_retry: memory of the one try after a container was killed for using too much; without it there is none.
        gpu: how many; 0 forbids workflows to ask for one.
        gpu_product: only nodes whose label `nvidia.com/gpu.product` is this.
        mig: profile of a Multi-Instance GPU, for example `1g.10gb`: `gpu` then counts slices of it, 1 when not given.
        claim: name of a ResourceClaimTemplate (Dynamic Resource Allocation) that says which device.
        shm: size of `/dev/shm`, which counts as memory; a stage with a GPU has one as large as its memory anyway.
    """

    cpu: Quantity | None = None
    memory: Quantity | None = None
    memory_retry: Quantity | None = Field(default=None, alias="memory-retry")
    gpu: Annotated[StrictInt, Field(ge=0, le=64)] | None = None
    gpu_product: StrictStr | None = Field(default=None, alias="gpu-product")
    mig: Annotated[StrictStr, Field(pattern=r"^[0-9]+g\.[0-9]+gb(\.me)?$")] | None = None
    claim: Label | None = None
    shm: Quantity | None = None

    @property
    def uses_gpu(self) -> bool:
        """Whether a GPU, a part of one or a claimed device is asked for."""
        return bool(self.gpu) or (self.gpu is None and self.mig is not None) or self.claim is not None


class CatalogueEntry(FileModel):
    """One stage of the catalogue.

    Attributes:
        image: what runs.
        input: kept for 2019.
        output: kept for 2019.
        stage_name: the entry's name once more.
        app_dir: folder in the container that the others lie in.
        input_lock: kept for 2019: the lock that says that the input is whole.
        inputs: name of the folder in `appDir` with what the stage reads.
        log_name: file that the driver logs to; its folder is mounted.
        outputs: name of the folder in `appDir` that the stage writes.
        lock_dir: folder of the locks.
        lock_name: lock that the stage leaves when it is done; `waitLocks` name it.
        timeout: seconds that the pod may run.
        command: what the container runs; the image's own where it is not given.
        args: options that a workflow may give; without this key they are not checked.
        driver: False for a container that knows nothing of us: an init container then empties its output for a retry.
        map: a MONAI application package: folders and variables are those of that format, and `driver` is off.
        resources: what the pod asks for; a workflow may ask for something else.
        env: variables; a value is text, or `{secret: NAME, key: KEY}` for what a Secret of the pods' namespace holds.
        models: names of the Triton models that it needs.
        retries: how often a failed try is repeated, with a pause that grows; a worker that was killed needs one too.
        deferrable: True waits for the pod in Airflow's triggerer: that costs no worker, but a second or two at the end,
            and the log comes every five seconds. When not given, a stage with a timeout above 900 s does.
        security_context: laid over the container's restricted one, for a foreign image.
        placement: where the pod may run: `nodeSelector`, `tolerations`, `affinity`, `runtimeClassName`.
        image_pull_secrets: names of Secrets for the image's registry.
        priority_class: False leaves PriorityClass `clara-<priority>` out of the pod.
    """

    image: Image
    input: NamedFolder = NamedFolder(name="input")
    output: NamedFolder = NamedFolder(name="output")
    stage_name: StrictStr
    app_dir: AbsolutePath = "/app"
    input_lock: AbsolutePath = "/app/locks/input.lock"
    inputs: FileName = "input"
    log_name: AbsolutePath
    outputs: FileName = "output"
    lock_dir: AbsolutePath = "/app/locks"
    lock_name: FileName
    timeout: Seconds

    command: tuple[StrictStr, ...] | None = None
    args: tuple[OptionDeclaration, ...] | None = None
    driver: StrictBool = True
    map: StrictBool = False
    resources: Resources = Resources()
    env: Environment = Field(default_factory=dict)
    models: tuple[StrictStr, ...] = ()
    retries: Annotated[StrictInt, Field(ge=1, le=10)] = 2
    deferrable: StrictBool | None = None
    security_context: SecurityContext = SecurityContext()
    placement: Placement = Placement()
    image_pull_secrets: tuple[ObjectName, ...] = ()
    priority_class: StrictBool = True

    def inside(self, name: str) -> str:
        """A folder of that name in `appDir`."""
        return str(PurePosixPath(self.app_dir) / name)


class WorkflowTimeout(FileModel):
    """Seconds that the stages of one run may run, one after the other; `workflowTimeout:` of a catalogue file.

    Attributes:
        default: of workflows without a `timeout` of their own.
        maximum: what a workflow's `timeout` may be at most.
    """

    default: Seconds = 600
    maximum: Seconds = 1800

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.default > self.maximum:
            raise ValueError(f"default {self.default} is more than the maximum {self.maximum}")
        return self

    def refusal(self, seconds: int) -> str | None:
        """What is said of a workflow that asks for more than it may."""
        if seconds <= self.maximum:
            return None
        return (
            f"timeout: at most {self.maximum} s; where a workflow may run longer, the catalogue file says so beside "
            f"'stages:', for example workflowTimeout: {{maximum: {seconds}}}"
        )


@dataclass(frozen=True, eq=False)
class Catalogue(Mapping[str, CatalogueEntry]):
    """All entries by name, and what is said beside them."""

    entries: Mapping[str, CatalogueEntry]
    workflow_timeout: WorkflowTimeout = field(default_factory=WorkflowTimeout)

    def __getitem__(self, name: str) -> CatalogueEntry:
        return self.entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)


def unknown_stage(name: str, catalogue: Catalogue) -> str:
    """What is said of a stage that is not in the catalogue."""
    return f"stage {name!r} is not in the catalogue{nearest(name, catalogue)}; add it: clara-wf cs {name}"


def load_catalogue(paths: Sequence[Path]) -> Catalogue:
    """The entries of catalogue files, and of the files that they name under `catalogues:`.

    Raises:
        WorkflowFileError: with everything that is wrong in all of them; a stage that two files describe is an error.
    """
    problems: list[Problem] = []
    catalogue = read_catalogue(catalogue_files(paths, problems), problems)
    if problems:
        raise WorkflowFileError(problems)
    return catalogue


def catalogue_files(paths: Sequence[Path], problems: list[Problem]) -> tuple[YamlSource, ...]:
    """The catalogue files of `paths` and those that they name, each once; what is wrong is added to `problems`."""
    sources: list[YamlSource] = []
    waiting, seen = list(paths), set()
    while waiting:
        path = waiting.pop(0)
        if os.path.realpath(path) in seen:
            continue
        seen.add(os.path.realpath(path))
        try:
            source = read_yaml(path)
        except WorkflowFileError as error:
            problems.extend(error.problems)
            continue
        sources.append(source)
        waiting.extend(path.parent / name for name in named_catalogues(source, problems))
    return tuple(sources)


def read_catalogue(sources: Sequence[YamlSource], problems: list[Problem]) -> Catalogue:
    """The entries of catalogue files that can be used; what is wrong with the others is added to `problems`."""
    entries: dict[str, CatalogueEntry] = {}
    origins: dict[str, str] = {}
    for source in sources:
        for name, entry in read_entries(source, problems).items():
            if name in origins:
                message = f"stage {name!r} is already in {origins[name]}; remove one"
                problems.append(source.problem(("stages", name), message, at_key=True))
                continue
            entries[name], origins[name] = entry, source.file
    return Catalogue(entries, _workflow_timeout(sources, problems))


def _workflow_timeout(sources: Sequence[YamlSource], problems: list[Problem]) -> WorkflowTimeout:
    """What the first file says that says anything."""
    for source in sources:
        if isinstance(source.data, dict) and "workflowTimeout" in source.data:
            found = build_model(WorkflowTimeout, source.part(("workflowTimeout",)), problems)
            return found or WorkflowTimeout()
    return WorkflowTimeout()


def read_entries(source: YamlSource, problems: list[Problem]) -> dict[str, CatalogueEntry]:
    """The entries under `stages:` of one file, where that is a mapping; what is wrong is added to `problems`."""
    stages = source.data.get("stages") if isinstance(source.data, dict) else None
    if not isinstance(stages, dict):
        return {}
    entries = {}
    for name in stages:
        part = source.part(("stages", name))
        entry = build_model(CatalogueEntry, part, problems)
        if entry is None:
            continue
        problems.extend(_entry_problems(name, entry, part))
        entries[name] = entry
    return entries


def named_catalogues(source: YamlSource, problems: list[Problem]) -> list[str]:
    """The catalogue files that a file names; what is wrong is added to `problems`."""
    names = source.data.get("catalogues", []) if isinstance(source.data, dict) else []
    if isinstance(names, list) and all(isinstance(name, str) and name.isprintable() for name in names):
        return names
    problems.append(source.problem(("catalogues",), "catalogues: expected a list of file names, relative to this file"))
    return []


def _entry_problems(name: str, entry: CatalogueEntry, source: YamlSource) -> list[Problem]:
    problems = []
    try:
        check_dns_label(name, "stage")
    except ValueError as error:
        problems.append(source.problem((), str(error)))
    if entry.stage_name != name:
        problems.append(
            source.problem(("stageName",), f"stageName {entry.stage_name!r} has to be the entry's name, {name!r}")
        )
    folders = {
        "inputs": entry.inside(entry.inputs),
        "outputs": entry.inside(entry.outputs),
        "lockDir": entry.lock_dir,
        "logName": str(PurePosixPath(entry.log_name).parent),
    }
    for key, folder in folders.items():
        twin = next((other for other, path in folders.items() if other != key and path == folder), None)
        if twin is not None and key in source.data:
            problems.append(
                source.problem((key,), f"{key} and {twin} are both {folder}; each needs a folder of its own")
            )
    for index, option in enumerate(entry.args or ()):
        path = ("args", index, "name")
        if _OPTION_NAME.fullmatch(option.name) is None:
            problems.append(
                source.problem(path, f"option {option.name!r}: letters, digits, '-' and '_', without the dashes")
            )
        if (option.type == "choice") != bool(option.choices):
            problems.append(
                source.problem(path, f"option {option.name!r}: 'choices' goes with 'type: choice', and only with it")
            )
    return problems
