"""`python -m bench.order`: two days of a hospital's GPU queue, under three rules, with the weights that tasks get.

Discrete events, no processes: runs arrive, one GPU stage each; whenever a GPU is free the rule picks what Airflow's
scheduler would, the greatest `priority_weight` first, and of equals the earliest logical date. Runs of workflows have
no logical date: equals then come as the database gives them, here at random. The last six hours nothing new comes.
"""

import heapq
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import quantiles

from clara_ops.dag.order import WEIGHTS, weight_in_queue

SEED = 5
GPUS = 2
MEDIAN_SECONDS, SPREAD = 90, 0.5
START = datetime(2026, 6, 1, tzinfo=UTC)
HOUR = 3600.0
LAST_ARRIVAL_HOUR = 18

# arrivals an hour over the day, by hour: 36 of the mean length are what one GPU can do, 72 two
BUSY = [6] * 6 + [30, 70, 95, 100, 100, 95, 85, 85, 75, 60, 45, 30]
DAYS: Mapping[str, Mapping[str, float]] = {
    "a usual day": {"lower": 0.2, "normal": 0.6, "higher": 0.15, "immediate": 0.05},
    "a day on which most is marked higher": {"lower": 0.05, "normal": 0.2, "higher": 0.7, "immediate": 0.05},
}

Rule = Callable[["Item", random.Random], tuple[float, ...]]


@dataclass(frozen=True)
class Item:
    """One run's GPU stage. Times in seconds since midnight."""

    priority: str
    arrived: float
    length: float


def absolute(item: Item, chance: random.Random) -> tuple[float, ...]:
    """The priority's weight alone; equals in any order, since there is no logical date."""
    return (-WEIGHTS[item.priority], chance.random())


def absolute_by_date(item: Item, chance: random.Random) -> tuple[float, ...]:  # noqa: ARG001 - a rule's signature
    """The priority's weight, and of equals the one that came first."""
    return (-WEIGHTS[item.priority], item.arrived)


def ageing(item: Item, chance: random.Random) -> tuple[float, ...]:
    """The product's own weights."""
    arrived = START + timedelta(seconds=item.arrived)
    return (-weight_in_queue(WEIGHTS[item.priority], arrived), chance.random())


RULES: Mapping[str, Rule] = {
    "absolute weights": absolute,
    "absolute weights, first come first": absolute_by_date,
    "weights with a head start (ours)": ageing,
}


def day(shares: Mapping[str, float], chance: random.Random) -> list[Item]:
    """The arrivals of a day: Poisson by hour, with lengths as uneven as those of real stages."""
    items = []
    for hour in range(LAST_ARRIVAL_HOUR):
        time = hour * HOUR
        while (time := time + chance.expovariate(BUSY[hour] / HOUR)) < (hour + 1) * HOUR:
            (priority,) = chance.choices(list(shares), list(shares.values()))
            items.append(Item(priority, time, MEDIAN_SECONDS * chance.lognormvariate(0, SPREAD)))
    return items


def waits(items: list[Item], rule: Rule, chance: random.Random) -> Iterator[tuple[Item, float]]:
    """How long each item waited for a GPU, in seconds."""
    coming = sorted(items, key=lambda item: item.arrived, reverse=True)
    waiting: list[tuple[tuple[float, ...], int, Item]] = []
    free_at = [0.0] * GPUS
    while coming or waiting:
        now = free_at[0]
        if not waiting:
            now = max(now, coming[-1].arrived)
        while coming and coming[-1].arrived <= now:
            item = coming.pop()
            heapq.heappush(waiting, (rule(item, chance), len(coming), item))
        _, _, item = heapq.heappop(waiting)
        heapq.heapreplace(free_at, now + item.length)
        yield item, now - item.arrived


def table(shares: Mapping[str, float], times: int = 20) -> str:
    """Minutes that each priority waits under each rule, over some days with the same arrivals, as Markdown."""
    lines = ["| rule | priority | median | 95 % | longest |", "|---|---|---:|---:|---:|"]
    for name, rule in RULES.items():
        waited: dict[str, list[float]] = {priority: [] for priority in shares}
        for number in range(times):
            items = day(shares, random.Random(SEED + number))
            for item, seconds in waits(items, rule, random.Random(number)):
                waited[item.priority].append(seconds / 60)
        for priority, minutes in waited.items():
            cuts = quantiles(minutes, n=100)
            lines.append(f"| {name} | {priority} | {cuts[49]:.0f} | {cuts[94]:.0f} | {max(minutes):.0f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    for kind, shares_of_day in DAYS.items():
        print(f"\n{kind}, minutes:\n\n{table(shares_of_day)}")
