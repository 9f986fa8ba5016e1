"""Stage dicom-reader: DICOM series to volumes, `<SeriesInstanceUID>.mhd` and `<SeriesInstanceUID>.source.json`."""

import json
import logging
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy.typing as npt

from clara_ops.contract.errors import NothingToDo
from clara_ops.contract.evaluator import RuleError, check_rule
from clara_ops.contract.result import StageResult
from clara_ops.driver.folders import StageFolders
from clara_ops.driver.progress import Progress
from clara_ops.imaging.errors import NoImages
from clara_ops.imaging.reading.frames import SetAside
from clara_ops.imaging.reading.plan import SCOUTS_ONLY, Plan, ReadingPolicy, TiltPolicy, Volume, plan_reading
from clara_ops.imaging.reading.stacks import Stack
from clara_ops.imaging.reading.volumes import GapPolicy
from clara_ops.imaging.reading.voxels import write_stack
from clara_ops.imaging.source_map import map_source, write_source_map

# What imports SimpleITK or pydicom is imported where it is needed: without them the stage starts in half the time.
DESCRIPTION = "read every DICOM series of the input into a volume (.mhd)"

_HEADERS_PERCENT = 10.0
_AIR = -1024.0
_RULE = '{"attribute": "Modality", "op": "eq", "value": "CT"}'
_SUFFIXES = {"nifti": ".nii.gz", "nrrd": ".nrrd"}

logger = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--gaps", type=GapPolicy, choices=list(GapPolicy), default=GapPolicy.REFUSE,
        help="where slices are missing: refuse, resample to even spacing, or keep the slices as if none were missing",
    )  # fmt: skip
    parser.add_argument(
        "--tilt", type=TiltPolicy, choices=list(TiltPolicy), default=TiltPolicy.KEEP,
        help="a tilted gantry: keep the leaning grid, or resample to a right-angled one",
    )  # fmt: skip
    parser.add_argument(
        "--split", action="store_true",
        help="write a series that holds several volumes as <SeriesInstanceUID>_<n>.mhd, instead of refusing it",
    )  # fmt: skip
    parser.add_argument(
        "--planar", action="store_true",
        help="read radiographs and secondary captures without position as volumes of one slice, at a made-up place",
    )  # fmt: skip
    parser.add_argument(
        "--select", metavar="RULE",
        help=f"read only series that fit a rule, as JSON: {_RULE}",
    )  # fmt: skip
    parser.add_argument(
        "--most-slices", action="store_true", help="of what is selected, read the series with most slices of each study"
    )
    parser.add_argument(
        "--suv", action="store_true", help="write PET as standardized uptake values by body weight, g/ml"
    )
    parser.add_argument(
        "--also", choices=list(_SUFFIXES), action="append", default=[], help="write the volumes in this format too"
    )
    parser.add_argument("--explain", action="store_true", help="print what was found, and what was decided and why")
    parser.add_argument("--workers", type=int, help="slices decoded at once (default: one a processor, at most 4)")


def run(folders: StageFolders, options: Namespace, progress: Progress) -> StageResult:
    """Write one volume for every series of images below the input folder; refuse the input where one cannot be right.

    Raises:
        NoImages: there is no image to make a volume of.
        NothingToDo: no series fits the rule.
        RuleError: the rule cannot be read.
        ImagingError: naming the file or the series, and what is wrong with it.
    """
    progress(0, "reading headers")
    select = _rule(options.select) if options.select else None
    policy = ReadingPolicy(
        gaps=options.gaps,
        tilt=options.tilt,
        split=options.split,
        planar=options.planar,
        select=select,
        most_slices=options.most_slices,
    )
    plan = plan_reading(folders.input, policy)
    _report(plan, folders.input, to_stdout=options.explain)
    _check(plan, folders.input)
    total = sum(len(volume.stack.frames) for volume in plan.volumes)
    done = 0
    for volume in plan.volumes:
        advance = partial(_advance, progress, done / total, len(volume.stack.frames) / total)
        path = folders.output / f"{volume.name}.mhd"
        stack = _in_suv(volume.stack) if options.suv and volume.series.modality == "PT" else volume.stack
        dtype = write_stack(stack, path, workers=options.workers, advance=advance)
        resampled = _regrid(volume, path, dtype, policy)
        write_source_map(map_source(volume.series, volume.stack, folders.input, resampled=resampled), path)
        _write_copies(path, options.also)
        done += len(volume.stack.frames)
    return StageResult(reason=_remarks(plan), facts={"volumes": len(plan.volumes), "slices": total})


def _rule(text: str) -> Mapping[str, Any]:
    try:
        rule: Mapping[str, Any] = json.loads(text)
    except json.JSONDecodeError as error:
        raise RuleError(f"--select {text}: is not JSON ({error}); write it like {_RULE}") from error
    check_rule(rule, "--select")
    return rule


def _report(plan: Plan, folder: Path, *, to_stdout: bool) -> None:
    """Say what was found and decided: on standard output when it was asked for, else in the log."""
    lines = [f"set aside {item.path.relative_to(folder)}: {item.reason}" for item in plan.set_aside]
    for decision in plan.decisions:
        line = f"series {decision.series_instance_uid}: {decision.description}: {decision.outcome}"
        lines.append("; ".join([line, *decision.remarks]) + (f": {decision.error}" if decision.error else ""))
    for line in lines:
        if to_stdout:
            print(line)
        else:
            logger.info(line)


def _check(plan: Plan, folder: Path) -> None:
    """Raise what stops the stage: the first series that is refused, or that there is nothing to read."""
    for decision in plan.decisions:
        if decision.error:
            raise decision.error
    if plan.volumes:
        return
    left_out = [f"{one.series_instance_uid} {one.outcome}" for one in plan.decisions if one.outcome != SCOUTS_ONLY]
    if left_out:
        raise NothingToDo(f"no series fits the rule: {'; '.join(left_out)}")
    raise NoImages(f"{folder}: holds no image to make a volume of ({_summary(plan.set_aside) or 'it is empty'})")


def _regrid(volume: Volume, path: Path, dtype: npt.DTypeLike, policy: ReadingPolicy) -> bool:
    """Interpolate a volume where it was asked for; whether that was so."""
    fills = bool(volume.stack.gaps) and policy.gaps is GapPolicy.RESAMPLE
    straightens = volume.stack.shear is not None and policy.tilt is TiltPolicy.RESAMPLE
    if not fills and not straightens:
        return False
    from clara_ops.imaging.reading.regrid import fill_gaps, straighten

    if fills:
        fill_gaps(path, volume.stack, dtype)
    if straightens:
        straighten(path, outside=_AIR if volume.series.modality == "CT" else 0.0)
    return True


def _in_suv(stack: Stack) -> Stack:
    from clara_ops.imaging.reading.suv import in_suv

    return in_suv(stack)


def _write_copies(path: Path, formats: Sequence[str]) -> None:
    if not formats:
        return
    from clara_ops.imaging.other_formats import write_copy

    for name in formats:
        write_copy(path, _SUFFIXES[name])


def _advance(progress: Progress, before: float, share: float, part: float) -> None:
    """Percent done, when of one volume, which is `share` of all slices, `part` is done."""
    progress(_HEADERS_PERCENT + (100 - _HEADERS_PERCENT) * (before + share * part), "decoding slices")


def _remarks(plan: Plan) -> str | None:
    """What a person should know, in one line."""
    remarks = [f"series {one.series_instance_uid}: {remark}" for one in plan.decisions for remark in one.remarks]
    summary = _summary(plan.set_aside)
    return "; ".join([*remarks, *([summary] if summary else [])]) or None


def _summary(set_aside: Sequence[SetAside]) -> str:
    """How many files were set aside for what."""
    counts = Counter(item.reason for item in set_aside)
    return "; ".join(f"{count} set aside: {reason}" for reason, count in sorted(counts.items()))
