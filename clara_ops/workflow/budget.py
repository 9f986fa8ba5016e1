"""The running time of a workflow: what its `timeout` bounds, and what of it is left for a stage.

Only running counts, never waiting in a queue, for a person or for a delivery. What is used at the end of a stage is the
longest chain of stages that ran one after the other up to there; stages beside each other do not add up.
"""

import math
from collections.abc import Mapping

from clara_ops.workflow.workflow import Stage, Workflow


def used_before(stage: Stage, used: Mapping[str, float]) -> float:
    """Seconds of running time used when a stage may start.

    Args:
        used: seconds used at the end of each stage that has run; a stage that was skipped used none.
    """
    return max((used.get(name, 0.0) for name in stage.after), default=0.0)


def deadline_of(workflow: Workflow, stage: Stage, used: float) -> int:
    """Seconds that a stage's pod may run: its own timeout, or what is left of the workflow's; below 1 there is none."""
    return min(stage.timeout, math.floor(workflow.timeout - used))


def used_up(workflow: Workflow, stage: Stage, used: float) -> str:
    """What is said of a stage that has no running time left, and what to do."""
    return (
        f"workflow {workflow.name!r} has used up its {workflow.timeout} s of running time: {used:.0f} s ran before "
        f"this try of stage {stage.name!r}; raise 'timeout' of the workflow, or 'workflowTimeout' in the catalogue file"
    )
