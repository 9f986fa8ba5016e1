"""Who may start: first come, first served."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from clara_ops.localkube.scheduler import schedule

MACHINE = {"cpu": Decimal(4), "memory": Decimal(8), "nvidia.com/gpu": Decimal(1)}


def test_what_fits_starts():
    assert schedule([{"cpu": Decimal(3)}, {"cpu": Decimal(1), "memory": Decimal(8)}], MACHINE, MACHINE) == [(), ()]


def test_what_is_lacking_is_told():
    free = {"cpu": Decimal(1), "memory": Decimal(1), "nvidia.com/gpu": Decimal(0)}
    request = {"cpu": Decimal(1), "memory": Decimal(2), "nvidia.com/gpu": Decimal(1)}
    assert schedule([request], free, MACHINE) == [("memory", "nvidia.com/gpu")]


def test_a_small_pod_does_not_overtake_one_that_waits_for_the_same():
    free = {"cpu": Decimal(2)}
    assert schedule([{"cpu": Decimal(3)}, {"cpu": Decimal(1)}], free, MACHINE) == [("cpu",), ("cpu",)]


def test_a_pod_that_needs_something_else_goes_ahead():
    free = {"cpu": Decimal(4), "nvidia.com/gpu": Decimal(0)}
    waiting = [{"nvidia.com/gpu": Decimal(1)}, {"cpu": Decimal(4)}]
    assert schedule(waiting, free, MACHINE) == [("nvidia.com/gpu",), ()]


def test_a_pod_larger_than_the_machine_keeps_nobody_waiting():
    assert schedule([{"cpu": Decimal(5)}, {"cpu": Decimal(4)}], MACHINE, MACHINE) == [("cpu",), ()]


def test_storage_is_not_counted():
    assert schedule([{"ephemeral-storage": Decimal(10**15)}], MACHINE, MACHINE) == [()]


REQUESTS = st.lists(st.fixed_dictionaries({name: st.integers(0, 6).map(Decimal) for name in MACHINE}), max_size=8)


@given(REQUESTS)
def test_never_more_than_there_is_and_the_oldest_that_can_fit_always_starts(requests):
    lacking = schedule(requests, MACHINE, MACHINE)
    started = [request for request, names in zip(requests, lacking, strict=True) if not names]
    for name, amount in MACHINE.items():
        assert sum(request[name] for request in started) <= amount
    fitting = [
        index for index, request in enumerate(requests) if all(request[name] <= MACHINE[name] for name in MACHINE)
    ]
    if fitting:
        assert lacking[fitting[0]] == ()
