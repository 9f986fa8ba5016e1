"""What will be read of a folder of DICOM files, and why: decided by headers, before a pixel is touched."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from clara_ops.imaging.errors import ImagingError
from clara_ops.imaging.reading.frames import Instance, SetAside
from clara_ops.imaging.reading.headers import scan_folder
from clara_ops.imaging.reading.pixels import check_pixels
from clara_ops.imaging.reading.selection import reason_to_leave_out, series_attributes, with_most_slices
from clara_ops.imaging.reading.series import Series, by_series, make_series
from clara_ops.imaging.reading.stacks import Stack
from clara_ops.imaging.reading.volumes import GapPolicy, stack_series

SCOUTS_ONLY = "scouts only"


class TiltPolicy(StrEnum):
    """What to do with the leaning grid of a tilted gantry."""

    KEEP = "keep"
    RESAMPLE = "resample"


@dataclass(frozen=True)
class ReadingPolicy:
    """How a folder is read.

    Attributes:
        split: take series that hold several volumes apart, instead of refusing them.
        planar: take radiographs and the like, which have no place in the patient, as volumes of one slice.
        select: rule of contract.evaluator over `selection.series_attributes`; None for all series.
        most_slices: of what the rule leaves, only the series with most slices of each study.
    """

    gaps: GapPolicy = GapPolicy.REFUSE
    tilt: TiltPolicy = TiltPolicy.KEEP
    split: bool = False
    planar: bool = False
    select: Mapping[str, Any] | None = None
    most_slices: bool = False


@dataclass(frozen=True)
class Volume:
    """A stack that becomes a volume, and the name of its files."""

    name: str
    series: Series
    stack: Stack


@dataclass(frozen=True)
class Decision:
    """What becomes of a series; `remarks` are what a person should know of it, `error` is why it is refused."""

    series_instance_uid: str
    description: str
    outcome: str
    remarks: tuple[str, ...] = ()
    error: ImagingError | None = None


@dataclass(frozen=True)
class Plan:
    """What becomes of a folder."""

    volumes: tuple[Volume, ...]
    decisions: tuple[Decision, ...]
    set_aside: tuple[SetAside, ...]


def plan_reading(folder: Path, policy: ReadingPolicy) -> Plan:
    """Decide about every file and every series below a folder; series that are refused do not raise.

    Raises:
        BrokenFile, MissingCodec: a DICOM file whose header cannot be read.
        RuleError: `policy.select` cannot be read.
    """
    scan = scan_folder(folder)
    series, decisions = _all_series(scan.instances)
    candidates = []
    for one in series:
        if not one.frames:
            decisions.append(Decision(one.series_instance_uid, f"{len(one.set_aside)} files", SCOUTS_ONLY))
        elif reason := reason_to_leave_out(one, policy.select):
            decisions.append(Decision(one.series_instance_uid, _describe(one), f"left out: {reason}"))
        else:
            candidates.append(one)
    if policy.most_slices:
        candidates, left_out = _keep_most_slices(candidates)
        decisions += left_out
    volumes: list[Volume] = []
    for one in candidates:
        found, decision = _decide(one, policy)
        volumes += found
        decisions.append(decision)
    set_aside = (*scan.set_aside, *(item for one in series for item in one.set_aside))
    return Plan(tuple(volumes), tuple(decisions), set_aside)


def _all_series(instances: Iterable[Instance]) -> tuple[list[Series], list[Decision]]:
    series, refused = [], []
    for uid, found in by_series(instances).items():
        try:
            series.append(make_series(found))
        except ImagingError as error:
            refused.append(Decision(uid, f"{len(found)} files", "refused", error=error))
    return series, refused


def _keep_most_slices(candidates: list[Series]) -> tuple[list[Series], list[Decision]]:
    chosen = with_most_slices(candidates)
    kept, left_out = [], []
    for one in candidates:
        best = chosen[one.study_instance_uid]
        if one is best:
            kept.append(one)
        else:
            reason = f"left out: series {best.series_instance_uid} of this study has {len(best.frames)} slices"
            left_out.append(Decision(one.series_instance_uid, _describe(one), reason))
    return kept, left_out


def _decide(series: Series, policy: ReadingPolicy) -> tuple[list[Volume], Decision]:
    uid, description = series.series_instance_uid, _describe(series)
    try:
        stacks = stack_series(series, gaps=policy.gaps, split=policy.split, planar=policy.planar)
        for stack in stacks:
            for frame in stack.frames:
                check_pixels(frame)
    except ImagingError as error:
        return [], Decision(uid, description, "refused", error=error)
    names = [uid] if len(stacks) == 1 else [f"{uid}_{number}" for number in range(1, len(stacks) + 1)]
    volumes = [Volume(name, series, stack) for name, stack in zip(names, stacks, strict=True)]
    outcome = f"read as {', '.join(map(_describe_volume, volumes))}"
    remarks = tuple(remark for stack in stacks for remark in _remarks(stack, policy))
    return volumes, Decision(uid, description, outcome, remarks)


def _remarks(stack: Stack, policy: ReadingPolicy) -> Iterator[str]:
    if stack.shear:
        drift = math.hypot(*stack.shear)
        yield f"the gantry was tilted, slices drift by {drift:.3f} mm each: {policy.tilt}"
    if stack.planar:
        frame, (between_columns, between_rows, _) = stack.frames[0], stack.grid.spacing
        source = "Pixel Spacing" if frame.pixel_spacing else "Imager Pixel Spacing, at the detector"
        yield (
            f"{frame.name} is a picture without position: its place is made up, "
            f"its pixels are {between_rows:g} x {between_columns:g} mm by {source}"
        )
    if stack.gaps:
        yield f"slices are missing at {len(stack.gaps)} places: {policy.gaps}"


def _describe_volume(volume: Volume) -> str:
    columns, rows, slices = (f"{spacing:.4g}" for spacing in volume.stack.grid.spacing)
    return f"{volume.name}.mhd ({len(volume.stack.frames)} slices, voxels of {columns} x {rows} x {slices} mm)"


def _describe(series: Series) -> str:
    found = series_attributes(series)
    return (
        f"{series.modality}, {found['slices']} slices of {found['rows']} x {found['columns']}, {found['orientation']}"
    )
