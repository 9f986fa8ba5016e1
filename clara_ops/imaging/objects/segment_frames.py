"""The frames of a Segmentation: which there are, their pixels, and the functional groups that place them.

highdicom builds the header and the functional groups of one frame a plane; from those the frames of all segments are
made as bytes, because as pydicom objects they take longer than everything else together.
"""

import struct
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.filewriter import correct_ambiguous_vr
from pydicom.tag import Tag

from clara_ops.imaging.objects.quick_items import encode_item
from clara_ops.imaging.objects.rle import encode_frame

_PER_FRAME_FUNCTIONAL_GROUPS = Tag("PerFrameFunctionalGroupsSequence")
_OPAQUE = np.uint8(255)
_FRAMES_OF_WHOLE_BYTES = 8
"""So many frames of bits fill whole bytes, whatever their size."""

Labels = npt.NDArray[Any]


class SegmentFrame(NamedTuple):
    """One frame: the labels of a segment (its number, from 1) on a plane (index along the first axis of the labels)."""

    plane: int
    segment: int


def occupied(labels: Labels, values: Sequence[int]) -> npt.NDArray[np.bool_]:
    """Whether each label is anywhere on each plane, (planes, labels)."""
    counts = (np.bincount(plane.ravel().astype(np.intp), minlength=max(values) + 1) for plane in labels)
    return np.array([count[values] > 0 for count in counts])


def packed_bits(labels: Labels, values: Sequence[int], frames: Sequence[SegmentFrame]) -> bytes:
    """Pixel Data of BINARY: one bit a voxel, frame after frame without a gap (DICOM PS3.3 section C.8.20.2.1)."""
    packed = bytearray()
    masks = np.empty((_FRAMES_OF_WHOLE_BYTES, *labels.shape[1:]), bool)
    for first in range(0, len(frames), _FRAMES_OF_WHOLE_BYTES):
        some = frames[first : first + _FRAMES_OF_WHOLE_BYTES]
        for mask, frame in zip(masks, some, strict=False):
            np.equal(labels[frame.plane], values[frame.segment - 1], out=mask)
        packed += np.packbits(masks[: len(some)], bitorder="little").data
    packed += b"\0" * (len(packed) % 2)
    return bytes(packed)


def encoded_occupancy(labels: Labels, values: Sequence[int], frames: Sequence[SegmentFrame]) -> bytes:
    """Pixel Data of FRACTIONAL: 255 or 0, RLE Lossless."""
    return encapsulate([encode_frame((labels[plane] == values[segment - 1]) * _OPAQUE) for plane, segment in frames])


def encoded_segment_numbers(
    labels: Labels, values: Sequence[int], planes: Iterable[int], dtype: npt.DTypeLike
) -> bytes:
    """Pixel Data of LABELMAP: segment numbers, 0 for none, RLE Lossless."""
    numbers = np.zeros(max(values) + 1, dtype)
    numbers[values] = np.arange(1, len(values) + 1)
    return encapsulate([encode_frame(numbers[labels[plane]]) for plane in planes])


def set_functional_groups(segmentation: Dataset, planes: Sequence[int], frames: Iterable[SegmentFrame]) -> None:
    """Give a segmentation of several segments the functional groups of all its frames.

    To be called last: what the dataset gets is bytes in explicit VR little endian, which writing takes as they are.

    Args:
        segmentation: with the functional groups of a frame of segment 1 on each of `planes`, in this order.
        planes: indices of planes.
        frames: in the order of the pixels.
    """
    items = dict(zip(planes, segmentation.PerFrameFunctionalGroupsSequence, strict=True))
    groups = {plane: _PlaneGroups(item) for plane, item in items.items()}
    encoded = bytearray()
    for plane, segment in frames:
        encoded += groups[plane].of_segment(segment)
    correct_ambiguous_vr(segmentation, True)
    segmentation[_PER_FRAME_FUNCTIONAL_GROUPS] = RawDataElement(
        _PER_FRAME_FUNCTIONAL_GROUPS, "SQ", len(encoded), bytes(encoded), 0, False, True
    )
    segmentation.set_original_encoding(False, True, segmentation._character_set)


class _PlaneGroups:
    """The functional groups of one plane as an item, in which only two numbers change by segment."""

    def __init__(self, item: Dataset) -> None:
        """Take the item of segment 1, which ends with Referenced Segment Number."""
        self._encoded = bytearray(encode_item(item))
        content = encode_item(item.FrameContentSequence[0])
        self._dimension_index_values = self._encoded.index(content) + len(content) - 8

    def of_segment(self, segment: int) -> bytes:
        struct.pack_into("<L", self._encoded, self._dimension_index_values, segment)
        struct.pack_into("<H", self._encoded, len(self._encoded) - 2, segment)
        return bytes(self._encoded)
