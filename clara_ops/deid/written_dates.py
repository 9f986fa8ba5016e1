"""Dates as people and programs write them in text."""

import re
from collections.abc import Iterator
from datetime import date

_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "jan january januar janvier enero",
            "feb february februar fevrier febrero",
            "mar march marz maerz mars marzo",
            "apr april avril abril",
            "may mai mayo",
            "jun june juni juin junio",
            "jul july juli juillet julio",
            "aug august aout agosto",
            "sep sept september septembre septiembre",
            "oct okt october oktober octobre octubre",
            "nov november novembre noviembre",
            "dec dez december dezember decembre diciembre",
        ),
        start=1,
    )
    for name in names.split()
}
_ERAS = {"明治": 1867, "大正": 1911, "昭和": 1925, "平成": 1988, "令和": 2018}
_YEAR_FIRST = re.compile(
    r"(?<!\d)(\d{4})[\s./_年-]{0,2}(\d{1,2})[\s./_月-]{0,2}(\d{1,2})(?:日|(?!\d)|(?=\d{4,6}(?!\d)))"
)
_YEAR_LAST = re.compile(r"(?<!\d)(\d{1,2})[\s./_-]{1,2}(\d{1,2})[\s./_-]{1,2}(\d{4})(?!\d)")
_DAY_FIRST_RUN = re.compile(r"(?<!\d)(\d{2})(\d{2})(\d{4})(?!\d)")
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_DAY_MONTH_YEAR = re.compile(rf"(\d{{1,2}})[\s.,_-]*({_MONTH})[\s.,_-]*(\d{{4}})(?!\d)")
_MONTH_DAY_YEAR = re.compile(rf"({_MONTH})[\s.,_-]*(\d{{1,2}})[\s.,_-]+(\d{{4}})(?!\d)")
_ERA = re.compile(rf"({'|'.join(_ERAS)})\s?(\d{{1,2}})[\s./年-]{{1,2}}(\d{{1,2}})[\s./月-]{{1,2}}(\d{{1,2}})")


def dates_in(text: str) -> set[date]:
    """Every day that a text may mean, in each order of day and month; years of two digits are not looked for.

    Args:
        text: in normal form (see `normal_form.normal`).
    """
    return {day for numbers in _candidates(text) if (day := _day(*numbers)) is not None}


def _candidates(text: str) -> Iterator[tuple[int, int, int]]:
    """Year, month and day, which need not be any."""
    for year, month, day in _YEAR_FIRST.findall(text):
        yield int(year), int(month), int(day)
    for pattern in (_YEAR_LAST, _DAY_FIRST_RUN):
        for first, second, year in pattern.findall(text):
            yield int(year), int(first), int(second)
            yield int(year), int(second), int(first)
    for number, name, year in _DAY_MONTH_YEAR.findall(text):
        yield int(year), _MONTHS[name], int(number)
    for name, number, year in _MONTH_DAY_YEAR.findall(text):
        yield int(year), _MONTHS[name], int(number)
    for era, year, month, day in _ERA.findall(text):
        yield _ERAS[era] + int(year), int(month), int(day)


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None
