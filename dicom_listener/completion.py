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
    """What an AE title asks for, and what was learnt of the source.

    Attributes:
        timeout: seconds without a new instance after which a group is complete without better evidence.
        settle: seconds after a release in which the sender must not come back.
        missing: what to do when instances are provably missing at the timeout.
        trust_release: the source's releases were the end of its groups so far.
    """

    timeout: float
    settle: float
    missing: Literal["hold", "run"]
    trust_release: bool = True


@dataclass(frozen=True)
class Decision:
    """`state` RECEIVING means not yet: look again after `wait` seconds, or when something happens.

    `by_release`: it rests on the release of the association.
    """

    state: SeriesState
    reason: str = ""
    wait: float = 0
    by_release: bool = False


def decide(traffic: Traffic, gaps: Gaps, policy: Policy) -> Decision:
    """Decide over one group."""
    if gaps.all_there:
        return Decision(SeriesState.COMPLETE, f"all {gaps.announced} instances that the sender announced are here")
    waits = [policy.timeout - traffic.quiet_for]
    released = policy.trust_release and traffic.batched and gaps.without_gap
    if traffic.released_for is not None and released:
        if traffic.released_for >= policy.settle:
            reason = f"the sender released its association, {gaps.instances} instances without a gap"
            return Decision(SeriesState.COMPLETE, reason, by_release=True)
        waits.append(policy.settle - traffic.released_for)
    if traffic.quiet_for < policy.timeout:
        return Decision(SeriesState.RECEIVING, wait=min(waits))
    if gaps.missing and policy.missing == "hold":
        expected = gaps.instances + gaps.missing
        about = "" if gaps.announced is not None else "about "
        reason = f"{about}{gaps.missing} of {expected} instances are missing; late images or a person release it"
        return Decision(SeriesState.HELD, reason)
    return Decision(SeriesState.COMPLETE, f"no new instance for {policy.timeout:g} s")


def evidence(traffic: Traffic, gaps: Gaps, policy: Policy) -> dict[str, Any]:
    """What the decision rested on, as plain data for the journal."""
    return {"traffic": asdict(traffic), "gaps": asdict(gaps), "policy": asdict(policy)}
