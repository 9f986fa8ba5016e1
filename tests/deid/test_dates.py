from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clara_ops.deid.dates import is_time, is_utc_offset, shift_date
from clara_ops.deid.written_dates import dates_in


@pytest.mark.parametrize(
    ("value", "days", "expected"),
    [
        ("20240301", -1, "20240229"),
        ("20240301 ", -366, "20230301"),
        ("20240301235959.5+0100", -60, "20240101235959.5+0100"),
        ("202403011200", -1, "202402291200"),
        ("00010102", -1, "00010101"),
        ("00010101", -1, None),
        ("20230229", -1, None),
        ("2024", -1, None),
        ("202403", -1, None),
        ("2024.03.01", -1, None),
        ("20240301 Miller", -1, None),
        ("", -1, None),
    ],
)
def test_shift(value: str, days: int, expected: str | None) -> None:
    assert shift_date(value, days) == expected


@given(st.dates(date(1911, 1, 1)), st.dates(date(1911, 1, 1)), st.integers(-3650, -1))
def test_intervals_stay(first: date, second: date, days: int) -> None:
    moved = [shift_date(day.strftime("%Y%m%d"), days) for day in (first, second)]
    parsed = [date.fromisoformat(value) for value in moved if value]
    assert parsed[1] - parsed[0] == second - first


@pytest.mark.parametrize(
    ("value", "expected"), [("101112.123456", True), ("10:11:12", True), ("1011", True), ("10 h", False)]
)
def test_times(value: str, expected: bool) -> None:
    assert is_time(value) is expected


def test_utc_offsets() -> None:
    assert is_utc_offset("+0100")
    assert not is_utc_offset("Vienna")


@pytest.mark.parametrize(
    "text",
    [
        "19500312",
        "x19500312101500.123x",
        "1950-03-12",
        "1950/3/12",
        "1950.03.12",
        "12.03.1950",
        "12/3/1950",
        "3/12/1950",
        "03-12-1950",
        "12031950",
        "born 12 mar 1950",
        "12. maerz 1950",
        "march 12, 1950",
        "12-mar-1950",
        "1950年3月12日",
        "昭和25年3月12日",
        "dob_1950_03_12",
    ],
)
def test_a_day_is_found_however_it_is_written(text: str) -> None:
    assert date(1950, 3, 12) in dates_in(text)


@pytest.mark.parametrize("text", ["119500312", "1950", "12.03.", "20240312", "1.2.826.1950.3.127", "slice 12 of 1950"])
def test_and_not_where_it_is_not(text: str) -> None:
    assert date(1950, 3, 12) not in dates_in(text)
