"""`clara-wf validate`: everything that is wrong with workflow files, and what a namespace has to allow for the rest."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from clara_ops.cli.errors import ProjectNotFound
from clara_ops.cli.listener_config import destination_problems, mapping_problems
from clara_ops.cli.project import INSTALLED, OURS, Project, find_project
from clara_ops.workflow.catalogue import catalogue_files, read_catalogue
from clara_ops.workflow.errors import Problem, WorkflowFileError
from clara_ops.workflow.loading import Claim, claims_of, duplicates, workflows_of
from clara_ops.workflow.pod import stage_pod
from clara_ops.workflow.pod_security import Level, required_level
from clara_ops.workflow.workflow import Workflow
from clara_ops.workflow.yaml_source import YamlSource, file_name, read_yaml

_SUFFIXES = frozenset({".yaml", ".yml"})
_ANY_RUN = "run"


@dataclass(frozen=True)
class SoundWorkflow:
    """A workflow without errors.

    Attributes:
        pod_security: the strictest level of the Pod Security Standards that admits all of its pods.
        reasons: what a stricter level would refuse, with the stage in front.
    """

    id: str
    name: str
    file: str
    line: int
    column: int
    pod_security: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Validation:
    """What was found in some files."""

    files: tuple[str, ...]
    problems: tuple[Problem, ...]
    workflows: tuple[SoundWorkflow, ...]


def validate(
    paths: Sequence[Path], catalogues: Sequence[Path], listener_config: Path | None, root: Path | None
) -> Validation:
    """Check workflow files, each for itself and all of them together.

    Args:
        paths: files, and folders whose files are all meant; the project's where there are none.
        catalogues: catalogue files in place of the project's.
        listener_config: a listener's configuration to hold against the workflows.
        root: folder of the project; found from the current folder where it is None.

    Raises:
        ProjectNotFound: neither paths nor a project.
    """
    project = _project(root, needed=not paths)
    problems: list[Problem] = []
    catalogue_sources = catalogue_files(list(catalogues) or _catalogues_of(project), problems)
    catalogue = read_catalogue(catalogue_sources, problems)
    files = _files(paths or _all_of(project), problems)
    sources = _read(files, problems)
    workflows: list[Workflow] = []
    for source in sources:
        try:
            workflows += workflows_of(source, catalogue)
        except WorkflowFileError as error:
            problems += error.problems
    claims = [claim for source in sources for claim in claims_of(source)]
    problems += duplicates(claims)
    if listener_config is not None:
        problems += _listener_problems(listener_config, sources, _with_others(claims, project))
    return Validation(
        files=tuple(map(file_name, files)),
        problems=tuple(sorted(set(problems))),
        workflows=tuple(_judged(workflow) for workflow in workflows),
    )


def _project(root: Path | None, *, needed: bool) -> Project | None:
    try:
        return find_project(root, Path.cwd())
    except ProjectNotFound:
        if needed or root is not None:
            raise
        return None


def _catalogues_of(project: Project | None) -> list[Path]:
    found = project.shared_catalogues() if project is not None else [INSTALLED / OURS]
    return [_from_here(path) for path in found]


def _all_of(project: Project | None) -> Sequence[Path]:
    return [_from_here(path) for path in project.workflow_files()] if project is not None else []


def _files(paths: Iterable[Path], problems: list[Problem]) -> list[Path]:
    """The files meant, each once; a folder stands for all YAML files below it."""
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        below = sorted(file for file in path.rglob("*") if file.suffix in _SUFFIXES and not file.name.startswith("."))
        if not below:
            problems.append(Problem(str(path), 1, 1, "no workflow file (*.yaml, *.yml) in this folder"))
        for file in below:
            if file.resolve().is_relative_to(path.resolve()):
                found.append(file)
            else:
                problems.append(Problem(str(file), 1, 1, "leads out of the workflow folder; copy the file instead"))
    return list({file.resolve(): file for file in found}.values())


def _from_here(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _read(files: Iterable[Path], problems: list[Problem]) -> list[YamlSource]:
    sources = []
    for file in files:
        try:
            sources.append(read_yaml(file))
        except WorkflowFileError as error:
            problems += error.problems
    return sources


def _listener_problems(path: Path, sources: Sequence[YamlSource], claims: Sequence[Claim]) -> list[Problem]:
    try:
        config = read_yaml(path)
    except WorkflowFileError as error:
        return list(error.problems)
    problems = mapping_problems(config, claims)
    for source in sources:
        problems += destination_problems(source, config, claims_of(source))
    return problems


def _with_others(claims: Sequence[Claim], project: Project | None) -> list[Claim]:
    """The claims, and those of the project's other files: a mapping may name any of them."""
    known = {Path(claim.file).resolve() for claim in claims}
    others = [file for file in _all_of(project) if file.resolve() not in known]
    return [*claims, *(claim for source in _read(others, []) for claim in claims_of(source))]


def _judged(workflow: Workflow) -> SoundWorkflow:
    needed = {stage.name: required_level(stage_pod(workflow, stage, _ANY_RUN)) for stage in workflow.every_stage}
    level = max((requirement.level for requirement in needed.values()), default=Level.RESTRICTED)
    reasons = [
        f"{stage}: {reason}" for stage, found in needed.items() if found.level is level for reason in found.reasons
    ]
    return SoundWorkflow(
        workflow.id, workflow.name, workflow.file, workflow.line, workflow.column, str(level), tuple(reasons)
    )
