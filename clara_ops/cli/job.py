"""A local run's folder: `.clara/jobs/<JOB_ID>/`, which is the claim `clara-data` of that run."""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clara_ops.cli.errors import JobTaken
from clara_ops.cli.project import DEFAULT_JOB, Project
from clara_ops.contract.names import check_dns_label
from clara_ops.workflow.workflow import Workflow


@contextmanager
def new_job(project: Project, job: str) -> Iterator[Path]:
    """An empty folder for a job, ours alone until the end of the block.

    Raises:
        NameRuleError: the id cannot name a folder and a label.
        JobTaken: the job exists, and is not the default one; or it runs now.
    """
    check_dns_label(job, "job")
    jobs = project.home / "jobs"
    # Received images lie here: for our own eyes only.
    project.home.mkdir(mode=0o700, exist_ok=True)
    jobs.mkdir(exist_ok=True)
    folder = jobs / job
    with (jobs / f".{job}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise JobTaken(f"{folder}: this job runs now; wait for it, or give another JOB_ID") from error
        if folder.exists():
            if job != DEFAULT_JOB:
                raise JobTaken(f"{folder}: this job exists; remove the folder, or give another JOB_ID")
            shutil.rmtree(folder)
        folder.mkdir()
        yield folder


def link_results(folder: Path, payload: Path, workflow: Workflow) -> Path:
    """`results` in the job's folder: what the last stage wrote, or a folder of them where several are last."""
    results = folder / "results"
    stages = workflow.results
    if len(stages) == 1:
        results.symlink_to((payload / stages[0].output).relative_to(folder))
        return results
    results.mkdir()
    for stage in stages:
        (results / stage.name).symlink_to(Path("..") / (payload / stage.output).relative_to(folder))
    return results
