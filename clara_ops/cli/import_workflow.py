"""`clara-wf import FILE`: a workflow of another platform as a file of ours."""

import uuid
from dataclasses import dataclass
from pathlib import Path

from clara_ops.cli.errors import FileTaken, NotImported, UnknownDefinition
from clara_ops.cli.project import find_project
from clara_ops.contract.documents import write_durably
from clara_ops.contract.errors import NameRuleError
from clara_ops.contract.names import is_workflow_id
from clara_ops.workflow.catalogue import Catalogue, load_catalogue
from clara_ops.workflow.errors import Problem, WorkflowFileError
from clara_ops.workflow.importing.clara_pipeline import import_pipeline, is_pipeline
from clara_ops.workflow.importing.imported import Imported
from clara_ops.workflow.importing.monai_definition import is_clinical_workflow
from clara_ops.workflow.importing.monai_workflow import import_clinical_workflow
from clara_ops.workflow.importing.writing import file_text
from clara_ops.workflow.loading import workflows_of
from clara_ops.workflow.workflow import Workflow
from clara_ops.workflow.yaml_source import YamlSource, file_name, parse_yaml, read_yaml

_MODE = 0o644


@dataclass(frozen=True)
class ImportedWorkflow:
    """What was written: the workflow, its catalogue entries, and what has no counterpart here."""

    file: Path
    id: str
    name: str
    stages: tuple[str, ...]
    new_stages: tuple[str, ...]
    notes: tuple[Problem, ...]


def import_workflow(path: Path, output: Path | None, workflow_id: str | None, root: Path | None) -> ImportedWorkflow:
    """Turn a file of another platform into a workflow file, and write it when it is sound.

    Args:
        path: a pipeline definition of Clara Deploy, or a clinical workflow of MONAI Deploy.
        output: folder to write to; the project's workflow folder where it is None.
        workflow_id: the workflow's ID; a new one where it is None.
        root: folder of the project.

    Raises:
        UnknownDefinition: the file is neither. FileTaken: there is a file of that name. NameRuleError: no ID.
        WorkflowFileError: what is wrong in the file. NotImported: what would be wrong with the workflow.
    """
    if workflow_id is not None and not is_workflow_id(workflow_id):
        raise NameRuleError(f"--id {workflow_id!r}: has to be a UUID in lower case")
    project = find_project(root, Path.cwd())
    source = read_yaml(path)
    imported = _imported(source)
    workflow_id = workflow_id or str(uuid.uuid4())
    target = (output or project.root / "dags" / "workflows") / f"{imported.workflow['name']}.yaml"
    if target.exists():
        raise FileTaken(f"{target}: is there already; remove it, or name another folder with --output")
    content = file_text(imported, workflow_id, file_name(Path(path.name))).encode()
    workflow = _loaded(content, source.file, load_catalogue(project.shared_catalogues()))
    target.parent.mkdir(parents=True, exist_ok=True)
    write_durably(target, content)
    target.chmod(_MODE)
    names = tuple(stage.name for stage in workflow.stages)
    return ImportedWorkflow(target, workflow_id, workflow.name, names, tuple(imported.stages), imported.notes)


def _loaded(content: bytes, origin: str, catalogue: Catalogue) -> Workflow:
    """The workflow that was made, loaded as it will be."""
    try:
        (workflow,) = workflows_of(parse_yaml(content, origin), catalogue)
    except WorkflowFileError as error:
        words = "; ".join(dict.fromkeys(problem.message for problem in error.problems))
        raise NotImported(
            f"{origin}: nothing is written, since it would become a workflow with errors: {words}"
        ) from error
    return workflow


def _imported(source: YamlSource) -> Imported:
    if is_pipeline(source.data):
        return import_pipeline(source)
    if is_clinical_workflow(source.data):
        return import_clinical_workflow(source)
    raise UnknownDefinition(
        f"{source.file}: is neither a pipeline definition of Clara Deploy (keys 'api-version' and 'operators') nor a "
        "clinical workflow of MONAI Deploy (keys 'informatics_gateway' and 'tasks')"
    )
