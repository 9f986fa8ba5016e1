"""Numbers and descriptions of the series that results go into."""

from argparse import ArgumentTypeError

import pytest

from clara_ops.imaging.objects.series_policy import Kind, SeriesPolicy, checked_description, checked_number


def test_kinds_are_1000_apart_and_the_sources_number_is_added() -> None:
    numbers = [SeriesPolicy().number(kind, 7) for kind in Kind]
    assert numbers == [1007 + 1000 * index for index in range(len(Kind))]
    assert SeriesPolicy(first_number=50).number(Kind.SEGMENTATION, 3) == 53


def test_a_description_is_filled_in() -> None:
    policy = SeriesPolicy(description="{source} {kind} by {model} {version}")
    assert policy.described(Kind.REPORT, ("net", "1.2"), "Abdomen") == "Abdomen Report by net 1.2"
    assert policy.described(Kind.REPORT, ("net", "1.2"), "") == "Report by net 1.2"


@pytest.mark.parametrize("text", ["{", "{modell}", "{0}", "{model.x}", "", " ", "a\\b"])
def test_a_description_that_cannot_be_filled_in_is_refused(text: str) -> None:
    with pytest.raises(ArgumentTypeError):
        checked_description(text)


def test_descriptions_that_can_be_filled_in_are_taken() -> None:
    assert checked_description("{{{kind}}} {model}") == "{{{kind}}} {model}"


@pytest.mark.parametrize("text", ["-1", "x", "1.5", "2000000001", ""])
def test_a_number_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match="no whole number"):
        checked_number(text)
