"""Stage dicom-reader: DICOM series to volumes, `<SeriesInstanceUID>.mhd` and `<SeriesInstanceUID>.source.json`."""

import logging
import math
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy.typing as npt

from clara_ops.contract.result import StageResult
from clara_ops.driver.folders import StageFolders
from clara_ops.driver.progress import Progress
from clara_ops.imaging.errors import NoImages
from clara_ops.imaging.frames import SetAside
from clara_ops.imaging.headers import scan_folder
from clara_ops.imaging.regrid import fill_gaps, straighten
from clara_ops.imaging.series import Series, group_series
from clara_ops.imaging.source_map import map_source, write_source_map
from clara_ops.imaging.stacks import Stack
from clara_ops.imaging.volumes import GapPolicy, stack_series
from clara_ops.imaging.voxels import write_stack

DESCRIPTION = "read every DICOM series of the input into a volume (.mhd)"

_HEADERS_PERCENT = 10.0
_AIR = -1024.0

logger = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--split", action="store_true",
        help="write a series that holds several volumes as <SeriesInstanceUID>_<n>.mhd, instead of refusing it",
    )  # fmt: skip
    parser.add_argument(
        "--gaps", choices=[policy.value for policy in GapPolicy], default=GapPolicy.REFUSE.value,
        help="where slices are missing: refuse, resample to even spacing, or keep the slices as if none were missing",
    )  # fmt: skip
    parser.add_argument(
        "--tilt", choices=["keep", "resample"], default="keep",
        help="a tilted gantry: keep the leaning grid, or resample to a right-angled one",
    )  # fmt: skip
    parser.add_argument("--workers", type=int, help="slices decoded at the same time (default: one a processor)")


def run(folders: StageFolders, options: Namespace, progress: Progress) -> StageResult:
    """Write one volume for every series of images below the input folder; refuse the input where one cannot be right.

    Raises:
        NoImages: there is no image to make a volume of.
        ImagingError: naming the file or the series, and what is wrong with it.
    """
    progress(0, "reading headers")
    scan = scan_folder(folders.input)
    series = group_series(scan.instances)
    set_aside = (*scan.set_aside, *(item for one in series for item in one.set_aside))
    for item in set_aside:
        logger.info("set aside %s: %s", item.path.relative_to(folders.input), item.reason)
    volumes = [volume for one in series if one.frames for volume in _volumes(one, options)]
    if not volumes:
        raise NoImages(f"{folders.input}: holds no image to make a volume of ({_summary(set_aside) or 'it is empty'})")
    total = sum(len(volume.stack.frames) for volume in volumes)
    done = 0
    for volume in volumes:
        advance = partial(_advance, progress, done / total, len(volume.stack.frames) / total)
        path = folders.output / f"{volume.name}.mhd"
        dtype = write_stack(volume.stack, path, workers=options.workers, advance=advance)
        resampled = _regrid(volume, path, dtype, options)
        write_source_map(map_source(volume.series, volume.stack, folders.input, resampled=resampled), path)
        done += len(volume.stack.frames)
    return StageResult(reason=_summary(set_aside), facts={"volumes": len(volumes), "slices": total})


@dataclass(frozen=True)
class _Volume:
    series: Series
    stack: Stack
    name: str


def _volumes(series: Series, options: Namespace) -> Iterator[_Volume]:
    uid = series.series_instance_uid
    stacks = stack_series(series, gaps=GapPolicy(options.gaps), split=options.split)
    for number, stack in enumerate(stacks, start=1):
        if stack.shear:
            drift = math.hypot(*stack.shear)
            logger.warning("series %s: gantry tilt, slices drift by %.3f mm each: %s", uid, drift, options.tilt)
        if stack.gaps:
            logger.warning("series %s: gaps at %d places: %s", uid, len(stack.gaps), options.gaps)
        yield _Volume(series, stack, uid if len(stacks) == 1 else f"{uid}_{number}")


def _regrid(volume: _Volume, path: Path, dtype: npt.DTypeLike, options: Namespace) -> bool:
    """Interpolate a volume where it was asked for; whether that was so."""
    fills = bool(volume.stack.gaps) and options.gaps == GapPolicy.RESAMPLE
    straightens = volume.stack.shear is not None and options.tilt == "resample"
    if fills:
        fill_gaps(path, volume.stack, dtype)
    if straightens:
        straighten(path, outside=_AIR if volume.series.modality == "CT" else 0.0)
    return fills or straightens


def _advance(progress: Progress, before: float, share: float, part: float) -> None:
    """Percent done, when of one volume, which is `share` of all slices, `part` is done."""
    progress(_HEADERS_PERCENT + (100 - _HEADERS_PERCENT) * (before + share * part), "decoding slices")


def _summary(set_aside: Sequence[SetAside]) -> str | None:
    """How many files were set aside for what."""
    counts = Counter(item.reason for item in set_aside)
    return "; ".join(f"{count} set aside: {reason}" for reason, count in sorted(counts.items())) or None
