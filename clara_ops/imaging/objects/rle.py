"""RLE Lossless (DICOM PS3.5 annex G), a whole frame at once where pydicom goes run by run: the bytes are the same."""

import struct
from typing import Any

import numpy as np
import numpy.typing as npt

_LONGEST = 128
_HEADER_BYTES = 64

Bytes = npt.NDArray[np.uint8]


def encode_frame(pixels: npt.NDArray[Any]) -> bytes:
    """Encode one frame of one sample a pixel.

    Args:
        pixels: (rows, columns), unsigned, of 8 or 16 bits.
    """
    planes = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder(">")).view(np.uint8)
    width = pixels.dtype.itemsize
    segments = [_encode_segment(planes[:, place::width]) for place in range(width)]
    offsets = np.cumsum([_HEADER_BYTES, *map(len, segments[:-1])]).tolist()
    header = struct.pack(f"<{1 + width}L", width, *offsets)
    return header.ljust(_HEADER_BYTES, b"\0") + b"".join(segments)


def _encode_segment(plane: Bytes) -> bytes:
    """PackBits of each row by itself, padded to an even length."""
    values, lengths, rows = _runs(plane)
    is_single = lengths == 1
    joins = is_single[1:] & is_single[:-1] & (rows[1:] == rows[:-1])
    first = np.flatnonzero(np.concatenate(([True], ~joins)))
    counts = np.diff(np.append(first, len(values)))
    encoded = bytearray()
    done = 0
    for literal in np.flatnonzero(counts > 1):
        start, end = first[literal], first[literal] + counts[literal]
        encoded += _replicate_runs(values[done:start], lengths[done:start])
        encoded += _literal_runs(values[start:end].tobytes())
        done = end
    encoded += _replicate_runs(values[done:], lengths[done:])
    return bytes(encoded) + b"\0" * (len(encoded) % 2)


def _runs(plane: Bytes) -> tuple[Bytes, npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Value, length and row of each run of equal bytes within a row."""
    starts_run = np.ones(plane.shape, bool)
    np.not_equal(plane[:, 1:], plane[:, :-1], out=starts_run[:, 1:])
    starts = np.flatnonzero(starts_run)
    return plane.ravel()[starts], np.diff(np.append(starts, plane.size)), starts // plane.shape[1]


def _replicate_runs(values: Bytes, lengths: npt.NDArray[np.intp]) -> bytes:
    """Pairs of count and value: 129 for each 128 of them, then what is left; a single one is a literal of one."""
    full, rest = np.divmod(lengths, _LONGEST)
    pieces = full + (rest > 0)
    pairs = np.empty((int(pieces.sum()), 2), np.uint8)
    pairs[:, 0] = 257 - _LONGEST
    pairs[:, 1] = np.repeat(values, pieces)
    last = np.cumsum(pieces) - 1
    pairs[last[rest > 0], 0] = (257 - rest[rest > 0]) % 256
    return pairs.tobytes()


def _literal_runs(literal: bytes) -> bytes:
    pieces = (literal[start : start + _LONGEST] for start in range(0, len(literal), _LONGEST))
    return b"".join(bytes((len(piece) - 1,)) + piece for piece in pieces)
