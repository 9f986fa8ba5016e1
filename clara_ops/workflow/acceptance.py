"""The rules of a workflow: what input it accepts, and when a stage runs."""

from collections.abc import Mapping
from typing import Any

from clara_ops.workflow.model import Accepts


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
