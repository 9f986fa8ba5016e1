"""The stage catalogue: what there is to build workflows of, and how it is read from its files."""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Self

from pydantic import model_validator

from clara_ops.contract.names import check_dns_label
from clara_ops.workflow.entry import CatalogueEntry
from clara_ops.workflow.errors import Problem, WorkflowFileError
from clara_ops.workflow.fields import Seconds
from clara_ops.workflow.schema import FileModel, build_model, nearest
from clara_ops.workflow.yaml_source import YamlSource, file_name, read_yaml

_OPTION_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


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


def catalogue_files(
    paths: Sequence[Path], problems: list[Problem], name: Callable[[Path], str] = file_name
) -> tuple[YamlSource, ...]:
    """The catalogue files of `paths` and those that they name, each once; what is wrong is added to `problems`.

    Args:
        paths: the files.
        problems: gets what is wrong.
        name: what messages call a file.
    """
    sources: list[YamlSource] = []
    waiting, seen = list(paths), set()
    while waiting:
        path = waiting.pop(0)
        if os.path.realpath(path) in seen:
            continue
        seen.add(os.path.realpath(path))
        try:
            source = read_yaml(path, name(path))
        except WorkflowFileError as error:
            problems.extend(error.problems)
            continue
        sources.append(source)
        waiting.extend(path.parent / other for other in named_catalogues(source, problems))
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
