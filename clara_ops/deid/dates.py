"""Dates that move by whole days: intervals and times of day stay what they are."""

import re
from datetime import date, timedelta

_DATE = re.compile(r"(\d{4})(\d{2})(\d{2})((?:\d{2}){0,3}(?:\.\d{1,6})?(?:[+-]\d{4})?)")
_TIME = re.compile(r"[\d:]{2,8}(?:\.\d{1,6})?")
_OFFSET = re.compile(r"[+-]\d{4}")


def shift_date(value: str, days: int) -> str | None:
    """A value of VR DA or DT (PS3.5 section 6.2), its date moved by days.

    Returns:
        None where there is no whole date to move, or none that the calendar has.
    """
    match = _DATE.fullmatch(value.strip())
    if match is None:
        return None
    year, month, day, rest = match.groups()
    try:
        moved = date(int(year), int(month), int(day)) + timedelta(days)
    except (ValueError, OverflowError):
        return None
    return moved.isoformat().replace("-", "") + rest


def is_time(value: str) -> bool:
    """Whether a value of VR TM is a time of day and nothing else."""
    return _TIME.fullmatch(value.strip()) is not None


def is_utc_offset(value: str) -> bool:
    """Whether a value is an offset from UTC, `&ZZXX` as Timezone Offset From UTC (0008,0201) has it."""
    return _OFFSET.fullmatch(value.strip()) is not None
