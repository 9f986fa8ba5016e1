"""Which series of a folder are read: rules over attributes, and the one with most slices."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from clara_ops.contract.evaluator import evaluate
from clara_ops.imaging.reading.series import Series

_ORIENTATIONS = ("sagittal", "coronal", "axial")
_ALONG_AN_AXIS = 0.9


def series_attributes(series: Series) -> dict[str, Any]:
    """What a rule may name: attributes of the first header, and `slices`, `rows`, `columns`, `orientation`."""
    first = series.frames[0]
    return {
        **series.attributes,
        "slices": len(series.frames),
        "rows": first.rows,
        "columns": first.columns,
        "orientation": _orientation(series),
    }


def reason_to_leave_out(series: Series, rule: Mapping[str, Any] | None) -> str | None:
    """Why a rule leaves a series out, in words; None where it fits, or where there is no rule.

    Raises:
        RuleError: the rule cannot be read.
    """
    if rule is None:
        return None
    verdict = evaluate(rule, series_attributes(series))
    return None if verdict.value else verdict.reason


def with_most_slices(series: Sequence[Series]) -> dict[str, Series]:
    """For each Study Instance UID the series with most slices; of equals, the first one by UID."""
    chosen: dict[str, Series] = {}
    for one in series:
        best = chosen.setdefault(one.study_instance_uid, one)
        if len(one.frames) > len(best.frames):
            chosen[one.study_instance_uid] = one
    return chosen


def _orientation(series: Series) -> str:
    """By the axis of the body that the normal of the first plane is along; 'oblique' between them, '' without one."""
    row, column = series.frames[0].row_direction, series.frames[0].column_direction
    if row is None or column is None:
        return ""
    normal = np.abs(np.cross(row, column))
    axis = int(np.argmax(normal))
    return _ORIENTATIONS[axis] if normal[axis] >= _ALONG_AN_AXIS else "oblique"
