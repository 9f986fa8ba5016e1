"""What goes when its time is over, what goes earlier when the disk fills, and what never does."""

import os
import sqlite3
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from pydantic import ValidationError

from clara_ops.contract.states import DeliveryState, RunState, SeriesState
from dicom_listener.config import Config, Retention
from dicom_listener.errors import Conflict
from dicom_listener.journal import Journal
from dicom_listener.journal.deliveries import request_delivery
from dicom_listener.journal.groups import Start, decide_group, find_group, make_runs
from dicom_listener.journal.instances import record_instance
from dicom_listener.journal.retention import due_payloads, expire
from dicom_listener.journal.runs import find_run, move_run, run_instances
from dicom_listener.journal.schema import MIGRATIONS
from dicom_listener.payloads import build_payload
from dicom_listener.requests import Requests
from dicom_listener.retention import Retainer
from tests.listener.desk import Desk
from tests.listener.peers import WORKFLOW, configuration
from tests.listener.test_journal import arrival

DAY = 86400.0


@dataclass
class Settings:
    """A configuration in force."""

    current: Config


class Store(Desk):
    """A desk with payloads, and a retainer whose clock and disk the test holds."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.now = 0.0
        self.free = 50.0
        changes = {"retention": {"payloads": "7d", "failed": "30d", "received": "14d", "discarded": "3d"}}
        self.live = Settings(Config.model_validate(configuration("http://127.0.0.1:1", 11112, **changes)))
        self.retainer = Retainer(self.journal, self.live, self.data, lambda _: self.free, lambda: self.now)

    def ended(self, series: str, state: RunState | None) -> str:
        run_id = self.run(series=series)
        run = self.journal.read(partial(find_run, run_id=run_id))
        build_payload(self.data, run, self.journal.read(partial(run_instances, run=run)))
        if state is not None:
            self.journal.write(partial(move_run, run_id=run_id, state=state, reason="", now=100.0))
        return run_id

    def after(self, days: float) -> tuple[set[str], set[str]]:
        """The payloads and the series whose files are there when so many days have gone by."""
        self.now = 100.0 + days * DAY
        while self.retainer.step() == 0.0:
            continue
        payloads = {path.name for path in (self.data / "payloads").iterdir()}
        return payloads, {path.parent.name for path in (self.data / "spool").rglob("*.dcm")}


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path)
    yield made
    made.journal.close()


def test_payloads_go_before_images_each_in_its_time(store):
    run_id = store.ended("1", RunState.DELIVERED)
    assert store.after(6.9) == ({run_id}, {"1"})
    assert store.after(7.1) == (set(), {"1"})
    assert store.after(14.1) == (set(), set())


def test_what_failed_stays_longer(store):
    run_id = store.ended("1", RunState.FAILED)
    assert store.after(29) == ({run_id}, {"1"})
    assert store.after(31) == (set(), set())


@pytest.mark.parametrize("state", [None, RunState.TRIGGERED, RunState.RUNNING])
def test_what_goes_on_stays_for_ever_even_when_the_disk_fills(store, state):
    run_id = store.ended("1", state)
    store.free = 1.0
    assert store.after(4000) == ({run_id}, {"1"})


def test_what_is_on_its_way_to_the_pacs_stays(store):
    run_id = store.ended("1", RunState.DONE)
    ask = partial(request_delivery, payload=run_id, folder="out", destination="DCM4CHEE", reason="", now=1.0)
    store.journal.write(partial(ask, state=DeliveryState.SENDING))
    assert store.after(4000)[0] == {run_id}


@pytest.mark.parametrize(("state", "stays"), [(SeriesState.HELD, True), (SeriesState.DISCARDED, False)])
def test_what_is_held_stays_and_what_nobody_wanted_goes(store, state, stays):
    store.journal.write(partial(record_instance, arrival=arrival(1)))
    file = store.data / "spool" / arrival(1).path
    file.parent.mkdir(parents=True)
    file.touch()
    (store.data / "payloads").mkdir()
    group = store.journal.read(partial(find_group, ae_title="CT_AI", value="1"))
    store.journal.write(lambda database: decide_group(database, group, state, "test", {}, 3.0))
    assert store.after(3.1)[1] == ({"1"} if stays else set())


def test_when_the_disk_fills_what_ended_well_goes_before_its_time(store):
    failed, well = store.ended("1", RunState.FAILED), store.ended("2", RunState.DELIVERED)
    store.free = 5.0
    assert store.after(0.01) == ({failed, well}, {"1", "2"})
    assert store.after(0.1) == ({failed}, {"1"})


def test_a_crash_between_the_journal_and_the_disk_is_made_good(store):
    run_id = store.ended("1", RunState.DELIVERED)
    (due,) = store.journal.read(partial(due_payloads, before={RunState.DELIVERED: 1e9}, limit=9))
    store.journal.write(partial(expire, due=due, now=1.0))
    assert run_id in {path.name for path in (store.data / "payloads").iterdir()}
    assert store.after(0) == (set(), {"1"})


def test_a_run_that_was_asked_for_meanwhile_keeps_the_images(store):
    store.ended("1", RunState.DELIVERED)
    assert store.after(13.9)[1] == {"1"}
    group = store.journal.read(partial(find_group, ae_title="CT_AI", value="1"))
    store.journal.write(lambda database: make_runs(database, group, [Start(WORKFLOW, None)], {}, 3.0))
    assert store.after(20)[1] == {"1"}


def test_images_that_are_sent_again_after_their_removal_are_a_new_generation(store):
    store.ended("1", RunState.DELIVERED)
    store.after(15)
    recorded = store.journal.write(partial(record_instance, arrival=arrival(1, received=20 * DAY)))
    group = store.journal.read(partial(find_group, ae_title="CT_AI", value="1"))
    assert (recorded.status, group.state, group.generation, group.instances) == ("kept", "receiving", 2, 1)


def test_a_journal_of_the_release_before_is_brought_to_this_one(tmp_path):
    database = sqlite3.connect(tmp_path / "journal.db")
    database.executescript(f"{MIGRATIONS[0]}; PRAGMA user_version = 1;")
    database.close()
    Journal(tmp_path / "journal.db").close()
    database = sqlite3.connect(tmp_path / "journal.db")
    assert database.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    database.close()


@pytest.mark.parametrize("age", ["7", "a week", "7w", 7])
def test_an_age_that_is_none_is_refused(age):
    with pytest.raises(ValidationError, match="is no age: expected never, or a number and m, h or d"):
        Retention.model_validate({"payloads": age})


def test_never_is_an_age():
    assert Retention.model_validate({"received": "never"}).received == float("inf")


def test_files_that_came_by_rest_go_with_the_last_payload_of_their_group(tmp_path: Path) -> None:
    store = Store(tmp_path)
    requests = Requests(store.journal, store.live, store.data, lambda: None, lambda: None)
    writer = requests.receive_files("multipart/form-data; boundary=limit")
    head = b'--limit\r\nContent-Disposition: form-data; name="files"; filename="a.npz"\r\n\r\n'
    writer.feed(head + b"scan\r\n--limit--\r\n")
    first = requests.start_run_on_files(Start(WORKFLOW, None), "CT_AI", writer, writer.finish(), None)
    second = requests.start_run(Start(WORKFLOW, None), "CT_AI", first.group_value)
    for run in (first, second):
        build_payload(store.data, run, [])
    folder = store.data / "uploads" / first.group_value
    os.utime(folder, (0, 0))
    store.now = time.time() + 8 * DAY
    while store.retainer.step() == 0.0:
        continue
    assert [path.name for path in (store.data / "payloads").iterdir()] == [second.run_id]
    assert folder.is_dir()
    store.journal.write(partial(move_run, run_id=second.run_id, state=RunState.DONE, reason="", now=time.time()))
    while store.retainer.step() == 0.0:
        continue
    assert not folder.exists()
    with pytest.raises(Conflict, match="send them again"):
        requests.start_run(Start(WORKFLOW, None), "CT_AI", first.group_value)
