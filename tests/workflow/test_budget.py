"""The running time of a workflow: chains add up, branches do not, and nothing is left when it is used up."""

from dataclasses import replace

import pytest

from clara_ops.workflow.budget import deadline_of, used_before, used_up
from clara_ops.workflow.workflow import Workflow

from .conftest import Load

DIAMOND = """\
id: 7b413e24-d018-4689-8c41-73272f6649d4
name: diamond
timeout: 500
stages:
  - {stage: dicom-reader}
  - {stage: ai-vnet, name: left}
  - {stage: ai-vnet, name: right, after: dicom-reader}
  - {stage: dicom-writer, after: [left, right]}
"""


@pytest.fixture
def diamond(load: Load) -> Workflow:
    """A reader, two branches, and a join."""
    (workflow,) = load(DIAMOND)
    return workflow


def test_a_join_has_used_what_the_longer_branch_has(diamond: Workflow) -> None:
    used = {"dicom-reader": 10.0, "left": 110.0, "right": 60.0}
    assert used_before(diamond.stage("dicom-reader"), used) == 0
    assert used_before(diamond.stage("right"), used) == 10
    assert used_before(diamond.stage("dicom-writer"), used) == 110
    assert used_before(diamond.stage("dicom-writer"), {"right": 60.0}) == 60


@pytest.mark.parametrize(
    ("used", "deadline"), [(0.0, 300), (200.0, 300), (200.1, 299), (499.0, 1), (499.5, 0), (520.0, -20)]
)
def test_a_deadline_is_the_stages_own_or_what_is_left(diamond: Workflow, used: float, deadline: int) -> None:
    assert deadline_of(diamond, diamond.stage("left"), used) == deadline


def test_a_short_stage_keeps_its_own_deadline(diamond: Workflow) -> None:
    assert deadline_of(diamond, replace(diamond.stage("left"), timeout=5), 100.0) == 5


def test_what_is_said_when_it_is_used_up(diamond: Workflow) -> None:
    text = used_up(diamond, diamond.stage("left"), 499.7)
    assert text.startswith(
        "workflow 'diamond' has used up its 500 s of running time: 500 s ran before this try of stage"
    )
