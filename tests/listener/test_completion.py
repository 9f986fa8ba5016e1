"""When a group is complete: the decision alone, and over random histories with a clock of the test's own."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clara_ops.contract.states import SeriesState
from dicom_listener.associations import Associations
from dicom_listener.completion import Policy, Traffic, decide
from dicom_listener.gaps import find_gaps
from dicom_listener.journal.groups import Slice

POLICY = Policy(timeout=5, settle=0.3, missing="hold")
AXIAL = "1.000\\0.000\\0.000\\0.000\\1.000\\0.000"


def stack(*numbers: int, spacing: float = 2.0) -> list[Slice]:
    return [Slice(1, number, number * spacing, AXIAL) for number in numbers]


@pytest.mark.parametrize(
    ("slices", "numbers", "positions", "absent"),
    [
        (stack(*range(267, 287)), True, True, 0),
        (stack(1, 2, 3, 5, 6), False, False, 1),
        (stack(1, 2, 3, 9, 10), False, False, 5),
        (stack(1), None, None, 0),
        ([Slice(1, None, None, None)] * 4, None, None, 0),
        ([Slice(1, number, None, None) for number in (1, 2, 3)], True, None, 0),
        ([Slice(1, number, None, None) for number in (1, 2, 4)], False, None, 0),
        ([*stack(1, 2, 3), Slice(1, 4, 0.0, "0.000\\1.000\\0.000\\0.000\\0.000\\-1.000")], True, None, 0),
        ([Slice(1, number, float(number % 5), AXIAL) for number in range(1, 21)], True, True, 0),
    ],
    ids=["whole", "gap", "wide gap", "one", "nothing known", "numbers", "numbers gap", "localizer", "four phases"],
)
def test_evidence_of_gaps(slices, numbers, positions, absent):
    gaps = find_gaps(slices)
    assert (gaps.numbers, gaps.positions, gaps.absent) == (numbers, positions, absent)


@pytest.mark.parametrize(
    ("traffic", "slices", "state"),
    [
        (Traffic(0.4, 0.3, True), stack(1, 2, 3), SeriesState.COMPLETE),
        (Traffic(0.4, 0.1, True), stack(1, 2, 3), SeriesState.RECEIVING),
        (Traffic(4.9, None, True), stack(1, 2, 3), SeriesState.RECEIVING),
        (Traffic(4.9, 4.0, False), stack(1, 2, 3), SeriesState.RECEIVING),
        (Traffic(4.9, 4.0, True), stack(1, 2, 4), SeriesState.RECEIVING),
        (Traffic(5.0, None, False), stack(1), SeriesState.COMPLETE),
        (Traffic(5.0, 4.0, True), stack(1, 2, 3, 5), SeriesState.HELD),
    ],
    ids=["released", "settling", "open", "one an association", "gap", "quiet", "quiet with a gap"],
)
def test_decision(traffic, slices, state):
    assert decide(traffic, find_gaps(slices), POLICY).state is state


def test_missing_slices_run_when_the_policy_says_so():
    policy = Policy(5, 0.3, "run")
    assert decide(Traffic(5.0, None, True), find_gaps(stack(1, 2, 3, 5)), policy).state is SeriesState.COMPLETE


@given(
    st.floats(0, 20),
    st.none() | st.floats(0, 20),
    st.booleans(),
    st.sets(st.integers(1, 12), min_size=1),
    st.sampled_from(["hold", "run"]),
)
def test_a_wait_always_ends_and_never_lasts_beyond_the_timeout(quiet, released, batched, numbers, missing):
    policy = Policy(5, 0.3, missing)
    traffic = Traffic(quiet, released, batched)
    decision = decide(traffic, find_gaps(stack(*numbers)), policy)
    if decision.state is SeriesState.RECEIVING:
        assert 0 < decision.wait <= policy.timeout
        later = Traffic(quiet + policy.timeout, released, batched)
        assert decide(later, find_gaps(stack(*numbers)), policy).state is not SeriesState.RECEIVING
    else:
        assert decision.reason


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_one_association_for_each_instance_is_no_evidence():
    clock = Clock()
    registry = Associations(clock)
    for _ in range(3):
        association = registry.open("CT_AI", "PACS", "127.0.0.1")
        registry.carried(association, 1)
        registry.close(association, "released")
    clock.now += 1
    assert registry.observe(1) == Traffic(quiet_for=1, released_for=1, batched=False)


def test_an_open_association_of_the_same_sender_holds_the_release_back():
    clock = Clock()
    registry = Associations(clock)
    first, second = (registry.open("CT_AI", "PACS", "127.0.0.1") for _ in range(2))
    other = registry.open("CT_AI", "OTHER", "127.0.0.1")
    registry.carried(first, 1)
    registry.carried(first, 1)
    assert registry.close(first, "released") == ({1}, True)
    assert registry.observe(1).released_for is None
    assert registry.close(second, "released") == ({1}, False)
    clock.now += 2
    assert registry.observe(1).released_for == 2
    assert registry.close(other, "released") == (set(), False)


def test_after_a_break_off_only_a_later_association_counts():
    clock = Clock()
    registry = Associations(clock)
    broken, parallel = (registry.open("CT_AI", "PACS", "127.0.0.1") for _ in range(2))
    registry.carried(broken, 1)
    registry.carried(parallel, 1)
    clock.now += 1
    registry.close(broken, "aborted")
    registry.close(parallel, "released")
    assert registry.observe(1).released_for is None
    clock.now += 1
    again = registry.open("CT_AI", "PACS", "127.0.0.1")
    registry.carried(again, 1)
    registry.close(again, "released")
    assert registry.observe(1).released_for == 0


def test_what_was_received_before_a_restart_waits_for_its_quiet_time():
    clock = Clock()
    registry = Associations(clock)
    assert registry.observe(7) == Traffic(0, None, False)
    clock.now += 5
    assert registry.observe(7) == Traffic(5, None, False)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["open", "store", "release", "abort", "wait"]), st.integers(0, 3)), max_size=40)
)
def test_release_is_never_seen_while_the_sender_has_an_association_open(history):
    clock = Clock()
    registry = Associations(clock)
    open_now: dict[int, object] = {}
    carried = False
    for action, which in history:
        clock.now += 0.1
        if action == "open" and which not in open_now:
            open_now[which] = registry.open("CT_AI", "PACS", "127.0.0.1")
        elif action == "store" and which in open_now:
            registry.carried(open_now[which], 1)
            carried = True
        elif action in ("release", "abort") and which in open_now:
            registry.close(open_now.pop(which), "released" if action == "release" else "aborted")
        if carried and open_now:
            assert registry.observe(1).released_for is None
    assert registry.count() == len(open_now)
