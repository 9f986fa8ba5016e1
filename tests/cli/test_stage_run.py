"""Which stages of a local run are left out, and why; the pod API answers from memory."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clara_ops.cli.stage_run import LocalRun, StageOutcome, StageState
from clara_ops.workflow.catalogue import load_catalogue
from clara_ops.workflow.loading import load_workflows

ROOT = Path(__file__).resolve().parents[2]

BRANCHES = """\
id: 7b413e24-d018-4689-8c41-73272f6649d4
name: branches
stages:
  - {stage: dicom-reader}
  - {stage: ai-vnet, name: ct, when: {attribute: modality, op: eq, value: CT}}
  - {stage: ai-vnet, name: mr, after: dicom-reader, when: {attribute: modality, op: eq, value: MR}}
  - {stage: ai-vnet, name: spine, after: dicom-reader, when: {attribute: body_part, op: eq, value: SPINE}}
  - {stage: dicom-writer, name: join, after: [ct, mr, spine]}
  - {stage: dicom-writer, name: others, after: [mr, spine]}
  - {stage: dicom-writer, name: last, after: others}
"""


class Pods:
    """A pod API on which each pod ends at once; those of the stages that are named fail."""

    def __init__(self, failing: tuple[str, ...]) -> None:
        self._failing = failing

    def create(self, pod: dict[str, Any]) -> str:
        name: str = pod["metadata"]["labels"]["clara.io/stage"]
        return name

    def status(self, name: str) -> dict[str, Any]:
        ended = {"exitCode": 1 if name in self._failing else 0, "reason": "Error"}
        phase = "Failed" if name in self._failing else "Succeeded"
        return {"phase": phase, "containerStatuses": [{"name": "base", "state": {"terminated": ended}}]}

    def log(self, name: str) -> str:
        return f"{name} ran"

    def delete(self, name: str) -> None:
        pass


class Silent:
    """A view that shows nothing."""

    def started(self, stage: str) -> None:
        pass

    def progressed(self, stage: str, percent: float, message: str) -> None:
        pass

    def ended(self, outcome: StageOutcome) -> None:
        pass


def run(folder: Path, *failing: str, timeout: int = 600) -> dict[str, tuple[StageState, str]]:
    path = folder / "branches.yaml"
    path.write_text(BRANCHES)
    (workflow,) = load_workflows(path, load_catalogue([ROOT / "helm" / "clara-workflow" / "values.yaml"]))
    api: Any = Pods(failing)
    workflow = replace(workflow, timeout=timeout)
    outcomes = LocalRun(workflow, "job", folder, folder, {"modality": "CT"}, api).run(Silent())
    return {outcome.stage: (outcome.state, outcome.reason) for outcome in outcomes}


def test_a_skipped_branch_does_not_stop_a_join_that_has_another_input(tmp_path: Path) -> None:
    outcomes = run(tmp_path)
    assert outcomes["ct"] == outcomes["join"] == (StageState.DONE, "")
    assert outcomes["mr"] == (StageState.SKIPPED, "its 'when' is not met: modality is 'CT', not eq 'MR'")
    assert outcomes["spine"] == (StageState.SKIPPED, "its 'when' cannot be decided: body_part is missing")


def test_a_join_of_skipped_branches_is_skipped_and_names_them(tmp_path: Path) -> None:
    outcomes = run(tmp_path)
    assert outcomes["others"] == (StageState.SKIPPED, "skipped before it: mr and spine")
    assert outcomes["last"] == (StageState.SKIPPED, "skipped before it: others")


@pytest.mark.parametrize("stage", ["join", "last"])
def test_a_branch_that_failed_stops_what_comes_after(tmp_path: Path, stage: str) -> None:
    outcomes = run(tmp_path, "ct", "others") if stage == "join" else run(tmp_path, "dicom-reader")
    assert outcomes[stage][0] is StageState.NOT_RUN


def test_a_stage_without_running_time_left_does_not_start(tmp_path: Path) -> None:
    state, reason = run(tmp_path, timeout=0)["dicom-reader"]
    assert state is StageState.FAILED
    assert reason.startswith("workflow 'branches' has used up its 0 s of running time")
