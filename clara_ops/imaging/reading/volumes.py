"""Which planes of a series belong to one volume: orientation, matrix, echo, b-value, phase, time point."""

from collections.abc import Callable, Hashable, Sequence
from enum import StrEnum
from functools import partial

import numpy as np

from clara_ops.imaging.errors import AmbiguousSeries, MissingGeometry, MissingSlices, MixedMatrix, MixedOrientation
from clara_ops.imaging.reading.frames import Frame
from clara_ops.imaging.reading.pictures import are_pictures, picture_stack
from clara_ops.imaging.reading.series import Series
from clara_ops.imaging.reading.stacks import Slice, Stack, place, repeats_a_position, stack_slices

DIRECTION_TOLERANCE = 1e-3
"""Directions whose components differ by no more than this are the same; scanners write six digits or fewer."""
_SPACING_DIGITS = 4
_SHOWN = 6


class GapPolicy(StrEnum):
    """What to do where slices are missing or unevenly spaced."""

    REFUSE = "refuse"
    RESAMPLE = "resample"
    KEEP = "keep"


def stack_series(
    series: Series, *, gaps: GapPolicy = GapPolicy.REFUSE, split: bool = False, planar: bool = False
) -> tuple[Stack, ...]:
    """The volumes of a series, in a fixed order.

    Args:
        series: with at least one frame.
        gaps: whether stacks with gaps are refused; what else is done with them is up to the writer of the voxels.
        split: take a series that holds several volumes apart, instead of refusing it.
        planar: take pictures without a place as volumes of one slice each, instead of refusing them.

    Raises:
        MissingGeometry, SingleSlice, ScatteredSlices: a volume cannot be built.
        MixedOrientation, MixedMatrix, AmbiguousSeries: the series holds several volumes, and `split` is off.
        MissingSlices: there are gaps, and they are refused.
    """
    if are_pictures(series.frames):
        return _pictures(series, split=split, planar=planar)
    groups = [[place(frame) for frame in series.frames]]
    groups = _part(groups, _orientations)
    if len(groups) > 1 and not split:
        raise MixedOrientation(_message(series, "orientations", [_orientation(group[0]) for group in groups], groups))
    groups = _part(groups, _by(_matrix))
    if len(groups) > 1 and not split:
        raise MixedMatrix(_message(series, "matrices", [_shown_matrix(group[0]) for group in groups], groups))
    groups = _part(groups, _by(lambda piece: (piece.frame.image_type, piece.frame.traits)))
    groups = _part(groups, _moments)
    if len(groups) > 1 and not split:
        raise AmbiguousSeries(_message(series, "volumes", _differences(groups), groups))
    stacks = tuple(stack_slices(group) for group in groups)
    if gaps is GapPolicy.REFUSE:
        for stack in stacks:
            _refuse_gaps(series, stack)
    return stacks


def _pictures(series: Series, *, split: bool, planar: bool) -> tuple[Stack, ...]:
    if not planar:
        raise MissingGeometry(
            f"{series.frames[0]}: has no Image Position (Patient) and no Image Orientation (Patient): nobody can say "
            "where its voxels are; leave this series out, or read it as a picture with --planar"
        )
    if len(series.frames) > 1 and not split:
        raise AmbiguousSeries(
            f"series {series.series_instance_uid}: holds {len(series.frames)} pictures; "
            "send them as series of their own, or split the series with --split"
        )
    return tuple(picture_stack(frame) for frame in sorted(series.frames, key=lambda one: one.sop_instance_uid))


Group = list[Slice]


def _part(groups: Sequence[Group], parting: Callable[[Group], list[Group]]) -> list[Group]:
    return [part for group in groups for part in parting(group)]


def _by(key: Callable[[Slice], Hashable]) -> Callable[[Group], list[Group]]:
    def parting(group: Group) -> list[Group]:
        parts: dict[Hashable, Group] = {}
        for piece in group:
            parts.setdefault(key(piece), []).append(piece)
        return list(parts.values())

    return parting


def _orientations(group: Group) -> list[Group]:
    """Planes that are parallel within the tolerance to the first one of their part."""
    parts: list[Group] = []
    for piece in group:
        for part in parts:
            apart = (piece.row_direction - part[0].row_direction, piece.column_direction - part[0].column_direction)
            if np.abs(apart).max() <= DIRECTION_TOLERANCE:
                part.append(piece)
                break
        else:
            parts.append([piece])
    return parts


def _matrix(piece: Slice) -> Hashable:
    between_rows, between_columns = (round(spacing, _SPACING_DIGITS) for spacing in piece.pixel_spacing)
    return piece.frame.rows, piece.frame.columns, between_rows, between_columns


def _moments(group: Group) -> list[Group]:
    """Planes at repeated positions, told apart by the first attribute that can do so."""
    if not repeats_a_position(group):
        return [group]
    for keyword, _ in group[0].frame.moments:
        parts = _by(partial(_moment, keyword=keyword))(group)
        if len(parts) > 1 and not any(map(repeats_a_position, parts)) and min(map(len, parts)) > 1:
            return parts
    return [group]


def _moment(piece: Slice, keyword: str) -> str | None:
    return dict(piece.frame.moments).get(keyword)


def _orientation(piece: Slice) -> str:
    return f"row {piece.row_direction.tolist()} column {piece.column_direction.tolist()}"


def _shown_matrix(piece: Slice) -> str:
    rows, columns = piece.pixel_spacing
    return f"{piece.frame.rows} rows x {piece.frame.columns} columns of {rows:g} x {columns:g} mm"


def _differences(groups: Sequence[Group]) -> list[str]:
    """For each group the attributes in which it differs from another one."""
    described = [_attributes(group[0].frame) for group in groups]
    keywords = dict.fromkeys(keyword for attributes in described for keyword in attributes)
    differing = [name for name in keywords if len({attributes.get(name) for attributes in described}) > 1]
    return [", ".join(f"{name} {attributes.get(name, 'missing')}" for name in differing) for attributes in described]


def _attributes(frame: Frame) -> dict[str, str]:
    return {"ImageType": "\\".join(frame.image_type), **dict(frame.traits), **dict(frame.moments)}


def _message(series: Series, what: str, descriptions: Sequence[str], groups: Sequence[Group]) -> str:
    found = [f"{text} ({len(group)} slices)" for text, group in zip(descriptions, groups, strict=True)]
    more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return (
        f"series {series.series_instance_uid}: holds {len(groups)} {what}: {'; '.join(found[:_SHOWN])}{more}; "
        "send them as series of their own, or split the series with --split"
    )


def _refuse_gaps(series: Series, stack: Stack) -> None:
    if not stack.gaps:
        return
    found = "; ".join(
        f"{gap.distance:.2f} mm between {stack.frames[gap.after - 1].name} and {stack.frames[gap.after].name}"
        for gap in stack.gaps[:_SHOWN]
    )
    more = f"; and {len(stack.gaps) - _SHOWN} more" if len(stack.gaps) > _SHOWN else ""
    raise MissingSlices(
        f"series {series.series_instance_uid}: slices are {stack.slice_spacing:.2f} mm apart (median), "
        f"but {found}{more}; send the missing slices, or choose --gaps resample or --gaps keep"
    )
