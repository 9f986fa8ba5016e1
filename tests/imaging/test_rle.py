"""Frames in RLE Lossless are, byte by byte, those that pydicom's own encoder makes."""

import highdicom
import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pydicom.uid import RLELossless

from clara_ops.imaging.objects.rle import encode_frame

SHAPES = array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=300)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from((np.uint8, np.uint16)).flatmap(
        lambda dtype: arrays(dtype, SHAPES, elements=st.integers(0, 255), fill=st.integers(0, 2))
    )
)
def test_frames_are_those_of_pydicom(pixels: npt.NDArray[np.uint8 | np.uint16]) -> None:
    bits = pixels.itemsize * 8
    theirs = highdicom.frame.encode_frame(
        pixels,
        RLELossless,
        bits_allocated=bits,
        bits_stored=bits,
        photometric_interpretation="MONOCHROME2",
        pixel_representation=0,
    )
    assert encode_frame(pixels) == theirs
