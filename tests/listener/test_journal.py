"""The journal: group commit, errors of single changes, locks, migrations; a group's states under random arrivals."""

import sqlite3
import threading
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clara_ops.contract.states import RunState, SeriesState
from dicom_listener.errors import Conflict, JournalError
from dicom_listener.journal import Journal
from dicom_listener.journal.groups import Start, decide_group, find_group, get_group, make_runs
from dicom_listener.journal.instances import (
    Arrival,
    Status,
    record_conflict,
    record_instance,
    record_replacement,
)
from dicom_listener.journal.runs import find_run, list_runs, mark_triggered, run_instances
from dicom_listener.journal.schema import MIGRATIONS
from tests.listener.peers import WORKFLOW

ARRIVAL = Arrival(
    ae_title="CT_AI",
    calling_ae="PACS",
    address="127.0.0.1",
    association="a-1",
    first_of_association=True,
    opened=1.0,
    received=2.0,
    sop_uid="1.1",
    sop_class="1.2.840.10008.5.1.4.1.1.2",
    series_uid="1",
    study_uid="9",
    transfer_syntax="1.2.840.10008.1.2.1",
    path="CT_AI/1/1.1_a.dcm",
    size=10,
    level="series",
    group="1",
    number=1,
    position=1.0,
    orientation="1.000\\0.000\\0.000\\0.000\\1.000\\0.000",
    modality="CT",
    body_part="ABDOMEN",
    announced=None,
    ignored=False,
    late="new-generation",
)


def arrival(number: int, copy: int = 0, **changes) -> Arrival:
    return replace(ARRIVAL, sop_uid=f"1.{number}", path=f"CT_AI/1/1.{number}_{copy}.dcm", number=number, **changes)


@pytest.fixture
def journal(tmp_path):
    opened = Journal(tmp_path / "journal.db")
    yield opened
    opened.close()


def record(journal, item):
    return journal.write(partial(record_instance, arrival=item))


def complete(journal, workflows=(WORKFLOW,)):
    group = journal.read(partial(find_group, ae_title="CT_AI", value="1"))

    def change(database):
        assert decide_group(database, group, SeriesState.COMPLETE, "test", {}, 3.0)
        return make_runs(database, group, [Start(name, None) for name in workflows], {}, 3.0)

    return journal.write(change)


def paths_of(journal, run_id):
    run = journal.read(partial(find_run, run_id=run_id))
    return [item.path for item in journal.read(partial(run_instances, run=run))]


def test_many_writers_share_syncs_and_each_gets_its_own_answer(journal):
    answers = {}

    def work(number):
        answers[number] = record(journal, arrival(number)).status

    threads = [threading.Thread(target=work, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == dict.fromkeys(range(40), Status.KEPT)
    assert journal.read(partial(find_group, ae_title="CT_AI", value="1")).instances == 40


def test_a_change_that_fails_undoes_itself_alone(journal):
    record(journal, arrival(1))

    def broken(database):
        database.execute("UPDATE groups SET generation = 99")
        raise Conflict("no")

    with pytest.raises(Conflict):
        journal.write(broken)
    assert journal.read(partial(get_group, group_id=1)).generation == 1


def test_a_folder_that_cannot_be_synced_fails_the_write(journal, tmp_path):
    with pytest.raises(OSError):
        journal.write(partial(record_instance, arrival=arrival(1)), folders=[tmp_path / "gone"])
    assert journal.read(partial(find_group, ae_title="CT_AI", value="1")) is None
    assert record(journal, arrival(1)).status is Status.KEPT


def test_a_second_listener_is_kept_off(journal, tmp_path):
    with pytest.raises(JournalError, match="another listener works on this journal"):
        Journal(tmp_path / "journal.db")


def test_a_journal_of_a_later_release_is_left_alone(tmp_path):
    database = sqlite3.connect(tmp_path / "later.db")
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(JournalError, match="schema 99"):
        Journal(tmp_path / "later.db")


def test_a_journal_of_the_first_release_keeps_its_runs(tmp_path):
    database = sqlite3.connect(tmp_path / "old.db")
    database.executescript(f"BEGIN; {MIGRATIONS[0]}; PRAGMA user_version = 1; COMMIT;")
    group = (1, "CT_AI", "series", "1", "9", "1", "PACS", "complete", "", 1)
    database.execute(f"INSERT INTO groups VALUES ({', '.join('?' * len(group))})", group)
    old = ("r", "w", None, "CT_AI", 1, "1", 1, 1, "PACS", "9", "1", "{}", None, "triggered", "", 1, 1, 1, 1, None, None)
    database.execute(f"INSERT INTO runs VALUES ({', '.join('?' * len(old))})", old)
    database.commit()
    database.close()
    opened = Journal(tmp_path / "old.db")
    (run,) = opened.read(partial(list_runs, limit=10))
    assert (run.run_id, run.state, run.parameters, run.request_id) == ("r", RunState.TRIGGERED, "{}", None)
    opened.close()


def test_a_file_that_is_no_journal_is_named(tmp_path):
    (tmp_path / "text.db").write_text("this is no database, but long enough to be taken for a file" * 40)
    with pytest.raises(JournalError, match=r"text\.db"):
        Journal(tmp_path / "text.db")


def test_the_same_uid_is_recorded_once(journal):
    first = record(journal, arrival(1))
    again = record(journal, arrival(1, copy=1))
    assert (again.status, again.existing, again.group_id) == (None, "CT_AI/1/1.1_0.dcm", first.group_id)
    assert journal.write(partial(record_conflict, arrival=arrival(1, copy=1))).status is Status.CONFLICT
    (run_id,) = complete(journal)
    assert paths_of(journal, run_id) == ["CT_AI/1/1.1_0.dcm"]


def test_a_replacement_counts_instead_of_the_first(journal):
    record(journal, arrival(1))
    (first,) = complete(journal)
    journal.write(partial(record_replacement, arrival=arrival(1, copy=1)))
    (second,) = complete(journal)
    assert paths_of(journal, first) == ["CT_AI/1/1.1_0.dcm"], "a run keeps the input that it was decided on"
    assert paths_of(journal, second) == ["CT_AI/1/1.1_1.dcm"]
    assert journal.read(partial(get_group, group_id=1)).instances == 1


@pytest.mark.parametrize(
    ("late", "state", "status", "generation"),
    [
        ("new-generation", "receiving", Status.KEPT, 2),
        ("attach", "complete", Status.KEPT, 1),
        ("aside", "complete", Status.ASIDE, 1),
    ],
)
def test_late_instances_by_policy(journal, late, state, status, generation):
    record(journal, arrival(1))
    complete(journal)
    assert record(journal, arrival(2, late=late)).status is status
    group = journal.read(partial(get_group, group_id=1))
    assert (group.state, group.generation) == (state, generation)


def test_ignored_instances_are_shown_and_hold_nothing_up(journal):
    assert record(journal, arrival(1, ignored=True)).status is Status.IGNORED
    assert journal.read(partial(get_group, group_id=1)).state == "discarded"
    assert record(journal, arrival(2, late="aside")).status is Status.KEPT
    group = journal.read(partial(get_group, group_id=1))
    assert (group.state, group.instances) == ("receiving", 1)


def test_a_later_generation_supersedes_what_is_not_delivered(journal):
    record(journal, arrival(1))
    (first,) = complete(journal)
    record(journal, arrival(2))
    (second,) = complete(journal)
    assert journal.read(partial(find_run, run_id=first)).state == RunState.SUPERSEDED
    run = journal.read(partial(find_run, run_id=second))
    journal.write(partial(mark_triggered, run=run, dag_id="organ-seg", reason="", now=4.0))
    record(journal, arrival(3))
    (third,) = complete(journal)
    assert journal.read(partial(find_run, run_id=second)).state == RunState.TRIGGERED
    run = journal.read(partial(find_run, run_id=third))
    journal.write(partial(mark_triggered, run=run, dag_id="organ-seg", reason="", now=5.0))
    assert journal.read(partial(find_run, run_id=second)).state == RunState.SUPERSEDED
    assert [name[-3:] for name in (first, second, third)] == ["-g1", "-g2", "-g3"]


def test_a_decision_over_an_old_state_is_refused(journal):
    record(journal, arrival(1))
    before = journal.read(partial(get_group, group_id=1))
    record(journal, arrival(2))
    decide = partial(decide_group, group=before, state=SeriesState.COMPLETE, reason="", evidence={}, now=3.0)
    assert journal.write(decide) is False


@settings(max_examples=60, deadline=None)
@given(history=st.lists(st.sampled_from(["instance", "again", "decide", "restart"]), max_size=30))
def test_every_instance_is_in_exactly_one_generation_and_every_generation_has_one_run(history, tmp_path_factory):
    path = tmp_path_factory.mktemp("journal") / "journal.db"
    journal = Journal(path)
    sent = 0
    for action in history:
        if action == "instance":
            sent += 1
            record(journal, arrival(sent))
        elif action == "again" and sent:
            record(journal, arrival(sent, copy=1))
        elif action == "restart":
            journal.close()
            journal = Journal(path)
        elif action == "decide":
            group = journal.read(partial(find_group, ae_title="CT_AI", value="1"))
            if group is not None and group.state == SeriesState.RECEIVING:
                complete(journal, (WORKFLOW, "second-workflow"))
    runs = journal.read(partial(list_runs, limit=1000))
    rows = journal.read(lambda database: database.execute("SELECT sop_uid, generation FROM instances").fetchall())
    group = journal.read(partial(find_group, ae_title="CT_AI", value="1"))
    journal.close()
    assert sorted(row["sop_uid"] for row in rows) == sorted(f"1.{number}" for number in range(1, sent + 1))
    decided = {row["generation"] for row in rows}
    if group is not None and group.state == SeriesState.RECEIVING:
        decided.discard(group.generation)
    for workflow in (WORKFLOW, "second-workflow"):
        assert sorted(run.generation for run in runs if run.workflow == workflow) == sorted(decided)
