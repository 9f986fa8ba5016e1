"""Where the seconds of one run went: the stages' own work, and everything else."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Any

STAGES = ("dicom-reader", "ai-vnet", "dicom-writer")


@dataclass(frozen=True)
class Timing:
    """Seconds of one run.

    Attributes:
        total: last C-STORE answered until the result is in the PACS.
        complete: last C-STORE answered until the series was found complete and its run made.
        trigger: from then until the first task starts.
        work: each stage's own work, from its driver's start event to its end event.
        task: each task, start to end, as Airflow has it.
        three_stages: end of `prepare` until the end of `dicom-writer`, less the stages' own work: the orchestration of
            the three stages.
        orchestration: total less the stages' own work.
    """

    total: float
    complete: float
    trigger: float
    work: Mapping[str, float]
    task: Mapping[str, float]
    three_stages: float
    orchestration: float


def timing(run: Mapping[str, Any], tasks: Sequence[Mapping[str, Any]], events: Mapping[str, str]) -> Timing:
    """Take one run apart.

    Args:
        run: the listener's run.
        tasks: Airflow's task instances of the run.
        events: stage to the text of its events file.
    """
    start = {task["task_id"]: _time(task["start_date"]) for task in tasks}
    end = {task["task_id"]: _time(task["end_date"]) for task in tasks}
    work = {stage: _own_work(events[stage]) for stage in STAGES}
    last_instance, created, delivered = (_time(run[key]) for key in ("last_instance", "created", "delivered"))
    total = _seconds(last_instance, delivered)
    return Timing(
        total=total,
        complete=_seconds(last_instance, created),
        trigger=_seconds(created, min(start.values())),
        work=work,
        task={name: _seconds(start[name], end[name]) for name in start},
        three_stages=_seconds(end["prepare"], end[STAGES[-1]]) - sum(work.values()),
        orchestration=total - sum(work.values()),
    )


def table(timings: Iterable[Timing]) -> str:
    """Median, least and most of every figure, as a Markdown table."""
    runs = list(timings)
    rows: dict[str, list[float]] = {
        "series found complete": [run.complete for run in runs],
        "run triggered, first task starts": [run.trigger for run in runs],
    }
    for name in ("prepare", *STAGES, "publish", "deliver"):
        rows[f"task {name}"] = [run.task[name] for run in runs if name in run.task]
        if name in STAGES:
            rows[f"own work of {name}"] = [run.work[name] for run in runs]
    rows["orchestration of the three stages"] = [run.three_stages for run in runs]
    rows["orchestration in all"] = [run.orchestration for run in runs]
    rows["last C-STORE to result in the PACS"] = [run.total for run in runs]
    lines = ["| seconds | median | least | most |", "|---|---:|---:|---:|"]
    lines += [
        f"| {name} | {median(values):.2f} | {min(values):.2f} | {max(values):.2f} |" for name, values in rows.items()
    ]
    return "\n".join(lines)


def _own_work(events: str) -> float:
    times = {event["event"]: _time(event["time"]) for event in map(json.loads, events.splitlines())}
    return _seconds(times["start"], times["end"])


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _seconds(start: datetime, end: datetime) -> float:
    return (end - start).total_seconds()
