"""What another configuration would have started: every group that was decided since a time, judged again.

Reads the journal and the stored files, and changes nothing; a listener may be at work on them meanwhile.
"""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clara_ops.contract.states import SeriesState
from dicom_listener.attributes import attribute_sets
from dicom_listener.completer import RULES, run_facts
from dicom_listener.config import Config
from dicom_listener.errors import JournalError
from dicom_listener.journal.groups import Group, decided_groups, get_group, kept_paths
from dicom_listener.journal.runs import workflows_of_group
from dicom_listener.rules import Choice, asked_attributes, choose


@dataclass(frozen=True)
class Replayed:
    """One group then, and by the other configuration.

    Attributes:
        then: state it got, and the workflows that were started.
        now: the same by the other configuration; a group that is held for missing slices stays so.
    """

    group: Group
    then: tuple[str, frozenset[str]]
    now: tuple[str, frozenset[str]]
    remark: str

    @property
    def differs(self) -> bool:
        """Whether the other configuration does anything else."""
        return self.then != self.now


def open_journal(path: Path) -> sqlite3.Connection:
    """A journal, for reading only.

    Raises:
        JournalError: there is none.
    """
    try:
        database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        database.row_factory = sqlite3.Row
        database.execute("SELECT 1 FROM groups LIMIT 1")
    except sqlite3.Error as error:
        raise JournalError(f"{path}: cannot be read as a listener's journal: {error}") from error
    return database


def replay(database: sqlite3.Connection, spool: Path, config: Config, since: float) -> Iterator[Replayed]:
    """Judge again what was decided since a time (seconds since 1970), oldest first.

    Args:
        spool: folder of the stored files.
        config: the other configuration.
    """
    for group_id, grounds in decided_groups(database, since):
        group = get_group(database, group_id)
        then = (group.state, frozenset(workflows_of_group(database, group_id)))
        if config.called(group.ae_title) is None:
            yield Replayed(group, then, ("refused", frozenset()), f"{group.ae_title} is not one of our AE titles")
            continue
        known = {**run_facts(database, group_id), "calling_ae": group.calling_ae}
        files = (spool / path for path in kept_paths(database, group_id))
        choice = choose(config, group.ae_title, known, attribute_sets(files, asked_attributes(config, group.ae_title)))
        if group.state == SeriesState.HELD and RULES not in grounds:
            yield Replayed(group, then, then, group.reason)
        else:
            yield Replayed(group, then, _outcome(choice), choice.remark)


def _outcome(choice: Choice) -> tuple[str, frozenset[str]]:
    if choice.starts:
        return SeriesState.COMPLETE, frozenset(start.workflow for start in choice.starts)
    return (SeriesState.HELD if choice.undecided else SeriesState.DISCARDED), frozenset()


def describe(item: Replayed) -> str:
    """One group for a person: what it is, what it did, what it would have done and why."""
    group = item.group
    head = f"{group.ae_title}  {group.level} {group.value}  {group.instances} instances"
    return (
        f"{head}\n  then: {_in_words(item.then)}\n  now:  {_in_words(item.now)}{item.remark and f'  ({item.remark})'}"
    )


def as_dict(item: Replayed) -> dict[str, Any]:
    """One group as plain data."""
    group = item.group
    return {
        "ae_title": group.ae_title,
        "level": group.level,
        "group": group.value,
        "instances": group.instances,
        "then": {"state": item.then[0], "workflows": sorted(item.then[1])},
        "now": {"state": item.now[0], "workflows": sorted(item.now[1]), "remark": item.remark},
        "differs": item.differs,
    }


def _in_words(outcome: tuple[str, frozenset[str]]) -> str:
    state, workflows = outcome
    return f"{state}: {', '.join(sorted(workflows))}" if workflows else state
