"""Workflow files: from a path to checked workflows, or to all the errors of the file at once."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from clara_ops.contract.names import is_workflow_id
from clara_ops.workflow.catalogue import Catalogue, named_catalogues, read_entries
from clara_ops.workflow.errors import Problem, WorkflowFileError
from clara_ops.workflow.form2019 import is_form_2019, to_extended
from clara_ops.workflow.model import WorkflowSpec
from clara_ops.workflow.resolve import check_parts, resolve
from clara_ops.workflow.schema import MAX_PROBLEMS, build_model, salvage
from clara_ops.workflow.workflow import Workflow
from clara_ops.workflow.yaml_source import KeyPath, YamlSource, read_yaml

_NO_ID = (
    "a workflow without an ID: make one with 'cat /proc/sys/kernel/random/uuid', write it as a line of its own above "
    "'name:' (for example '7b413e24-d018-4689-8c41-73272f6649d4:'), and indent the lines below it"
)
_NOTHING = "no workflow here; it needs 'id', 'name' and 'stages', or a workflow ID with the five lines of 2019 below it"


def load_workflows(path: Path, catalogue: Catalogue, name: str | None = None) -> tuple[Workflow, ...]:
    """The workflows of one file, in either form.

    A file that also holds a catalogue (`stages:` as a mapping, as `clara-wf cs` leaves it) may hold no workflow; its
    entries win over `catalogue` for the workflows beside them.

    Args:
        path: the file.
        catalogue: what there is to build of, by stage name.
        name: what messages call the file; its path when not given.

    Raises:
        WorkflowFileError: with all problems of the file.
    """
    return workflows_of(read_yaml(path, name), catalogue)


def workflows_of(source: YamlSource, catalogue: Catalogue) -> tuple[Workflow, ...]:
    """The workflows of a file that was read already, see `load_workflows`."""
    problems: list[Problem] = []
    workflows: list[Workflow] = []
    if not isinstance(source.data, dict):
        raise WorkflowFileError([source.problem((), _NOTHING)])
    own = replace(catalogue, entries={**catalogue.entries, **read_entries(source, problems)})
    named_catalogues(source, problems)
    for workflow_id, path in _find(source, problems):
        if len(problems) >= MAX_PROBLEMS:
            break
        part = source.part(path)
        if is_form_2019(part.data):
            extended = to_extended(workflow_id, part, own, problems)
            if extended is None:
                continue
            part = extended
        elif path:
            part = _with_id(part, workflow_id, problems)
        workflow = _workflow(part, own, problems)
        if workflow is not None:
            workflows.append(workflow)
    problems.extend(duplicates(workflows))
    if problems:
        raise WorkflowFileError(problems)
    return tuple(workflows)


def _workflow(part: YamlSource, catalogue: Catalogue, problems: list[Problem]) -> Workflow | None:
    spec = build_model(WorkflowSpec, part, problems)
    if spec is not None:
        return resolve(spec, part, catalogue, problems)
    rest, further = salvage(WorkflowSpec, part), list[Problem]()
    if rest is not None:
        check_parts(rest, part, catalogue, further)
    told = {(problem.line, problem.column) for problem in problems}
    problems.extend(problem for problem in further if (problem.line, problem.column) not in told)
    return None


@dataclass(frozen=True)
class Claim:
    """The ID and the name that a workflow takes, also in a file that has errors; `path` leads to it in the file."""

    id: str
    name: str
    file: str
    line: int
    column: int
    path: KeyPath


def claims_of(source: YamlSource) -> list[Claim]:
    """What the workflows of a file are called, as far as the file can be understood."""
    claims = []
    for workflow_id, path in _find(source, []) if isinstance(source.data, dict) else []:
        data = source.part(path).data
        name = data.get("name") if isinstance(data, dict) else None
        if isinstance(name, str):
            begin = source.problem(path, "")
            claims.append(Claim(workflow_id, name, source.file, begin.line, begin.column, path))
    return claims


def duplicates(workflows: Iterable[Workflow | Claim]) -> list[Problem]:
    """A problem for every workflow whose ID or name an earlier one has: both files are named."""
    problems = []
    ids: dict[str, Workflow | Claim] = {}
    names: dict[str, Workflow | Claim] = {}
    for workflow in workflows:
        for what, value, taken in (("ID", workflow.id, ids), ("name", workflow.name, names)):
            first = taken.setdefault(value, workflow)
            if first is not workflow:
                problems.append(
                    Problem(
                        workflow.file,
                        workflow.line,
                        workflow.column,
                        f"{what} {value!r} belongs to the workflow in {first.file}:{first.line}; "
                        f"each workflow needs {'an ID' if what == 'ID' else 'a name'} of its own",
                    )
                )
    return problems


def _find(source: YamlSource, problems: list[Problem]) -> list[tuple[str, KeyPath]]:
    """ID and place of each workflow of a file."""
    data: dict[str, Any] = source.data
    if "workflows" in data:
        return _under_workflows(source, problems)
    if isinstance(data.get("stages"), Mapping):
        return []
    if "id" in data:
        return [(str(data["id"]), ())]
    if "stages" in data or "waitLocks" in data or "ioFolders" in data:
        problems.append(source.problem((), _NO_ID))
        return []
    if not data:
        problems.append(source.problem((), _NOTHING))
    return [(key, (key,)) for key in data if _is_id(key, (key,), source, problems)]


def _under_workflows(source: YamlSource, problems: list[Problem]) -> list[tuple[str, KeyPath]]:
    workflows = source.data["workflows"]
    others = sorted(set(source.data) - {"workflows", "stages", "catalogues", "workflowTimeout"})
    problems.extend(source.problem((key,), f"unknown key {key!r} beside 'workflows:'", at_key=True) for key in others)
    if not isinstance(source.data.get("stages", {}), dict | None):
        problems.append(source.problem(("stages",), "stages: expected a mapping of catalogue entries, by stage"))
    if not isinstance(workflows, dict):
        problems.append(source.problem(("workflows",), "workflows: expected a mapping of workflow IDs"))
        return []
    return [(key, ("workflows", key)) for key in workflows if _is_id(key, ("workflows", key), source, problems)]


def _is_id(key: str, path: KeyPath, source: YamlSource, problems: list[Problem]) -> bool:
    if is_workflow_id(key):
        return True
    problems.append(
        source.problem(path, f"{key!r} is not a workflow ID (a UUID in lower case); {_NOTHING}", at_key=True)
    )
    return False


def _with_id(part: YamlSource, workflow_id: str, problems: list[Problem]) -> YamlSource:
    if not isinstance(part.data, dict):
        return part
    if part.data.get("id", workflow_id) != workflow_id:
        problems.append(
            part.problem(("id",), f"another id than {workflow_id!r}, which it stands under; leave 'id' out")
        )
    return replace(part, data={**part.data, "id": workflow_id})
