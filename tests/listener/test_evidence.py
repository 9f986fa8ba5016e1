"""What an AE title groups by, what a sender announces, and what is learnt of how it sends."""

import time
from functools import partial

import pytest
from pydantic import ValidationError

from dicom_listener.completer import _policy
from dicom_listener.config import Config, Grouping
from dicom_listener.journal.sources import Habit, habit_of_group
from tests.listener.peers import configuration, make_instance, make_series, new_series, send, wait_for


@pytest.mark.parametrize(
    ("by", "tag"),
    [("series", None), ("study", None), ("FrameOfReferenceUID", 0x00200052), ("(0008,0050)", 0x00080050)],
)
def test_an_ae_title_groups_by_series_study_or_any_element(by, tag):
    assert Grouping.model_validate({"by": by}).tag == tag


@pytest.mark.parametrize("by", ["patient", "(7FE0,0010)", "PixelData", "TransferSyntaxUID", ""])
def test_what_cannot_be_grouped_by_is_refused(by):
    with pytest.raises(ValidationError, match="neither 'series' nor 'study'"):
        Grouping.model_validate({"by": by})


def test_a_study_is_one_run(make_listener, airflow):
    listener = make_listener(grouping={"CT_AI": {"by": "study"}})
    study = new_series()
    series = [make_instance(name, number, study) for name in (new_series(), new_series()) for number in (1, 2, 3)]
    send(listener, series)
    wait_for(lambda: airflow.runs)
    (run,) = airflow.runs.values()
    assert (run["conf"]["facts"]["instances"], run["conf"]["study_uid"]) == (6, study)
    assert [row["state"] for row in listener.series()] == ["complete", "complete"]


def test_a_value_that_could_identify_stands_nowhere(make_listener, airflow):
    listener = make_listener(grouping={"CT_AI": {"by": "PatientID"}})
    send(listener, make_series(2))
    run_id = wait_for(lambda: next(iter(airflow.runs), None))
    assert "SECRET" not in str(listener.get(f"/v1/runs/{run_id}")) + str(airflow.runs)


def test_the_senders_own_count_completes_a_series_at_once(make_listener, airflow):
    listener = make_listener(ae_titles=[{"ae-title": "CT_AI", "timeout": 60}])
    (instance,) = make_series(1)
    instance.NumberOfSeriesRelatedInstances = 1
    started = time.monotonic()
    send(listener, [instance])
    wait_for(lambda: airflow.runs)
    assert time.monotonic() - started < 10
    assert next(iter(airflow.runs.values()))["conf"]["facts"]["complete"] is True


def test_fewer_than_announced_are_held(make_listener, airflow):
    listener = make_listener(ae_titles=[{"ae-title": "CT_AI", "timeout": 1}])
    series = make_series(3)
    for instance in series:
        instance.NumberOfSeriesRelatedInstances = 5
    send(listener, series)
    row = wait_for(lambda: next((row for row in listener.series() if row["state"] == "held"), None))
    assert row["reason"].startswith("2 of 5 instances are missing")
    assert airflow.runs == {}


def test_a_release_that_was_too_early_is_learnt_from(make_listener, airflow):
    listener = make_listener()
    name = new_series()
    send(listener, [make_instance(name, number) for number in (1, 2)])
    wait_for(lambda: len(airflow.runs) == 1)
    send(listener, [make_instance(name, number) for number in (3, 4)])
    wait_for(lambda: len(airflow.runs) == 2)
    habit = listener.service._journal.read(partial(habit_of_group, group_id=1))
    assert (habit.releases_right, habit.releases_wrong, habit.trusted) == (1, 1, False)


def test_a_source_is_trusted_again_after_twenty_right_releases():
    habit = Habit().after(1.0, release_was_right=False)
    assert not habit.trusted
    for _ in range(20):
        habit = habit.after(0.1, release_was_right=True)
    assert habit.trusted


@pytest.mark.parametrize(("gap", "timeout"), [(0.0, 2), (0.1, 1), (2.0, 6), (60.0, 20)])
def test_learnt_quiet_time_stays_between_floor_and_ceiling(gap, timeout):
    grouping = {"CT_AI": {"quiet": {"floor": 1, "ceiling": 20}}}
    config = Config.model_validate(configuration("http://127.0.0.1:1", 11112, grouping=grouping))
    assert _policy(config, "CT_AI", Habit(longest_gap=gap)).timeout == timeout
