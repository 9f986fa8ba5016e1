"""`result.json` in a stage's output folder: what the stage says of its own work. Read by `when`, never delivered."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from clara_ops.contract.conf import FactValue


@dataclass(frozen=True)
class StageResult:
    """Facts that a stage found; `reason` says why there was nothing to do (exit 99) or what a person should know."""

    DOCUMENT_VERSION: ClassVar[int] = 1

    reason: str | None = None
    facts: Mapping[str, FactValue] = field(default_factory=dict)
