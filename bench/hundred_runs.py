"""`python -m bench.hundred_runs [RUNS]`: that many series arrive at once; what that takes on one machine.

The whole laptop runs: PACS, listener, Airflow, pod API, Triton. Each series of one instance starts a run of a workflow
with one stage that does nothing, so that what is measured is everything around the stages.
"""

import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from statistics import quantiles
from typing import Any

import yaml

from bench.memory import Peak, measuring_memory
from bench.series import new_series
from clara_ops.contract.states import RunState
from clara_ops.laptop.checkout import Checkout
from clara_ops.laptop.demo import CALLED_AE, Series, wait_for_dag
from clara_ops.laptop.pacs_client import send_series
from clara_ops.laptop.programs import SCANNER_AE
from clara_ops.laptop.servers import Laptop, running
from clara_ops.laptop.setup import ROOT
from clara_ops.laptop.state import Home

WORKFLOW = "nothing-much"
ASSOCIATIONS = 4
LONGEST_SECONDS = 900
_OPEN = frozenset({RunState.TRIGGERED, RunState.RUNNING})


def main(arguments: Sequence[str]) -> int:
    """Measure and print two Markdown tables."""
    count = int(arguments[0]) if arguments else 100
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        checkout = write_checkout(folder / "checkout")
        with running(checkout, Home(folder / "home"), print) as laptop:
            wait_for_dag(laptop, WORKFLOW)
            drain(laptop, [new_series(folder / "warm", slices=1)])
            series = [new_series(folder / str(number), slices=1) for number in range(count)]
            with measuring_memory() as peak:
                runs, seconds = drain(laptop, series)
            tasks = [laptop.airflow.task_instances(WORKFLOW, run["run_id"]) for run in runs]
    print(report(runs, tasks, seconds, peak))
    return 0


def write_checkout(root: Path) -> Checkout:
    """A copy of the checkout's layout with one workflow, and the AE title mapped to it."""
    ours = Checkout(ROOT)
    checkout = Checkout(root)
    for folder in (checkout.bundle.workflows, *(path.parent for path in checkout.bundle.catalogues)):
        folder.mkdir(parents=True)
    checkout.listener_configuration.parent.mkdir(parents=True)
    (root / ".venvs").symlink_to(ROOT / ".venvs")
    stage = {
        "image": {"repository": "clara-stages", "tag": "0.1.0"},
        "stageName": "nothing",
        "logName": "/app/logs/nothing.log",
        "lockName": "nothing.lock",
        "timeout": "120",
        "command": ["true"],
        "resources": {"cpu": "100m", "memory": "64Mi"},
    }
    workflow_id = "6f1c3c0e-4c1c-4a83-9a5d-1c8f5c3b7a10"
    workflow = {"id": workflow_id, "name": WORKFLOW, "stages": [{"stage": "nothing"}]}
    (checkout.bundle.workflows / "nothing-much.yaml").write_text(yaml.safe_dump(workflow))
    checkout.bundle.catalogues[0].write_text(yaml.safe_dump({"stages": {"nothing": stage}}))
    configuration = yaml.safe_load(ours.listener_configuration.read_text())
    configuration["workflows"] = [{"name": WORKFLOW, "clara-ae-title": CALLED_AE, "workflow": workflow_id}]
    checkout.listener_configuration.write_text(yaml.safe_dump(configuration))
    return checkout


def drain(laptop: Laptop, series: Sequence[Series]) -> tuple[list[dict[str, Any]], float]:
    """Send all series at once and wait for the end of their runs; the runs, and the seconds since the first C-STORE."""
    before = len(_runs(laptop))
    started = time.monotonic()
    with ThreadPoolExecutor(ASSOCIATIONS) as senders:
        list(senders.map(lambda item: list(_send(laptop, item)), series))
    laptop.supervisor.wait_until(
        lambda: (
            len(runs := _runs(laptop)[: len(series)]) == len(series)
            and len(_runs(laptop)) == before + len(series)
            and not any(run["state"] in _OPEN for run in runs)
        ),
        f"{len(series)} runs ending",
        LONGEST_SECONDS,
    )
    return _runs(laptop)[: len(series)], time.monotonic() - started


def _send(laptop: Laptop, series: Series) -> Iterable[int]:
    return send_series(series.files, SCANNER_AE, CALLED_AE, laptop.run.dicom_port)


def _runs(laptop: Laptop) -> list[dict[str, Any]]:
    time.sleep(0.5)
    found: list[dict[str, Any]] = laptop.listener.get("/v1/runs").raise_for_status().json()
    return found


def report(
    runs: Sequence[Mapping[str, Any]], tasks: Sequence[Sequence[Mapping[str, Any]]], seconds: float, peak: Peak
) -> str:
    """How they ended, how long they took, and the most memory that each group of processes had."""
    states = {state: sum(run["state"] == state for run in runs) for state in {run["state"] for run in runs}}
    starts: dict[str, list[float]] = {"prepare": [], "nothing": [], "deliver": []}
    ends: list[float] = []
    for run, instances in zip(runs, tasks, strict=True):
        created = datetime.fromisoformat(run["created"])
        for task in instances:
            if task["task_id"] in starts and task["start_date"]:
                since = datetime.fromisoformat(task["start_date"]) - created
                starts[task["task_id"]].append(since.total_seconds())
        ends.append((datetime.fromisoformat(run["finished"]) - created).total_seconds())
    lines = [f"{len(runs)} runs, {states}, drained in {seconds:.0f} s", ""]
    lines += ["| seconds from the run's making | median | 95 % | longest |", "|---|---:|---:|---:|"]
    for name, values in {**{f"{task} starts": found for task, found in starts.items()}, "the run ends": ends}.items():
        cuts = quantiles(values, n=100) if len(values) > 1 else values * 99
        lines.append(f"| {name} | {cuts[49]:.1f} | {cuts[94]:.1f} | {max(values):.1f} |")
    return "\n".join([*lines, "", peak.table()])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
