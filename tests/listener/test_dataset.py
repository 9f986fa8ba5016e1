"""Reading the header of a data set without decoding it, held against pydicom."""

import zlib
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from dicom_listener.dataset import DatasetError, Truncated, file_meta, plane, read_header
from tests.listener.peers import abdomen_b, make_instance

SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)


def encode(dataset: Dataset, syntax) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = syntax.is_little_endian, syntax.is_implicit_VR
    write_dataset(buffer, dataset)
    content = buffer.getvalue()
    if syntax == DeflatedExplicitVRLittleEndian:
        compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        return compressor.compress(content) + compressor.flush()
    return content


def with_sequences() -> Dataset:
    """Sequences of undefined length, nested, before the elements of interest."""
    dataset = make_instance("1.2.3.4", 7)
    inner = Dataset()
    inner.ReferencedSOPInstanceUID = "9.9.9"
    inner.SeriesInstanceUID = "6.6.6"
    outer = Dataset()
    outer.PurposeOfReferenceCodeSequence = Sequence([inner, inner])
    outer.PurposeOfReferenceCodeSequence.is_undefined_length = True
    outer.is_undefined_length_sequence_item = True
    dataset.ReferencedImageSequence = Sequence([outer])
    dataset["ReferencedImageSequence"].is_undefined_length = True
    return dataset


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("build", [lambda: make_instance("1.2.3.4", 7), with_sequences])
def test_header_in_every_encoding(syntax, build):
    header = read_header(memoryview(encode(build(), syntax)), str(syntax))
    assert (header.sop_instance_uid, header.series_instance_uid) == ("1.2.3.4.7", "1.2.3.4")
    assert (header.modality, header.body_part, header.number) == ("CT", "ABDOMEN", 7)
    assert (header.position, header.orientation) == (14.0, "1.000\\0.000\\0.000\\0.000\\1.000\\0.000")


def test_real_ct_slices_are_read_as_pydicom_reads_them():
    for dataset in abdomen_b():
        header = read_header(memoryview(encode(dataset, ExplicitVRLittleEndian)), str(ExplicitVRLittleEndian))
        assert header.sop_class_uid == dataset.SOPClassUID
        assert header.sop_instance_uid == dataset.SOPInstanceUID
        assert header.number == dataset.InstanceNumber
        assert header.position == pytest.approx(float(dataset.ImagePositionPatient[2]))


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_cut_data_set_is_refused_wherever_it_ends_before_the_last_uid(syntax):
    content = encode(with_sequences(), syntax)
    whole = read_header(memoryview(content), str(syntax))
    for end in range(len(content)):
        try:
            found = read_header(memoryview(content[:end]), str(syntax))
        except DatasetError:
            continue
        assert found.sop_instance_uid == whole.sop_instance_uid
        assert found.series_instance_uid == whole.series_instance_uid


def test_a_cut_inside_the_header_says_so():
    content = encode(make_instance("1.2.3.4", 7), ExplicitVRLittleEndian)
    with pytest.raises(Truncated):
        read_header(memoryview(content[:100]), str(ExplicitVRLittleEndian))


@given(st.binary(max_size=400), st.sampled_from([str(syntax) for syntax in SYNTAXES]))
def test_bytes_that_are_no_data_set_are_refused_and_nothing_else_happens(content, syntax):
    with pytest.raises(DatasetError):
        read_header(memoryview(content), syntax)


@given(st.data())
def test_a_damaged_data_set_is_read_or_refused_and_never_hangs(data):
    content = bytearray(encode(with_sequences(), ExplicitVRLittleEndian))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        read_header(memoryview(content), str(ExplicitVRLittleEndian))
    except DatasetError:
        return


@pytest.mark.filterwarnings("ignore:Invalid value", "ignore:The value length")
@pytest.mark.parametrize("name", ["SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "SOPClassUID"])
@pytest.mark.parametrize("value", [None, "", "../../etc/passwd", "1" * 65])
def test_a_uid_that_is_missing_or_unsafe_is_refused(name, value):
    dataset = make_instance("1.2.3.4", 7)
    if value is None:
        delattr(dataset, name)
    else:
        dataset[name].value = value
    with pytest.raises(DatasetError):
        read_header(memoryview(encode(dataset, ExplicitVRLittleEndian)), str(ExplicitVRLittleEndian))


def test_file_meta_is_read_by_pydicom():
    dataset = make_instance("1.2.3.4", 7)
    meta = file_meta(dataset.SOPClassUID, "1.2.3.4.7", str(ExplicitVRLittleEndian), "PACS")
    read = dcmread(BytesIO(meta + encode(dataset, ExplicitVRLittleEndian)))
    assert read.file_meta.MediaStorageSOPInstanceUID == "1.2.3.4.7"
    assert read.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert read.file_meta.SourceApplicationEntityTitle == "PACS"
    assert read.PixelData == dataset.PixelData


@pytest.mark.parametrize(
    ("orientation", "name"),
    [
        ("1\\0\\0\\0\\1\\0", "axial"),
        ("1\\0\\0\\0\\0\\-1", "coronal"),
        ("0\\1\\0\\0\\0\\-1", "sagittal"),
        ("0.7\\0.7\\0\\0\\0.3\\-0.7", "oblique"),
    ],
)
def test_plane_of_an_orientation(orientation, name):
    assert plane(orientation) == name
