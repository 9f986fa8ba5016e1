"""The standard's tables, which this package holds as CSV: comment lines say their edition and source."""

import csv
from collections.abc import Iterator
from importlib.resources import files

Row = dict[str, str]


def read_table(name: str) -> Iterator[Row]:
    """The rows of a table by column name; an empty cell is an empty string."""
    lines = files(__package__).joinpath(name).read_text(encoding="utf-8").splitlines()
    yield from csv.DictReader(line for line in lines if not line.startswith("#"))
