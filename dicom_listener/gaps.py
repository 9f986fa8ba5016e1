"""Whether slices are missing: evidence from counts, instance numbers and slice positions."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from statistics import median

from dicom_listener.journal.groups import Slice

_SAME_MM = 0.01
_GAP_FACTOR = 1.5


@dataclass(frozen=True)
class Gaps:
    """What the headers and the sender say; None where they say nothing.

    Attributes:
        numbers: the instance numbers follow each other without a gap.
        positions: the slices lie at even distances.
        absent: how many slices the gaps between the positions would hold.
        announced: how many instances there are, as the sender says.
    """

    instances: int
    numbers: bool | None
    positions: bool | None
    absent: int = 0
    announced: int | None = None

    @property
    def all_there(self) -> bool:
        """The sender's own count is reached."""
        return self.announced is not None and self.instances >= self.announced

    @property
    def without_gap(self) -> bool:
        """Evidence for, and none against, that nothing is missing between the first and the last slice."""
        if self.announced is not None:
            return self.all_there
        return True in (self.numbers, self.positions) and False not in (self.numbers, self.positions)

    @property
    def missing(self) -> int:
        """How many instances are provably missing.

        Where the sender gives no count: a gap between positions that the instance numbers do not contradict.
        """
        if self.announced is not None:
            return max(0, self.announced - self.instances)
        return self.absent if self.positions is False and self.numbers is not True else 0

    @property
    def complete(self) -> bool | None:
        """For the run's facts; None where nothing is known."""
        if self.announced is not None:
            return self.all_there
        return self.numbers if self.positions is None else self.positions


def find_gaps(slices: Sequence[Slice], announced: int | None = None) -> Gaps:
    """Judge the slices of one group. Each series is judged on its own; one gap anywhere is a gap."""
    by_series = sorted(slices, key=lambda item: item.series)
    numbers: list[bool | None] = []
    positions: list[bool | None] = []
    absent = 0
    for _, group in groupby(by_series, key=lambda item: item.series):
        members = list(group)
        numbers.append(_judge_numbers(members))
        even, holes = _judge_positions(members)
        positions.append(even)
        absent += holes
    return Gaps(len(slices), _all(numbers), _all(positions), absent, announced)


def _all(verdicts: Sequence[bool | None]) -> bool | None:
    """False where one is false, else True where one is true: a series that says nothing takes nothing away."""
    if False in verdicts:
        return False
    return True if True in verdicts else None


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
