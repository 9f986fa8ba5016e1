"""Finds the workflow that a command is about."""

from clara_ops.cli.errors import UnknownWorkflow
from clara_ops.cli.project import Project
from clara_ops.workflow.catalogue import load_catalogue
from clara_ops.workflow.errors import Problem, WorkflowFileError
from clara_ops.workflow.loading import duplicates, load_workflows
from clara_ops.workflow.workflow import Workflow

DEFAULTS = ("613e3fce-0d96-495a-a760-f43e68deefd8", "1db65f99-c9b7-4329-ab9c-d519e0557638")
"""What `clara-wf test` runs when it is given none: the default of 2019, else organ-seg."""


def find_workflow(project: Project, wanted: str | None) -> Workflow:
    """The workflow of that id or name; without one a default, or the only one that there is.

    A file that is broken matters only when the workflow is in no other.

    Raises:
        UnknownWorkflow: with those that exist.
        WorkflowFileError: it may be in a file that is broken, or two workflows claim its id or name.
    """
    workflows, problems = _load(project)
    names = [wanted] if wanted is not None else list(DEFAULTS)
    found = [workflow for name in names for workflow in workflows if name in (workflow.id, workflow.name)]
    if not found and wanted is None and len(workflows) == 1:
        found = workflows
    if not found:
        if problems:
            raise WorkflowFileError(problems)
        raise UnknownWorkflow(_unknown(wanted, workflows, project))
    clashes = [problem for problem in duplicates(workflows) if f"{found[0].id!r}" in problem.message]
    if clashes:
        raise WorkflowFileError(clashes)
    return found[0]


def _load(project: Project) -> tuple[list[Workflow], list[Problem]]:
    catalogue = load_catalogue(project.shared_catalogues())
    workflows: list[Workflow] = []
    problems: list[Problem] = []
    for path in project.workflow_files():
        try:
            workflows.extend(load_workflows(path, catalogue))
        except WorkflowFileError as error:
            problems.extend(error.problems)
    return workflows, problems


def _unknown(wanted: str | None, workflows: list[Workflow], project: Project) -> str:
    known = ", ".join(f"{workflow.id} ({workflow.name})" for workflow in workflows)
    if wanted is None:
        return f"{project.root}: name a workflow; there are {known}" if known else f"{project.root}: holds no workflow"
    return f"{project.root}: no workflow {wanted!r}; there are {known or 'none'}"
