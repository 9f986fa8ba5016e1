"""The rules of a workflow: what input it accepts, and when a stage runs."""

from collections.abc import Iterator, Mapping
from typing import Any

from clara_ops.contract.conf import FACTS
from clara_ops.contract.evaluator import attributes_of
from clara_ops.workflow.model import Accepts
from clara_ops.workflow.schema import nearest


def accepts_rule(accepts: Accepts) -> Mapping[str, Any] | None:
    """One rule for `clara_ops.contract.evaluator` out of the keys of `accepts`; None where everything is accepted."""
    parts: list[Mapping[str, Any]] = []
    for attribute in ("modality", "body_part", "orientation"):
        wanted = getattr(accepts, attribute)
        if wanted is not None:
            parts.append(
                {"attribute": attribute, "op": "in", "value": [wanted] if isinstance(wanted, str) else list(wanted)}
            )
    if accepts.minimum_instances is not None:
        parts.append({"attribute": "instances", "op": "ge", "value": accepts.minimum_instances})
    if accepts.complete:
        parts.append({"attribute": "complete", "op": "eq", "value": True})
    if accepts.rule is not None:
        parts.append(accepts.rule)
    return {"all": parts} if parts else None


def unknown_to_accepts(rule: Mapping[str, Any]) -> Iterator[str]:
    """What a rule of `accepts` asks for although nobody can know it before a stage has run."""
    for attribute in sorted(attributes_of(rule)):
        if "." in attribute:
            yield f"{attribute!r} is a finding of a stage, and 'accepts' is judged before any; use a stage's 'when'"
        elif attribute not in FACTS:
            yield _no_fact(attribute)


def unknown_to_when(rule: Mapping[str, Any], name: str, before: frozenset[str]) -> Iterator[str]:
    """What `when` of the stage of that name asks for although nobody can know it; `before` are the stages before it."""
    for attribute in sorted(attributes_of(rule)):
        step, dot, _ = attribute.partition(".")
        if dot and step not in before:
            hint = nearest(step, before)
            yield f"{attribute!r} is a finding of stage {step!r}, which is not over before {name!r}{hint}"
        elif not dot and attribute not in FACTS:
            yield _no_fact(attribute)


def _no_fact(attribute: str) -> str:
    return f"no fact is called {attribute!r}{nearest(attribute, FACTS)}; what a stage found is '<stage>.<fact>'"
