"""`clara-wf test_workflow`: a workflow on this machine, from a folder of files to a folder of results."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from clara_ops.cli.errors import InputMissing
from clara_ops.cli.job import link_results, new_job
from clara_ops.cli.payload import Received, make_payload
from clara_ops.cli.project import INSTALLED, Project
from clara_ops.cli.secrets import secrets_of
from clara_ops.cli.servers import local_servers
from clara_ops.cli.stage_run import LocalRun, StageOutcome, StageState
from clara_ops.cli.view import stage_view
from clara_ops.contract.evaluator import evaluate
from clara_ops.contract.payload import RESULT, payload_path
from clara_ops.driver.folders import walk_files
from clara_ops.workflow.workflow import Workflow

SAMPLE = INSTALLED / "tests" / "data" / "abdomen_b"
"""A real CT series, for workflows that read DICOM and have no sample of their own."""


class NotAccepted(InputMissing):
    """The workflow is not made for this input."""


@dataclass(frozen=True)
class WorkflowOutcome:
    """What became of a local run.

    Attributes:
        results: folder with what would be delivered.
        files: number of files in it.
    """

    workflow: str
    job: str
    input: Path
    stages: tuple[StageOutcome, ...]
    results: Path
    files: int
    seconds: float

    @property
    def succeeded(self) -> bool:
        """Whether no stage failed."""
        return all(stage.state in (StageState.DONE, StageState.SKIPPED) for stage in self.stages)


def run_locally(
    project: Project, workflow: Workflow, job: str, input_folder: Path | None, console: Console
) -> WorkflowOutcome:
    """Run a workflow here, stage by stage, with the pods that it has on a cluster.

    Args:
        job: names the run and its folder.
        input_folder: what to run it on; the workflow's sample where it is None.
        console: where progress is shown.

    Raises:
        InputMissing: nothing to run on; NotAccepted: the workflow's `accepts` refuses it.
        SecretMissing: a variable that a stage takes from a Secret is not set here.
        JobTaken, LaptopError, PodRefused, and the errors of names.
    """
    source, secrets = input_folder or _sample(workflow), secrets_of(workflow, os.environ)
    started = time.monotonic()
    with new_job(project, job) as folder:
        payload = payload_path(folder, job)
        received = make_payload(payload, job, workflow, source)
        _check_accepted(workflow, received, source)
        if received.ignored:
            console.print(f"{source}: files left out because they are not DICOM: {received.ignored}", soft_wrap=True)
        with local_servers(project, folder, workflow, secrets) as api:
            run = LocalRun(workflow, job, payload, folder / "log", received.facts, api)
            with stage_view(console, tuple(stage.name for stage in workflow.stages)) as view:
                stages = run.run(view)
        results = link_results(folder, payload, workflow)
        return WorkflowOutcome(
            workflow=workflow.name,
            job=job,
            input=source,
            stages=stages,
            results=results,
            files=sum(path.name != RESULT for path in walk_files(results)),
            seconds=time.monotonic() - started,
        )


def _sample(workflow: Workflow) -> Path:
    if workflow.sample is not None:
        return (Path(workflow.file).parent / workflow.sample).resolve()
    if "dicom" in workflow.kind.inputs and SAMPLE.is_dir():
        return SAMPLE
    raise InputMissing(f"{workflow.file}: workflow {workflow.name!r} has no 'sample:'; give a folder with --input")


def _check_accepted(workflow: Workflow, received: Received, source: Path) -> None:
    if workflow.accepts is None:
        return
    verdict = evaluate(workflow.accepts, received.facts)
    if not verdict.value:
        raise NotAccepted(
            f"{source}: not for workflow {workflow.name!r}: {verdict.reason}; give other files with --input"
        )
