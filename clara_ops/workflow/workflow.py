"""A workflow that has been checked, with all that pods and DAGs are made of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from clara_ops.workflow.entry import CatalogueEntry, Resources
from clara_ops.workflow.fields import SecretKey
from clara_ops.workflow.model import Kinds, Priority, Review
from clara_ops.workflow.parameters import Parameter
from clara_ops.workflow.placement import Placement


@dataclass(frozen=True)
class StageInput:
    """A folder of the payload that a stage reads; `producer` is the stage that writes it, None for the input."""

    folder: str
    producer: str | None


@dataclass(frozen=True)
class Stage:
    """One step of a workflow.

    Attributes:
        after: names of the stages that it waits for; empty for a stage that starts the workflow.
        args: what the container's program gets, declared defaults included; with references to parameters.
        env: the catalogue entry's variables, and over them the workflow's; with references to parameters.
        resources, placement: the catalogue entry's, and over them the workflow's.
        timeout: seconds that its pod may run: the catalogue entry's, and never more than the workflow's.
        lock: file name of its lock; `wait_locks` those of the stages in `after`.
        log: file name of its log.
        when: rule that has to be met, else the stage is skipped.
    """

    name: str
    entry: CatalogueEntry
    after: tuple[str, ...]
    inputs: tuple[StageInput, ...]
    output: str
    args: tuple[str, ...] = ()
    env: Mapping[str, str | SecretKey] = field(default_factory=dict)
    resources: Resources = field(default_factory=Resources)
    placement: Placement = field(default_factory=Placement)
    timeout: int = 0
    lock: str = ""
    wait_locks: tuple[str, ...] = ()
    log: str = ""
    when: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Shadow:
    """A second model beside the stage `of`, and the stage that compares the two; both change nothing."""

    of: str
    stage: Stage
    comparison: Stage


@dataclass(frozen=True)
class Workflow:
    """A workflow whose stages stand in running order.

    Attributes:
        input: folder of the payload with what was received.
        accepts: rule over the facts of the input, see `clara_ops.contract.evaluator`; None takes everything.
        parameters: what a person may set for one run, by name.
        review: what a person is asked before delivery; None where nobody is.
        timeout: seconds that its stages may run, one after the other, see `clara_ops.workflow.budget`.
        destinations: names of DICOM destinations; empty for the one of the AE title's mapping.
        sample: folder with sample input, relative to the file.
        file: where it is written; `line` and `column` of its beginning.
        shadow: stages that run beside, and belong neither to `stages` nor to the results.
    """

    id: str
    name: str
    description: str
    input: str
    stages: tuple[Stage, ...]
    accepts: Mapping[str, Any] | None
    parameters: Mapping[str, Parameter]
    kind: Kinds
    review: Review | None
    priority: Priority
    timeout: int
    destinations: tuple[str, ...]
    sample: str | None
    file: str
    line: int
    column: int
    shadow: Shadow | None = None

    def stage(self, name: str) -> Stage:
        """The stage of that name.

        Raises:
            KeyError: there is none.
        """
        for stage in self.stages:
            if stage.name == name:
                return stage
        raise KeyError(name)

    @property
    def folders(self) -> tuple[str, ...]:
        """Every folder that the payload needs, the input first."""
        return (self.input, *(stage.output for stage in self.every_stage))

    @property
    def every_stage(self) -> tuple[Stage, ...]:
        """Every stage that becomes a pod: those of the workflow, and those of its shadow."""
        return self.stages if self.shadow is None else (*self.stages, self.shadow.stage, self.shadow.comparison)

    def priority_class(self, stage: Stage) -> str:
        """Name of the PriorityClass of a stage's pod: a shadow comes after everything else."""
        return f"clara-{self.priority if stage.name in {own.name for own in self.stages} else 'shadow'}"

    @property
    def results(self) -> tuple[Stage, ...]:
        """The stages that nothing waits for: what they write is the workflow's result, and is delivered."""
        awaited = {name for stage in self.stages for name in stage.after}
        return tuple(stage for stage in self.stages if stage.name not in awaited)

    def before(self, name: str) -> frozenset[str]:
        """Names of all stages that have to be over before the stage of that name starts."""
        found: set[str] = set()
        waiting = list(self.stage(name).after)
        while waiting:
            current = waiting.pop()
            if current not in found:
                found.add(current)
                waiting.extend(self.stage(current).after)
        return frozenset(found)
