"""Open associations, and what they brought: the network's part of the evidence that a group is complete."""

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from dicom_listener.completion import Traffic

Ending = Literal["released", "aborted", "lost"]
Source = tuple[str, str]


@dataclass
class Association:
    """One association that we accepted.

    Attributes:
        opened: time of day, seconds since 1970; `since` is the time of the registry's clock.
        noted: the journal has its row.
    """

    id: str
    called_ae: str
    calling_ae: str
    address: str
    opened: float
    since: float
    noted: bool = False

    @property
    def source(self) -> Source:
        """Who sends: calling AE title and address."""
        return self.calling_ae, self.address


@dataclass
class _Carried:
    """What is known of a group since this process started.

    `broken_off`: when an association that carried it ended without a release, if no later one made up for it.
    """

    last: float
    broken_off: float | None = None
    by_association: Counter[str] = field(default_factory=Counter)
    sources: set[Source] = field(default_factory=set)


class Associations:
    """Thread-safe; times are of `clock`, which never goes back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._prefix = f"{int(time.time() * 1000):x}"
        self._counter = itertools.count(1)
        self._open: dict[str, Association] = {}
        self._closed_at: dict[Source, float] = {}
        self._groups: dict[int, _Carried] = {}

    def open(self, called_ae: str, calling_ae: str, address: str) -> Association:
        """Note an association that is being accepted."""
        with self._lock:
            name = f"{self._prefix}-{next(self._counter):x}"
            association = Association(name, called_ae, calling_ae, address, time.time(), self._clock())
            self._open[name] = association
            return association

    def list_open(self) -> list[Association]:
        """Associations that are open now."""
        with self._lock:
            return list(self._open.values())

    def count(self, source: Source | None = None) -> int:
        """How many associations are open, of one source or of all."""
        with self._lock:
            return sum(1 for item in self._open.values() if source is None or item.source == source)

    def carried(self, association: Association, group_id: int) -> None:
        """An instance of a group is durable."""
        with self._lock:
            group = self._groups.setdefault(group_id, _Carried(self._clock()))
            group.last = self._clock()
            group.by_association[association.id] += 1
            group.sources.add(association.source)

    def close(self, association: Association, ending: Ending) -> tuple[set[int], bool]:
        """Note the end of an association.

        Returns:
            the groups whose evidence changes, and whether the association brought any instance.
        """
        with self._lock:
            if self._open.pop(association.id, None) is None:
                return set(), False
            now = self._clock()
            self._closed_at[association.source] = now
            carried = [group for group in self._groups.values() if association.id in group.by_association]
            for group in carried:
                if ending != "released":
                    group.broken_off = now
                elif group.broken_off is not None and group.broken_off <= association.since:
                    group.broken_off = None
            touched = {number for number, group in self._groups.items() if association.source in group.sources}
            if not touched:
                del self._closed_at[association.source]
            return touched, bool(carried)

    def observe(self, group_id: int) -> Traffic:
        """The evidence for a group; of one that was received before this process started, quiet time starts now."""
        with self._lock:
            now = self._clock()
            group = self._groups.setdefault(group_id, _Carried(now, broken_off=now))
            still_open = any(item.source in group.sources for item in self._open.values())
            released_for = None
            if not still_open and group.broken_off is None:
                released_for = now - max(self._closed_at.get(source, now) for source in group.sources)
            batched = any(count > 1 for count in group.by_association.values())
            return Traffic(now - group.last, released_for, batched)

    def forget(self, group_id: int) -> None:
        """The group is decided: its evidence is in the journal."""
        with self._lock:
            self._groups.pop(group_id, None)
