"""Stage recon: parallel-beam sinograms (`<id>.npz`) to CT volumes in HU (`<id>.mhd`), by filtered back-projection."""

import logging
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable
from pathlib import Path

from clara_ops.contract.result import StageResult
from clara_ops.driver.folders import StageFolders, walk_files
from clara_ops.driver.progress import Progress, share_of
from clara_ops.imaging.back_projection import Filter, Target, is_truncated, reconstruct, volume_grid
from clara_ops.imaging.errors import SinogramError
from clara_ops.imaging.metaimage import write_volume
from clara_ops.imaging.sinogram import read_sinogram

DESCRIPTION = "reconstruct CT volumes (.mhd, HU) from parallel-beam sinograms (.npz)"

_SUFFIX = ".npz"
_LARGEST_SIZE = 4096

log = logging.getLogger(__name__)


class NoSinograms(SinogramError):
    """A payload without a single sinogram."""


class SameSinogram(SinogramError):
    """Two sinograms whose volumes would have the same name."""


def add_arguments(parser: ArgumentParser) -> None:
    """The options of the stage."""
    parser.add_argument(
        "--filter", type=Filter, choices=list(Filter), default=Filter.RAMP,
        help="window on the ramp filter, from sharp to smooth (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--pixel-spacing", type=_length, metavar="MM", help="of the volume; the detector's spacing when not given"
    )
    parser.add_argument(
        "--size", type=_size, metavar="PIXELS", help="columns and rows; as many as cover the field when not given"
    )


def run(folders: StageFolders, options: Namespace, progress: Progress) -> StageResult:
    """Write a volume for each sinogram of the input, or, where it holds none, of what the workflow started with.

    Returns:
        Facts: `volumes`, `slices`, and `truncated`, how many sinograms the patient reached beyond.

    Raises:
        NoSinograms, SameSinogram, SinogramError, MissingAngles: exit code 65.
    """
    paths = _sinograms(folders)
    target = Target(options.filter, options.pixel_spacing, options.size)
    slices, truncated = 0, []
    for index, path in enumerate(paths):
        sinogram = read_sinogram(path)
        if is_truncated(sinogram):
            truncated.append(path.name)
            log.warning("%s: the patient reaches beyond the detector: values near its edge are not right", path.name)
        count = len(sinogram.projections)
        grid = volume_grid(sinogram, target)
        log.info("%s: %d slices of %d x %d at %g mm", path.name, count, grid.size[0], grid.size[1], grid.spacing[0])
        advance = _by_slice(share_of(progress, index, len(paths)), count)
        write_volume(folders.output / f"{path.stem}.mhd", reconstruct(sinogram, target, advance), grid)
        slices += count
    reason = f"the patient reaches beyond the detector: {', '.join(truncated)}" if truncated else None
    return StageResult(reason, {"volumes": len(paths), "slices": slices, "truncated": len(truncated)})


def _sinograms(folders: StageFolders) -> tuple[Path, ...]:
    """All sinograms at any depth of the input, else of the workflow's first folder."""
    places = [folder for folder in (folders.input, folders.dicom) if folder is not None]
    for place in places:
        found = tuple(path for path in walk_files(place) if path.suffix == _SUFFIX)
        if found:
            _check_names(found)
            return found
    raise NoSinograms(f"{' and '.join(map(str, places))}: no sinogram (*{_SUFFIX}); send one with the payload")


def _check_names(paths: tuple[Path, ...]) -> None:
    seen: dict[str, Path] = {}
    for path in paths:
        if (other := seen.setdefault(path.stem, path)) is not path:
            raise SameSinogram(f"{other} and {path}: have one name, so their volumes would too; give each its own")


def _by_slice(progress: Progress, count: int) -> Callable[[int], None]:
    def done(slices: int) -> None:
        progress(100 * slices / count, f"slice {slices} of {count}")

    return done


def _length(text: str) -> float:
    if not 0 < (value := float(text)) < float("inf"):
        raise ArgumentTypeError(f"{text} mm: has to be above zero")
    return value


def _size(text: str) -> int:
    if not 1 <= (value := int(text)) <= _LARGEST_SIZE:
        raise ArgumentTypeError(f"{text} pixels: has to be within 1 and {_LARGEST_SIZE}")
    return value
