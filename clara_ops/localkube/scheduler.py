"""Which waiting pods may start now: first come, first served, and none starves."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

Amounts = Mapping[str, Decimal]

UNLIMITED = frozenset({"ephemeral-storage"})


def schedule(waiting: Sequence[Amounts], free: Amounts, capacity: Amounts) -> list[tuple[str, ...]]:
    """Of each waiting pod, oldest first, the resources that it lacks; it may start when it lacks none.

    A pod that has to wait keeps later ones from the resources that it lacks, so that its turn comes; a pod that is
    larger than the machine keeps nobody waiting.
    """
    left = dict(free)
    kept: set[str] = set()
    shortages = []
    for request in waiting:
        wanted = {name: amount for name, amount in request.items() if amount > 0 and name not in UNLIMITED}
        lacking = tuple(sorted(name for name, amount in wanted.items() if amount > left.get(name, 0) or name in kept))
        if not lacking:
            for name, amount in wanted.items():
                left[name] -= amount
        elif all(amount <= capacity.get(name, 0) for name, amount in wanted.items()):
            kept.update(lacking)
        shortages.append(lacking)
    return shortages
