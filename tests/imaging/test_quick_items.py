"""Items that are encoded quickly are, byte by byte, those that pydicom writes."""

import pytest
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_sequence_item

from clara_ops.imaging.objects.quick_items import encode_item


def item() -> Dataset:
    inner = Dataset()
    inner.CodeValue, inner.CodeMeaning, inner.ReferencedSOPInstanceUID = "121311", "Localizer", "1.2.3"
    inner.ReferencedFrameNumber = [1, 20]
    outer = Dataset()
    outer.DerivationCodeSequence, outer.SourceImageSequence = [inner], []
    outer.ImagePositionPatient = ["-1.50", 2, 1e-7]
    outer.DimensionIndexValues, outer.ReferencedSegmentNumber = [3, 70000], 7
    outer.LossyImageCompression, outer.StackID = "", "A"
    return outer


def test_items_are_those_of_pydicom() -> None:
    theirs = DicomBytesIO()
    theirs.is_implicit_VR, theirs.is_little_endian = False, True
    write_sequence_item(theirs, item(), ["ascii"])
    assert encode_item(item()) == theirs.getvalue()


def test_what_it_does_not_know_is_an_error() -> None:
    other = Dataset()
    other.add_new("PixelData", "OB", b"")
    with pytest.raises(KeyError):
        encode_item(other)
