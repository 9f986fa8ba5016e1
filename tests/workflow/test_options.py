"""The options that a workflow gives, against what the stage declares."""

import pytest

from clara_ops.workflow.entry import OptionDeclaration
from clara_ops.workflow.options import OptionError, complete_args, split_args

DECLARED = [
    OptionDeclaration(name="threshold", type="number", default=0.5),
    OptionDeclaration(name="steps", type="integer"),
    OptionDeclaration(name="overlay", type="flag"),
    OptionDeclaration(name="mode", type="choice", choices=("fast", "exact")),
    OptionDeclaration(name="title"),
]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", ("--threshold", "0.5")),
        ("--threshold 0.7", ("--threshold", "0.7")),
        ("--threshold=-1", ("--threshold=-1",)),
        ("--overlay --steps 3", ("--overlay", "--steps", "3", "--threshold", "0.5")),
        ("--title 'two words' --mode fast", ("--title", "two words", "--mode", "fast", "--threshold", "0.5")),
    ],
)
def test_given_options_come_first_and_defaults_after(line: str, expected: tuple[str, ...]) -> None:
    assert complete_args(split_args(line), DECLARED) == expected


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--treshold 1", r"no option --treshold \(did you mean '--threshold'\?\)"),
        ("file.txt", "not an option"),
        ("--threshold", "needs a value"),
        ("--threshold high", "expected a number; found 'high'"),
        ("--steps 1.5", "expected an integer"),
        ("--overlay=yes", "takes no value"),
        ("--mode slow", "not one of fast, exact"),
        ("--steps 1 --steps 2", "stands twice"),
        ("--title 'open", "not a shell line: no closing quotation"),
    ],
)
def test_what_the_stage_does_not_take(line: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        complete_args(split_args(line), DECLARED)


def test_a_stage_that_declares_none_takes_none() -> None:
    with pytest.raises(OptionError, match="it takes none"):
        complete_args(["--any"], [])


def test_without_a_declaration_everything_passes() -> None:
    assert complete_args(["run", "--any=thing"], None) == ("run", "--any=thing")
