"""What `clara-wf` prints in the end: for a person, or as JSON."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from clara_ops.cli.create_stage import CreatedStage
from clara_ops.cli.import_workflow import ImportedWorkflow
from clara_ops.cli.local_run import WorkflowOutcome
from clara_ops.cli.stage_run import StageState
from clara_ops.cli.validate import Validation
from clara_ops.cli.view import COLORS

LOG_LINES = 20


def print_json(result: Any) -> None:
    """A dataclass as JSON, paths as text."""
    print(json.dumps(asdict(result), default=str, indent=1, ensure_ascii=False))


def print_created(created: CreatedStage, console: Console) -> None:
    """What was added to the catalogue, and what a user does next."""
    file = _short(created.file)
    if not created.added:
        console.print(f"{file}: stage {created.stage} is complete, nothing added", highlight=False, soft_wrap=True)
        return
    console.print(f"{file}: added {', '.join(created.added)}", highlight=False, soft_wrap=True)
    console.print(
        f"next: give {created.stage} its image, or a `command:` for this machine, and put it into a workflow",
        highlight=False,
        soft_wrap=True,
    )


def print_validation(found: Validation, console: Console) -> None:
    """Every problem on a line of its own, what needs more than Pod Security `restricted`, and a count."""
    for problem in found.problems:
        console.print(str(problem), markup=False, highlight=False, soft_wrap=True)
    for workflow in found.workflows:
        for reason in workflow.reasons:
            place = f"{workflow.file}:{workflow.line}:{workflow.column}"
            text = f"{place}: {workflow.name!r} needs Pod Security level {workflow.pod_security}: {reason}"
            console.print(text, markup=False, highlight=False, soft_wrap=True)
    counts = f"{_count(len(found.files), 'file')}, {_count(len(found.workflows), 'sound workflow')}"
    console.print(f"{counts}, {_count(len(found.problems), 'error')}", highlight=False, soft_wrap=True)


def print_imported(imported: ImportedWorkflow, console: Console) -> None:
    """The file that was written, what got lost, and what a user does next."""
    file = _short(imported.file)
    stages = ", ".join(imported.stages)
    console.print(f"{file}: workflow {imported.name} ({imported.id}), stages {stages}", highlight=False, soft_wrap=True)
    if imported.notes:
        console.print("\nwhat has no counterpart here, or another one:", highlight=False)
        for note in imported.notes:
            console.print(f"  {note}", markup=False, highlight=False, soft_wrap=True)
    if imported.new_stages:
        words = "look at the images, and at their securityContext: pods run as user 1000 with a read-only root"
        console.print(f"\nnext: {words}; then clara-wf validate {file}", highlight=False, soft_wrap=True)


def print_outcome(outcome: WorkflowOutcome, console: Console) -> None:
    """A table of the stages, the end of the log of one that failed, and where the results are."""
    table = Table("stage", "state", "seconds", "reason", title=f"{outcome.workflow} on {_short(outcome.input)}")
    for stage in outcome.stages:
        seconds = f"{stage.seconds:.1f}" if stage.log else ""
        table.add_row(stage.stage, f"[{COLORS[stage.state]}]{stage.state}", seconds, stage.reason)
    console.print(table)
    for stage in outcome.stages:
        if stage.state is StageState.FAILED and stage.log:
            lines = stage.log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]
            console.print(f"\nthe end of {_short(stage.log)}:", highlight=False, soft_wrap=True)
            console.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)
    console.print(
        f"{outcome.seconds:.1f} s; {outcome.files} files in {_short(outcome.results)}", highlight=False, soft_wrap=True
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _short(path: Path) -> str:
    """A path from here, where that is below here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
