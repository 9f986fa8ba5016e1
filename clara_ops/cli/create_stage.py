"""`clara-wf create_stage NAME`: an entry in the stage catalogue."""

from dataclasses import dataclass
from pathlib import Path

from clara_ops.cli.catalogue_file import add_stage
from clara_ops.cli.project import Project
from clara_ops.contract.documents import write_durably
from clara_ops.workflow.catalogue import read_entries
from clara_ops.workflow.errors import Problem, WorkflowFileError
from clara_ops.workflow.yaml_source import parse_yaml


@dataclass(frozen=True)
class CreatedStage:
    """What was done: the keys that were added, none when the entry was complete."""

    stage: str
    file: Path
    added: tuple[str, ...]


def create_stage(project: Project, name: str) -> CreatedStage:
    """Add a stage to the project's catalogue file, or the keys that its entry lacks.

    Raises:
        NameRuleError, CatalogueFileError: as `add_stage`.
        WorkflowFileError: the file, with the addition, would not be a catalogue; nothing is written.
    """
    path = project.catalogue.resolve()
    addition = add_stage(path.read_text(encoding="utf-8"), name, str(project.catalogue))
    problems: list[Problem] = []
    content = addition.text.encode()
    read_entries(parse_yaml(content, str(project.catalogue)), problems)
    if problems:
        raise WorkflowFileError(problems)
    if addition.keys:
        mode = path.stat().st_mode
        write_durably(path, content)
        path.chmod(mode)
    return CreatedStage(name, project.catalogue, addition.keys)
