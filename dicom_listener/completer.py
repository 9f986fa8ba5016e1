"""Asks of every open group whether it is complete: when an association ends, and when time has passed."""

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from clara_ops.contract.conf import FactValue
from clara_ops.contract.states import SeriesState
from dicom_listener.associations import Association, Associations, Ending
from dicom_listener.attributes import attribute_sets
from dicom_listener.completion import Decision, Policy, decide, evidence
from dicom_listener.config import Config
from dicom_listener.gaps import Gaps, find_gaps
from dicom_listener.journal import Journal
from dicom_listener.journal.groups import (
    Group,
    announced,
    decide_group,
    facts,
    get_group,
    kept_paths,
    make_runs,
    receiving_groups,
    slices,
)
from dicom_listener.journal.instances import end_association
from dicom_listener.journal.sources import Habit, habit_of_group
from dicom_listener.live_config import LiveConfig
from dicom_listener.rules import Choice, asked_attributes, choose

log = logging.getLogger(__name__)

_LONGEST_SLEEP = 60.0
_GAPS_OF_QUIET = 3
RULES = "rules"


class Completer:
    """The step of a worker: `step` judges what is due and says when to come back."""

    def __init__(
        self,
        journal: Journal,
        spool: Path,
        live: LiveConfig,
        associations: Associations,
        wake: Callable[[], None],
        on_runs: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._journal = journal
        self._spool = spool
        self._live = live
        self._associations = associations
        self._on_runs = on_runs
        self._clock = clock
        self._lock = threading.Lock()
        self._wake = wake
        self._due = dict.fromkeys(journal.read(receiving_groups), clock())

    def instance_kept(self, group_id: int) -> None:
        """A group got an instance: look at it, at the latest, after its quiet time."""
        with self._lock:
            new = group_id not in self._due
            if new:
                self._due[group_id] = self._clock()
        if new:
            self._wake()

    def association_ended(self, association: Association, ending: Ending) -> None:
        """An association ended: judge the groups of its sender at once."""
        touched, carried = self._associations.close(association, ending)
        with self._lock:
            for group_id in touched:
                self._due[group_id] = self._clock()
        if touched:
            self._wake()
        if carried:
            note = partial(end_association, association=association.id, closed=time.time(), ended=ending)
            self._journal.write(note)

    def step(self) -> float:
        """Judge the groups that are due; answers the seconds until the next one is."""
        now = self._clock()
        with self._lock:
            due = [group_id for group_id, when in self._due.items() if when <= now]
            for group_id in due:
                del self._due[group_id]
        for group_id in due:
            self._judge(group_id)
        with self._lock:
            earliest = min(self._due.values(), default=now + _LONGEST_SLEEP)
        return max(0.0, earliest - self._clock())

    def _judge(self, group_id: int) -> None:
        """Judge one group; an instance that comes meanwhile makes it due again by itself."""
        group = self._journal.read(partial(get_group, group_id=group_id))
        wait = self._decide(group) if group.state == SeriesState.RECEIVING else None
        if wait is None:
            self._associations.forget(group_id)
            return
        when = self._clock() + max(wait, 0.01)
        with self._lock:
            self._due[group_id] = min(when, self._due.get(group_id, when))

    def _decide(self, group: Group) -> float | None:
        """Seconds to wait, or None when the group is decided."""
        config = self._live.current
        traffic = self._associations.observe(group.id)
        gaps = self._journal.read(partial(judge_gaps, group_id=group.id))
        policy = _policy(config, group.ae_title, self._journal.read(partial(habit_of_group, group_id=group.id)))
        decision = decide(traffic, gaps, policy)
        if decision.state is SeriesState.RECEIVING:
            return decision.wait
        close = partial(
            close_group,
            group=group,
            decision=decision,
            grounds=evidence(traffic, gaps, policy),
            choice=self._choose(config, group) if decision.state is SeriesState.COMPLETE else None,
            now=time.time(),
        )
        run_ids = self._journal.write(close)
        if run_ids is None:
            return 0.0
        log.info(
            "group decided",
            extra={
                "ae_title": group.ae_title,
                "group": group.value,
                "state": decision.state,
                "reason": decision.reason,
            },
        )
        if run_ids:
            self._on_runs()
        return None

    def _choose(self, config: Config, group: Group) -> Choice:
        return choose_for(self._journal, self._spool, config, group)


def judge_gaps(database: sqlite3.Connection, group_id: int) -> Gaps:
    """What is known of whether a group is whole."""
    return find_gaps(slices(database, group_id), announced(database, group_id))


def choose_for(journal: Journal, spool: Path, config: Config, group: Group, *, by_person: bool = False) -> Choice:
    """What a group starts as it is; reads its files where a rule asks for an attribute."""
    known: dict[str, Any] = {**journal.read(partial(run_facts, group_id=group.id)), "calling_ae": group.calling_ae}
    files = (spool / path for path in journal.read(partial(kept_paths, group_id=group.id)))
    sets = attribute_sets(files, asked_attributes(config, group.ae_title))
    return choose(config, group.ae_title, known, sets, by_person=by_person)


def close_group(
    database: sqlite3.Connection,
    group: Group,
    decision: Decision,
    grounds: Mapping[str, Any],
    choice: Choice | None,
    now: float,
) -> list[str] | None:
    """Store a decision and, for a complete group, its pending runs, in one change.

    Args:
        choice: what a complete group starts; None for one that is held.

    Returns:
        the run ids; None when the group got another instance meanwhile.
    """
    state, reason = decision.state, decision.reason
    if choice is not None:
        if not choice.starts:
            state = SeriesState.HELD if choice.undecided else SeriesState.DISCARDED
        reason = "; ".join(filter(None, (reason, choice.remark)))
        grounds = {**grounds, RULES: [judgement.as_evidence() for judgement in choice.judgements]}
    if not decide_group(database, group, state, reason, grounds, now, by_release=decision.by_release):
        return None
    if choice is None or not choice.starts:
        return []
    return make_runs(database, group, choice.starts, run_facts(database, group.id), now)


def run_facts(database: sqlite3.Connection, group_id: int) -> dict[str, FactValue]:
    """What a run's conf tells of its input."""
    complete = judge_gaps(database, group_id).complete
    return facts(database, group_id) | ({} if complete is None else {"complete": complete})


def _policy(config: Config, ae_title: str, habit: Habit) -> Policy:
    """What the AE title asks for, with the quiet time that was learnt of the source."""
    grouping, timeout = config.grouping(ae_title), config.rules_for(ae_title).timeout
    if grouping.quiet is not None and habit.longest_gap:
        timeout = min(max(_GAPS_OF_QUIET * habit.longest_gap, grouping.quiet.floor), grouping.quiet.ceiling)
    return Policy(timeout, grouping.settle, grouping.missing, habit.trusted)
