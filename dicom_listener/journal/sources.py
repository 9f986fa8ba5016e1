"""What was learnt of how each source sends."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

_FORGET = 0.9
_WRONG_IN = 20


@dataclass(frozen=True)
class Habit:
    """How a source sends.

    Attributes:
        longest_gap: seconds between two instances of one group at most, older groups counting less and less.
        releases_right: groups that were complete when their association was released.
        releases_wrong: groups of which more came later.
    """

    longest_gap: float = 0.0
    releases_right: int = 0
    releases_wrong: int = 0

    @property
    def trusted(self) -> bool:
        """Whether its releases are evidence: at most one in twenty may have been wrong."""
        return self.releases_wrong * _WRONG_IN <= self.releases_right

    def after(self, gap: float, *, release_was_right: bool | None) -> "Habit":
        """The habit with one more group in it."""
        return Habit(
            max(gap, self.longest_gap * _FORGET),
            self.releases_right + (release_was_right is True),
            self.releases_wrong + (release_was_right is False),
        )


def habit_of_group(database: sqlite3.Connection, group_id: int) -> Habit:
    """The habit of the source that sent the newest instance of a group."""
    row = database.execute(
        "SELECT longest_gap, releases_right, releases_wrong FROM sources s JOIN associations a "
        "ON a.calling_ae = s.calling_ae AND a.address = s.address WHERE a.id = "
        "(SELECT i.association FROM instances i JOIN series r ON r.id = i.series_id "
        "WHERE r.group_id = ? ORDER BY i.id DESC LIMIT 1)",
        (group_id,),
    ).fetchone()
    return Habit() if row is None else Habit(**row)


def learn(database: sqlite3.Connection, group_id: int, generation: int, *, by_release: bool) -> None:
    """Learn from a group that was just decided. A second generation shows that the decision before came too early."""
    times = _arrivals(database, group_id, generation)
    gap = max((after - before for before, after in pairwise(times) if after > before), default=0.0)
    before = database.execute(
        "SELECT by_release FROM decisions WHERE group_id = ? AND generation < ? AND state = 'complete' "
        "ORDER BY generation DESC LIMIT 1",
        (group_id, generation),
    ).fetchone()
    was_right = True if by_release else None
    if before is not None and before["by_release"]:
        was_right = False
    habit = habit_of_group(database, group_id).after(gap, release_was_right=was_right)
    database.execute(
        "INSERT OR REPLACE INTO sources (calling_ae, address, longest_gap, releases_right, releases_wrong) "
        "SELECT a.calling_ae, a.address, ?, ?, ? FROM associations a WHERE a.id = "
        "(SELECT i.association FROM instances i JOIN series r ON r.id = i.series_id "
        "WHERE r.group_id = ? ORDER BY i.id DESC LIMIT 1)",
        (habit.longest_gap, habit.releases_right, habit.releases_wrong, group_id),
    )


def _arrivals(database: sqlite3.Connection, group_id: int, generation: int) -> Sequence[float]:
    """When the instances of a generation came, the last one of the generation before it in front."""
    rows = database.execute(
        "SELECT i.received, i.generation FROM instances i JOIN series s ON s.id = i.series_id "
        "WHERE s.group_id = ? AND i.generation IN (?, ?) ORDER BY i.id",
        (group_id, generation - 1, generation),
    ).fetchall()
    earlier = [row["received"] for row in rows if row["generation"] < generation]
    return [*earlier[-1:], *(row["received"] for row in rows if row["generation"] == generation)]
