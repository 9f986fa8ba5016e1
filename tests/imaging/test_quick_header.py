"""The quick header parser against pydicom: the same answer, or none."""

import random
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian

from clara_ops.contract.errors import ClaraError
from clara_ops.imaging.reading import headers, raw_header
from clara_ops.imaging.reading.frames import Instance, SetAside
from clara_ops.imaging.reading.headers import read_header
from clara_ops.imaging.reading.quick_header import read_quickly
from tests.dicomgen.damage import damage
from tests.dicomgen.multiframe import make_multiframe
from tests.dicomgen.series import make_series, write_file
from tests.stages.test_dicom_reader_fuzz import SYNTAXES

ABDOMEN_B = Path(__file__).parents[1] / "data" / "abdomen_b"


def in_full(path: Path, monkeypatch: pytest.MonkeyPatch) -> Instance | SetAside:
    """What the full parser makes of a file."""
    with monkeypatch.context() as patch:
        patch.setattr(raw_header, "read_quickly", lambda _: None)
        return headers.read_header(path)


def is_quick(path: Path) -> bool:
    with path.open("rb") as file:
        return read_quickly(file) is not None


def rich_image() -> Dataset:
    """An image with nested sequences, long and private values, and everything that tells volumes apart."""
    (image,) = make_series(indices=[0])
    inner = Dataset()
    inner.PatientName, inner.Rows = "Inner^One", 3
    outer = Dataset()
    outer.ReferencedImageSequence = [inner, inner]
    image.ReferencedStudySequence = [outer, Dataset()]
    image.private_block(0x0009, "ACME", create=True).add_new(1, "UT", "x" * 70000)
    image.private_block(0x0019, "ACME", create=True).add_new(1, "SQ", Sequence([outer]))
    image.EchoTime, image.EchoNumbers, image.DiffusionBValue = "4.60", 2, 800.0
    image.DiffusionGradientOrientation, image.TemporalPositionIdentifier = [0.1, 0.2, 0.97], 3
    image.NominalPercentageOfCardiacPhase, image.SequenceName = 30.0, "*ep_b800"
    image.SeriesDescription, image.ConvolutionKernel = "T1 fl3d", ["Br40", "3"]
    image.AcquisitionTime, image.ContentTime, image.TriggerTime = "101112.5", "101113", "0"
    return image


@pytest.mark.parametrize("undefined", [False, True], ids=["defined lengths", "undefined lengths"])
@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.keyword)
def test_the_answer_is_that_of_pydicom(
    syntax: UID, undefined: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = rich_image()
    for element in image.iterall():
        if element.VR == "SQ":
            element.is_undefined_length = undefined
            for item in element.value:
                item.is_undefined_length_sequence_item = undefined
    image.Rows = image.Columns = 32
    image.PixelData = bytes(32 * 32 * 2)
    write_file(image, tmp_path / "image", syntax)

    assert is_quick(tmp_path / "image") == (syntax not in (ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian))
    assert read_header(tmp_path / "image") == in_full(tmp_path / "image", monkeypatch)


def test_a_real_series_is_read_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    for path in ABDOMEN_B.glob("*.dcm"):
        assert is_quick(path)
        assert read_header(path) == in_full(path, monkeypatch)


def test_whatever_is_not_plain_is_left_to_pydicom(tmp_path: Path) -> None:
    path = tmp_path / "image"
    write_file(make_multiframe(make_series()), path)
    assert not is_quick(path)

    image = rich_image()
    image.SpecificCharacterSet, image.SeriesDescription = "ISO_IR 100", "Schädel"
    write_file(image, path)
    assert not is_quick(path)
    found = read_header(path)
    assert isinstance(found, Instance)
    assert dict(found.attributes)["SeriesDescription"] == "Schädel"

    for content in (b"", b"no DICOM", bytes(128) + b"DICM"):
        path.write_bytes(content)
        assert not is_quick(path)


def outcome(read: object) -> object:
    try:
        return read() if callable(read) else None
    except ClaraError as error:
        return type(error)


@pytest.mark.filterwarnings("ignore")
def test_damage_does_not_make_it_say_something_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "image"
    write_file(rich_image(), path)
    content, chance, compared = path.read_bytes(), random.Random(7), 0
    for _ in range(1500):
        path.write_bytes(damage(content, chance))
        if is_quick(path):
            assert outcome(lambda: read_header(path)) == outcome(lambda: in_full(path, monkeypatch))
            compared += 1
    assert compared > 300
