"""Which workflows a group starts: the mappings of its AE title, and the rules of `clara.rules` over its attributes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clara_ops.contract.evaluator import Verdict, attributes_of, evaluate
from dicom_listener.attributes import AttributeSet, total
from dicom_listener.config import Config, Rule
from dicom_listener.config import Mapping as Entry
from dicom_listener.journal.groups import Start

_NO_RULE = Verdict(True, "no rule")


@dataclass(frozen=True)
class Judgement:
    """What became of one entry of `workflows:`; `starts` None: a person has to say."""

    entry: Entry
    verdict: Verdict
    starts: bool | None

    def as_evidence(self) -> dict[str, Any]:
        """As the journal keeps it."""
        return {
            "name": self.entry.name,
            "workflow": self.entry.workflow,
            "met": self.verdict.value,
            "reason": self.verdict.reason,
            "starts": self.starts,
        }


@dataclass(frozen=True)
class Choice:
    """What a group starts, and what it does not, with the reasons."""

    ae_title: str
    judgements: tuple[Judgement, ...]

    @property
    def starts(self) -> list[Start]:
        """The workflows to run."""
        return [Start(item.entry.workflow, item.entry.destination_name) for item in self.judgements if item.starts]

    @property
    def undecided(self) -> tuple[Judgement, ...]:
        """What waits for a person."""
        return tuple(item for item in self.judgements if item.starts is None)

    @property
    def remark(self) -> str:
        """What a reader has to know beside the workflows that run; empty where every one of them does."""
        if not self.judgements:
            return f"no workflow is mapped to {self.ae_title}"
        parts = [f"{item.entry.name}: {item.verdict.reason}" for item in self.judgements if item.starts is False]
        parts += [f"{item.entry.name} cannot be decided: {item.verdict.reason}" for item in self.undecided]
        return "; ".join(parts)


def asked_attributes(config: Config, ae_title: str) -> frozenset[str]:
    """What the rules of an AE title ask for."""
    rules = (config.rule(entry) for entry in config.mappings(ae_title))
    return frozenset().union(*(attributes_of(rule.when) for rule in rules if rule is not None))


def choose(
    config: Config, ae_title: str, facts: Mapping[str, Any], sets: Sequence[AttributeSet], *, by_person: bool = False
) -> Choice:
    """Judge every entry of `workflows:` that an AE title has.

    Args:
        facts: of the group.
        sets: attributes of its instances, those that `asked_attributes` names.
        by_person: somebody asked for it, which decides what the rules cannot.
    """
    return Choice(
        ae_title,
        tuple(_judge(entry, config.rule(entry), facts, sets, by_person) for entry in config.mappings(ae_title)),
    )


def _judge(
    entry: Entry, rule: Rule | None, facts: Mapping[str, Any], sets: Sequence[AttributeSet], by_person: bool
) -> Judgement:
    verdict = _NO_RULE if rule is None else verdict_over(rule.when, facts, sets)
    if verdict.value is None and rule is not None:
        starts = True if by_person else {"hold": None, "run": True, "skip": False}[rule.undecided]
        return Judgement(entry, verdict, starts)
    return Judgement(entry, verdict, verdict.value)


def verdict_over(rule: Mapping[str, Any], facts: Mapping[str, Any], sets: Sequence[AttributeSet]) -> Verdict:
    """A rule over a whole group: met when every instance meets it, undecided when only some do."""
    verdicts = [(evaluate(rule, {**facts, **item.values}), item.instances) for item in sets]
    if len({verdict.value for verdict, _ in verdicts}) == 1:
        return verdicts[0][0]
    met = sum(instances for verdict, instances in verdicts if verdict.value)
    other = next(verdict for verdict, _ in verdicts if not verdict.value)
    return Verdict(None, f"{met} of {total(sets)} instances meet it, others do not: {other.reason}")
