"""Where a pod may run, in Kubernetes' own words: node selector, tolerations, affinity, runtime class.

The models are those of core/v1, so that a key in another spelling is an error here: elsewhere it would be dropped
without a word, and the pod would run anywhere.
"""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, StrictInt, StrictStr, model_validator

from clara_ops.workflow.fields import LabelKey, LabelValue, ObjectName
from clara_ops.workflow.schema import FileModel

Weight = Annotated[StrictInt, Field(ge=1, le=100)]
Operator = Literal["In", "NotIn", "Exists", "DoesNotExist"]


def _check_values(operator: str, values: tuple[str, ...]) -> None:
    if operator in ("In", "NotIn") and not values:
        raise ValueError(f"operator {operator} needs at least one of 'values'")
    if operator in ("Exists", "DoesNotExist") and values:
        raise ValueError(f"operator {operator} takes no 'values'; leave them out")
    if operator in ("Gt", "Lt") and (len(values) != 1 or not values[0].isdigit()):
        raise ValueError(f"operator {operator} needs exactly one of 'values', a whole number in quotes")


class NodeRequirement(FileModel):
    """A condition on a label (or, in `matchFields`, a field) of a node."""

    key: LabelKey
    operator: Operator | Literal["Gt", "Lt"]
    values: tuple[LabelValue, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_values(self.operator, self.values)
        return self


class NodeTerm(FileModel):
    """Conditions on a node, all of which have to hold."""

    match_expressions: tuple[NodeRequirement, ...] = ()
    match_fields: tuple[NodeRequirement, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.match_expressions and not self.match_fields:
            raise ValueError("a term without 'matchExpressions' fits no node at all")
        return self


class NodeSelector(FileModel):
    """Terms, one of which has to hold."""

    node_selector_terms: Annotated[tuple[NodeTerm, ...], Field(min_length=1)]


class PreferredNodes(FileModel):
    """A term that makes a node better by `weight`, 1 to 100."""

    weight: Weight
    preference: NodeTerm


class NodeAffinity(FileModel):
    """Nodes that a pod needs, and nodes that it likes."""

    required: NodeSelector | None = Field(default=None, alias="requiredDuringSchedulingIgnoredDuringExecution")
    preferred: tuple[PreferredNodes, ...] = Field(default=(), alias="preferredDuringSchedulingIgnoredDuringExecution")


class LabelRequirement(FileModel):
    """A condition on a label of a pod or namespace."""

    key: LabelKey
    operator: Operator
    values: tuple[LabelValue, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_values(self.operator, self.values)
        return self


class LabelSelector(FileModel):
    """Conditions on labels, all of which have to hold."""

    match_labels: Mapping[LabelKey, LabelValue] = Field(default_factory=dict)
    match_expressions: tuple[LabelRequirement, ...] = ()


class PodTerm(FileModel):
    """Other pods, and the label of nodes that says what counts as the same place."""

    topology_key: LabelKey
    label_selector: LabelSelector | None = None
    namespaces: tuple[StrictStr, ...] = ()
    namespace_selector: LabelSelector | None = None
    match_label_keys: tuple[LabelKey, ...] = ()
    mismatch_label_keys: tuple[LabelKey, ...] = ()


class PreferredPods(FileModel):
    """A term that makes a place better by `weight`, 1 to 100."""

    weight: Weight
    pod_affinity_term: PodTerm


class PodAffinity(FileModel):
    """Pods that a pod needs, or must not have, in the same place, and those that it likes, or does not like, there."""

    required: tuple[PodTerm, ...] = Field(default=(), alias="requiredDuringSchedulingIgnoredDuringExecution")
    preferred: tuple[PreferredPods, ...] = Field(default=(), alias="preferredDuringSchedulingIgnoredDuringExecution")


class Affinity(FileModel):
    """Affinity of core/v1."""

    node_affinity: NodeAffinity | None = None
    pod_affinity: PodAffinity | None = None
    pod_anti_affinity: PodAffinity | None = None


class Toleration(FileModel):
    """A taint of nodes that does not keep the pod away."""

    key: LabelKey | None = None
    operator: Literal["Exists", "Equal"] = "Equal"
    value: LabelValue | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    toleration_seconds: StrictInt | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.operator == "Exists" and self.value is not None:
            raise ValueError("operator Exists takes no 'value'; leave it out")
        if self.operator == "Equal" and self.key is None:
            raise ValueError("a toleration without 'key' needs 'operator: Exists', and then tolerates every taint")
        if self.toleration_seconds is not None and self.effect != "NoExecute":
            raise ValueError("'tolerationSeconds' goes with 'effect: NoExecute' only")
        return self


class Placement(FileModel):
    """Where the pod may run.

    Attributes:
        node_selector: labels that the node has to have; a stage's are added to those of the catalogue.
        tolerations: taints that do not keep the pod away; a stage's are added to those of the catalogue.
        affinity: as in a pod; a stage's takes the place of the catalogue's. `gpu-product` is added to either.
        runtime_class_name: RuntimeClass of the pod, for example `nvidia`.
    """

    node_selector: Mapping[LabelKey, LabelValue] = Field(default_factory=dict)
    tolerations: tuple[Toleration, ...] = ()
    affinity: Affinity | None = None
    runtime_class_name: ObjectName | None = None

    def overlaid(self, other: "Placement") -> "Placement":
        """This placement with that of a stage laid over it."""
        return self.model_copy(
            update={
                "node_selector": {**self.node_selector, **other.node_selector},
                "tolerations": (*self.tolerations, *other.tolerations),
                "affinity": other.affinity or self.affinity,
                "runtime_class_name": other.runtime_class_name or self.runtime_class_name,
            }
        )
