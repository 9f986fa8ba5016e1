"""From a stack of planes to voxels on disk, slice by slice: the volume is never in memory as a whole."""

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from pathlib import Path

import numpy as np
import numpy.typing as npt

from clara_ops.imaging.metaimage import raw_path, write_header
from clara_ops.imaging.reading.frames import Frame
from clara_ops.imaging.reading.header_tags import NATIVE
from clara_ops.imaging.reading.pixels import BeyondInt16Error, frame_values, values_dtype
from clara_ops.imaging.reading.stacks import Stack

_BATCH = 4
"""Slices a worker decodes at a time: few enough to keep all workers busy to the end."""

_MOST_WORKERS = 4

Advance = Callable[[float], None]


def write_stack(stack: Stack, path: Path, *, workers: int | None = None, advance: Advance) -> npt.DTypeLike:
    """Decode the planes of a stack and write them as a volume, LPS mm.

    Args:
        stack: one volume, its frames checked by `pixels.check_pixels`.
        path: the .mhd file; the voxels go beside it.
        workers: processes, or threads where nothing is compressed; by default one a processor, four at most.
        advance: called with the part that is done, 0 to 1.

    Returns:
        The type of the voxels: int16 where it holds every value, else float32.

    Raises:
        TruncatedPixelData, BrokenPixels: naming the file.
    """
    dtype = values_dtype(stack.frames)
    try:
        _write_voxels(stack.frames, raw_path(path), dtype, workers, advance)
    except BeyondInt16Error:
        dtype = np.float32
        _write_voxels(stack.frames, raw_path(path), dtype, workers, advance)
    write_header(path, stack.grid, dtype)
    return dtype


def _write_voxels(
    frames: Sequence[Frame], raw: Path, dtype: npt.DTypeLike, workers: int | None, advance: Advance
) -> None:
    raw.touch()
    numbered = list(enumerate(frames))
    batches = [numbered[first : first + _BATCH] for first in range(0, len(numbered), _BATCH)]
    with _executor(frames, min(workers or _default_workers(), len(batches))) as executor:
        writing = [executor.submit(_write_slices, raw, dtype, batch) for batch in batches]
        try:
            for done, future in enumerate(as_completed(writing), start=1):
                future.result()
                advance(done / len(writing))
        finally:
            executor.shutdown(cancel_futures=True)


def _default_workers() -> int:
    """Few on a machine with many processors: a container's share of them is small, and each worker takes memory."""
    return min(len(os.sched_getaffinity(0)), _MOST_WORKERS)


def _executor(frames: Sequence[Frame], workers: int) -> Executor:
    """Decoders hold the interpreter's lock, so compressed slices need processes; reading plain ones does not.

    Forking costs a few milliseconds, where a fresh interpreter would take longer than most series do.
    """
    if any(frame.pixels.transfer_syntax_uid not in NATIVE for frame in frames):
        return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("fork"))
    return ThreadPoolExecutor(workers)


def _write_slices(raw: Path, dtype: npt.DTypeLike, batch: Sequence[tuple[int, Frame]]) -> None:
    with raw.open("r+b", buffering=0) as file:
        for index, frame in batch:
            values = np.ascontiguousarray(frame_values(frame, dtype), np.dtype(dtype).newbyteorder("<"))
            file.seek(index * values.nbytes)
            file.write(values.data)
