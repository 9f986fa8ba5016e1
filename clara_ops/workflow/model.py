"""A workflow as it is written in the extended form; the form of 2019 is turned into this one."""

from typing import Annotated, Literal

from pydantic import Field, StrictBool, StrictInt, StrictStr

from clara_ops.workflow.entry import Resources
from clara_ops.workflow.fields import Environment, Rule, Seconds
from clara_ops.workflow.parameters import Parameters
from clara_ops.workflow.placement import Placement
from clara_ops.workflow.schema import FileModel

Priority = Literal["lower", "normal", "higher", "immediate"]
Kind = Literal["dicom", "mhd", "npz"]
NotEmpty = Annotated[StrictStr, Field(min_length=1)]
OneOrMore = NotEmpty | Annotated[tuple[NotEmpty, ...], Field(min_length=1)]
WORKFLOW_INPUT = "dicom/input"
MAX_STAGES = 200


class Accepts(FileModel):
    """What the workflow is made for; judged over the facts of the input before any pod starts.

    Attributes:
        modality: DICOM Modality, one or a list of them.
        body_part: DICOM Body Part Examined, one or a list of them.
        orientation: axial, coronal, sagittal or oblique.
        minimum_instances: fewer received instances than this are not worth a run.
        complete: true takes only input that the listener saw completely.
        rule: any other rule, which has to hold too.
    """

    modality: OneOrMore | None = None
    body_part: OneOrMore | None = None
    orientation: OneOrMore | None = None
    minimum_instances: Annotated[StrictInt, Field(ge=1)] | None = None
    complete: StrictBool = False
    rule: Rule | None = None


class StageSpec(FileModel):
    """One step of a workflow.

    Attributes:
        stage: name of the catalogue entry.
        name: what this step is called, and its Airflow task id; the catalogue entry's name when not given.
        after: steps that it waits for; the one before it in the list when not given.
        input: folders of the payload that it reads; what the steps in `after` write when not given.
        output: folder that it writes; `<name>/output` when not given.
        args: options, as one shell line or as a list of words; `${name}` in a word stands for a parameter's value.
        env: variables as in the catalogue, Secrets included; these win over those. `${name}` in a value as in `args`.
        resources: over those of the catalogue.
        placement: where the pod may run, over that of the catalogue.
        when: rule over the facts of the input (`modality`) and what a step found (`<step>.<fact>`); not met = skipped.
    """

    stage: StrictStr
    name: StrictStr | None = None
    after: StrictStr | tuple[StrictStr, ...] | None = None
    input: StrictStr | tuple[StrictStr, ...] | None = None
    output: StrictStr | None = None
    args: StrictStr | tuple[StrictStr, ...] = ""
    env: Environment = Field(default_factory=dict)
    resources: Resources = Resources()
    placement: Placement = Placement()
    when: Rule | None = None


class Kinds(FileModel):
    """What goes in and what comes out.

    Attributes:
        input: kind of the received files, or several: a series with the sinogram that it was made from.
        output: what its last stages write.
    """

    input: Kind | Annotated[tuple[Kind, ...], Field(min_length=1)] = "dicom"
    output: Kind = "dicom"

    @property
    def inputs(self) -> tuple[Kind, ...]:
        """The kinds of the received files."""
        return self.input if isinstance(self.input, tuple) else (self.input,)


class Review(FileModel):
    """A person approves or rejects the results before they are delivered, in Airflow, and may say why.

    Attributes:
        time_limit: seconds that the run waits for an answer.
        on_timeout: what happens without one: results are delivered, are not, or the run fails.
        question: what the person is asked, above the findings.
    """

    time_limit: Seconds = 86400
    on_timeout: Literal["approve", "reject", "fail"] = "reject"
    question: StrictStr = "May these results be delivered?"


class ShadowSpec(FileModel):
    """A second model beside a stage: it reads the same input, is compared label by label, and is never delivered.

    Attributes:
        of: the step that it runs beside.
        stage: name of the catalogue entry.
        name: what it is called, and its Airflow task id; `<of>-shadow` when not given.
        args: options, as for a step.
        env: variables, as for a step.
        resources: over those of the catalogue.
        placement: where the pod may run, over that of the catalogue.
    """

    of: StrictStr
    stage: StrictStr
    name: StrictStr | None = None
    args: StrictStr | tuple[StrictStr, ...] = ""
    env: Environment = Field(default_factory=dict)
    resources: Resources = Resources()
    placement: Placement = Placement()


class WorkflowSpec(FileModel):
    """One workflow.

    Attributes:
        id: UUID, for this workflow only; AE titles are mapped to it.
        name: Airflow's dag id: lower case letters, digits and `-`, at most 63.
        description: what people read of it in Airflow.
        stages: its steps.
        input: folder of the payload that the received files appear in.
        accepts: what input it is made for.
        parameters: what a person may set for one run, by name; every stage gets each of them as
            `CLARA_PARAMETER_<NAME>`, and may refer to it in `args` and `env`.
        kind: of what kind input and output are.
        shadow: a second model that runs beside a step, and changes nothing.
        review: a person decides whether the results are delivered; without it they are.
        timeout: seconds that its stages may run, one after the other; 600 when not given, 1800 at most, unless the
            catalogue file says otherwise (`workflowTimeout`). Waiting, review and delivery do not count.
        priority: order in queues and on nodes.
        destinations: names of DICOM destinations; the one of the AE title's mapping when not given.
        sample: folder with sample input, relative to this file.
    """

    id: StrictStr
    name: StrictStr
    description: StrictStr = ""
    stages: Annotated[tuple[StageSpec, ...], Field(max_length=MAX_STAGES)]
    input: StrictStr = WORKFLOW_INPUT
    accepts: Accepts = Accepts()
    parameters: Parameters
    kind: Kinds = Kinds()
    shadow: ShadowSpec | None = None
    review: Review | None = None
    timeout: Seconds | None = None
    priority: Priority = "normal"
    destinations: tuple[StrictStr, ...] = ()
    sample: StrictStr | None = None
