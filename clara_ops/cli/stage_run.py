"""Runs the stages of a workflow one after the other, each as the pod that it would be on a cluster."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from clara_ops.cli.pod_api import PodApi, PodEnd, end_of, waiting_reason
from clara_ops.contract.conf import FactValue
from clara_ops.contract.documents import read_document
from clara_ops.contract.errors import DocumentError, StageExit
from clara_ops.contract.evaluator import evaluate
from clara_ops.contract.payload import LOGS, RESULT
from clara_ops.contract.result import StageResult
from clara_ops.driver.events import events_file
from clara_ops.workflow.budget import deadline_of, used_before, used_up
from clara_ops.workflow.pod import stage_pod
from clara_ops.workflow.workflow import Stage, Workflow

POLL_SECONDS = 0.1
PLACE_SECONDS = 10.0


class StageState(StrEnum):
    """What became of a stage."""

    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"
    NOT_RUN = "not run"


@dataclass(frozen=True)
class StageOutcome:
    """How a stage ended: after how many seconds, why, and where its log is."""

    stage: str
    state: StageState
    seconds: float = 0.0
    reason: str = ""
    log: Path | None = None


class View(Protocol):
    """Who is told while the stages run."""

    def started(self, stage: str) -> None:
        """A stage's pod was made."""

    def progressed(self, stage: str, percent: float, message: str) -> None:
        """A stage said how far it is."""

    def ended(self, outcome: StageOutcome) -> None:
        """A stage is over, or was left out."""


@dataclass(frozen=True)
class LocalRun:
    """One run: its payload folder, facts of its input, and the pod API that it runs on."""

    workflow: Workflow
    job: str
    payload: Path
    logs: Path
    facts: Mapping[str, FactValue]
    api: PodApi

    def run(self, view: View) -> tuple[StageOutcome, ...]:
        """Run all stages; nothing is retried.

        A join runs when one of its predecessors is done and none failed, as on a cluster.
        """
        outcomes: dict[str, StageOutcome] = {}
        used: dict[str, float] = {}
        for stage in self.workflow.stages:
            before = used_before(stage, used)
            outcome = outcomes[stage.name] = self._left_out(stage, outcomes) or self._run_stage(stage, before, view)
            used[stage.name] = before + outcome.seconds
            view.ended(outcome)
        return tuple(outcomes.values())

    def _left_out(self, stage: Stage, outcomes: Mapping[str, StageOutcome]) -> StageOutcome | None:
        before = [outcomes[name] for name in stage.after]
        for outcome in before:
            if outcome.state in (StageState.FAILED, StageState.NOT_RUN):
                return StageOutcome(stage.name, StageState.NOT_RUN, reason=f"{outcome.stage} {outcome.state}")
        if before and all(outcome.state is StageState.SKIPPED for outcome in before):
            names = " and ".join(outcome.stage for outcome in before)
            return StageOutcome(stage.name, StageState.SKIPPED, reason=f"skipped before it: {names}")
        if stage.when is None:
            return None
        verdict = evaluate(stage.when, self._attributes())
        if verdict.value:
            return None
        meaning = "cannot be decided" if verdict.value is None else "is not met"
        return StageOutcome(stage.name, StageState.SKIPPED, reason=f"its 'when' {meaning}: {verdict.reason}")

    def _attributes(self) -> dict[str, Any]:
        """What `when` is judged over: the facts of the input, and `<step>.<fact>` of each stage."""
        attributes: dict[str, Any] = dict(self.facts)
        for stage in self.workflow.stages:
            result = self._result(stage)
            attributes |= {f"{stage.name}.{name}": value for name, value in (result.facts if result else {}).items()}
        return attributes

    def _result(self, stage: Stage) -> StageResult | None:
        try:
            return read_document(StageResult, self.payload / stage.output / RESULT)
        except (FileNotFoundError, DocumentError):
            return None

    def _run_stage(self, stage: Stage, used: float, view: View) -> StageOutcome:
        started = time.monotonic()
        deadline = deadline_of(self.workflow, stage, used)
        if deadline < 1:
            return StageOutcome(stage.name, StageState.FAILED, reason=used_up(self.workflow, stage, used))
        name = self.api.create(stage_pod(self.workflow, replace(stage, timeout=deadline), self.job))
        view.started(stage.name)
        end = self._wait(name, stage, view, started)
        log = self.logs / f"{stage.name}.log"
        log.write_text(self.api.log(name), encoding="utf-8")
        self.api.delete(name)
        state, reason = self._judge(stage, end)
        return StageOutcome(stage.name, state, time.monotonic() - started, reason, log)

    def _wait(self, name: str, stage: Stage, view: View, started: float) -> PodEnd:
        events = Events(events_file(self.payload / LOGS, stage.name))
        while True:
            status = self.api.status(name)
            for percent, message in events.new():
                view.progressed(stage.name, percent, message)
            if (end := end_of(status)) is not None:
                return end
            if (waiting := waiting_reason(status)) and time.monotonic() - started > PLACE_SECONDS:
                return PodEnd(None, f"no place on this machine: {waiting}")
            time.sleep(POLL_SECONDS)

    def _judge(self, stage: Stage, end: PodEnd) -> tuple[StageState, str]:
        if end.exit_code == StageExit.DONE:
            return StageState.DONE, ""
        if end.exit_code != StageExit.NOTHING_TO_DO:
            return StageState.FAILED, end.reason
        result = self._result(stage)
        if result is None or not result.reason:
            return StageState.FAILED, "said that there is nothing to do (exit 99), but gave no reason in result.json"
        return StageState.SKIPPED, result.reason


class Events:
    """Reads the progress events of a stage as they come."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._offset = 0

    def new(self) -> list[tuple[float, str]]:
        """Percent and message of each progress event since the last call."""
        if not self._file.exists():
            return []
        with self._file.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        lines = data[: data.rfind(b"\n") + 1]
        self._offset += len(lines)
        events = [json.loads(line) for line in lines.splitlines()]
        return [(event["percent"], event["message"]) for event in events if event["event"] == "progress"]
