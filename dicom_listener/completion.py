"""When is a group complete? A pure decision over evidence; the clock, the journal and the network are elsewhere."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from clara_ops.contract.states import SeriesState
from dicom_listener.gaps import Gaps


@dataclass(frozen=True)
class Traffic:
    """What the network showed of a group.

    Attributes:
        quiet_for: seconds since its last instance.
        released_for: seconds since the sender released its last association; None while one is open, and for good
            after one broke off: then only quiet time counts.
        batched: one association brought several of its instances. A sender that opens one for each instance
            releases after every one, which says nothing.
    """

    quiet_for: float
    released_for: float | None
    batched: bool


@dataclass(frozen=True)
class Policy:
    """`timeout` and `settle` in seconds; `missing`: what to do when slices are provably missing at the timeout."""

    timeout: float
    settle: float
    missing: Literal["hold", "run"]


@dataclass(frozen=True)
class Decision:
    """`state` RECEIVING means not yet: look again after `wait` seconds, or when something happens."""

    state: SeriesState
    reason: str = ""
    wait: float = 0


def decide(traffic: Traffic, gaps: Gaps, policy: Policy) -> Decision:
    """Decide over one group."""
    waits = [policy.timeout - traffic.quiet_for]
    if traffic.released_for is not None and traffic.batched and gaps.without_gap:
        if traffic.released_for >= policy.settle:
            return Decision(
                SeriesState.COMPLETE, f"the sender released its association, {gaps.instances} instances without a gap"
            )
        waits.append(policy.settle - traffic.released_for)
    if traffic.quiet_for < policy.timeout:
        return Decision(SeriesState.RECEIVING, wait=min(waits))
    if gaps.missing and policy.missing == "hold":
        return Decision(
            SeriesState.HELD,
            f"about {gaps.absent} of {gaps.instances + gaps.absent} slices are missing; "
            "late images or a person release it",
        )
    return Decision(SeriesState.COMPLETE, f"no new instance for {policy.timeout:g} s")


def evidence(traffic: Traffic, gaps: Gaps, policy: Policy) -> dict[str, Any]:
    """What the decision rested on, as plain data for the journal."""
    return {"traffic": asdict(traffic), "gaps": asdict(gaps), "policy": asdict(policy)}
