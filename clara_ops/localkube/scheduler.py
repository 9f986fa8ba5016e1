"""Which waiting pods may start now: first come, first served, and none starves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

Amounts = Mapping[str, Decimal]

UNLIMITED = frozenset({"ephemeral-storage"})


@dataclass(frozen=True)
class Verdict:
    """Of one waiting pod: `short_of` are the resources that it lacks, none if it may start."""

    short_of: tuple[str, ...]


def schedule(waiting: Sequence[Amounts], free: Amounts, capacity: Amounts) -> list[Verdict]:
    """Judge the waiting pods, oldest first.

    A pod that has to wait keeps later ones from the resources that it lacks, so that its turn comes; a pod that is
    larger than the machine keeps nobody waiting.
    """
    left = dict(free)
    kept: set[str] = set()
    verdicts = []
    for request in waiting:
        wanted = {name: amount for name, amount in request.items() if amount > 0 and name not in UNLIMITED}
        lacking = tuple(sorted(name for name, amount in wanted.items() if amount > left.get(name, 0) or name in kept))
        if not lacking:
            for name, amount in wanted.items():
                left[name] -= amount
        elif all(amount <= capacity.get(name, 0) for name, amount in wanted.items()):
            kept.update(lacking)
        verdicts.append(Verdict(lacking))
    return verdicts
