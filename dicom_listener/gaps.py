"""Whether slices are missing: evidence from instance numbers and slice positions."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from dicom_listener.journal.groups import Slice

_SAME_MM = 0.01
_GAP_FACTOR = 1.5


@dataclass(frozen=True)
class Gaps:
    """What the headers say; None where they say nothing.

    Attributes:
        numbers: the instance numbers follow each other without a gap.
        positions: the slices lie at even distances.
        absent: how many slices the gaps between the positions would hold.
    """

    instances: int
    numbers: bool | None
    positions: bool | None
    absent: int = 0

    @property
    def without_gap(self) -> bool:
        """Evidence for, and none against, that nothing is missing between the first and the last slice."""
        return True in (self.numbers, self.positions) and False not in (self.numbers, self.positions)

    @property
    def missing(self) -> bool:
        """Proof that slices are missing: a gap between positions that the instance numbers do not contradict."""
        return self.positions is False and self.numbers is not True

    @property
    def complete(self) -> bool | None:
        """For the run's facts; None where nothing is known."""
        if self.numbers is None and self.positions is None:
            return None
        return self.positions if self.positions is not None else self.numbers


def find_gaps(slices: Sequence[Slice]) -> Gaps:
    """Judge the slices of one group."""
    positions, absent = _judge_positions(slices)
    return Gaps(len(slices), _judge_numbers(slices), positions, absent)


def _judge_numbers(slices: Sequence[Slice]) -> bool | None:
    numbers = {item.number for item in slices if item.number is not None}
    if len(numbers) < 2 or any(item.number is None for item in slices):
        return None
    return max(numbers) - min(numbers) + 1 == len(numbers)


def _judge_positions(slices: Sequence[Slice]) -> tuple[bool | None, int]:
    places = sorted(item.position for item in slices if item.position is not None)
    if len(places) < len(slices) or len({item.orientation for item in slices}) != 1:
        return None, 0
    steps = [after - before for before, after in pairwise(places) if after - before > _SAME_MM]
    if len(steps) < 2:
        return None, 0
    usual = median(steps)
    wide = [step for step in steps if step > _GAP_FACTOR * usual]
    return not wide, sum(round(step / usual) - 1 for step in wide)
