"""The search: it finds the patient's words wherever they are, and tells where without telling them."""

import json

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage

from clara_ops.contract.documents import to_json
from clara_ops.deid.leftovers import Leftover, LeftoverReport, LeftoverSearch, UncleanObject
from clara_ops.deid.own_words import own_words
from tests.deid.objects import PATIENT, ct_series, document


@pytest.fixture
def search() -> LeftoverSearch:
    return LeftoverSearch(own_words(ct_series(1)[0], with_uids=True))


@pytest.fixture
def dataset() -> Dataset:
    """An object that says nothing."""
    empty = Dataset()
    empty.SOPInstanceUID = "2.25.1"
    return empty


def test_an_identified_object_is_full_of_leftovers(search: LeftoverSearch) -> None:
    found = {(leftover.place, leftover.kind) for leftover in search.search(ct_series(1)[0])}
    assert {
        ("(0008,0018)", "uid"),
        ("(0008,0050)", "id"),
        ("(0010,0010)", "name"),
        ("(0010,0020)", "id"),
        ("(0010,0030)", "birth date"),
        ("(0010,1040)", "address"),
        ("(0010,2154)", "phone"),
        ("(0020,000D)", "uid"),
    } <= found
    assert "(0018,0015)" not in {place for place, _ in found}


@pytest.mark.parametrize(("tag", "vr", "value"), [
    (0x00080070, "LO", "Made for XAVORSKY"),
    (0x00181160, "SH", "brunhilde"),
    (0x00185100, "CS", "XAVORSKY"),
    (0x00080119, "UC", "Brunhílde"),
    (0x00204000, "LT", "see\r\nXavorsky"),
    (0x00181060, "AE", "XAVORSKY"),
])  # fmt: skip
def test_text_of_any_kind(search: LeftoverSearch, dataset: Dataset, tag: int, vr: str, value: str) -> None:
    dataset.add_new(tag, vr, value)
    assert search.search(dataset) == (Leftover("2.25.1", f"({tag >> 16:04X},{tag & 0xFFFF:04X})", "name"),)


def test_items_are_counted(search: LeftoverSearch, dataset: Dataset) -> None:
    inner, item = Dataset(), Dataset()
    inner.CodeMeaning = ["harmless", "PID 4711 08"]
    item.ConceptCodeSequence = [inner]
    dataset.ContentSequence = [Dataset(), item]
    assert search.search(dataset) == (Leftover("2.25.1", "(0040,A730)[2].(0040,A168)[1].(0008,0104)", "id"),)


@pytest.mark.parametrize("encoding", ["utf_8", "latin_1", "utf_16_le", "utf_16_be"])
@pytest.mark.parametrize("vr", ["UN", "OB"])
def test_private_bytes_in_any_encoding(search: LeftoverSearch, dataset: Dataset, encoding: str, vr: str) -> None:
    content = b"\0\1\2" + "Xavorsky".encode(encoding) + b"\xff\xfe"
    dataset.private_block(0x0029, "MAKER", create=True).add_new(0x10, vr, content)
    assert {(found.place, found.kind) for found in search.search(dataset)} == {("(0029,1010)", "name")}


@pytest.mark.parametrize(
    ("name", "encoding"),
    [("山田^太郎", "shift_jis"), ("山田^太郎", "iso2022_jp"), ("홍^길동", "euc_kr"), ("Иванов", "iso8859_5")],
)
def test_private_bytes_of_other_scripts(name: str, encoding: str, dataset: Dataset) -> None:
    patient = Dataset()
    patient.SpecificCharacterSet, patient.PatientName = "ISO_IR 192", name
    search = LeftoverSearch(own_words(patient, with_uids=True))
    dataset.private_block(0x0029, "MAKER", create=True).add_new(0x10, "UN", name.replace("^", "").encode(encoding))
    assert [found.kind for found in search.search(dataset)] == ["name"]


def test_numbers_and_pixels_are_no_text(search: LeftoverSearch, dataset: Dataset) -> None:
    dataset.WindowCenter, dataset.SeriesNumber = "471108", "471108"
    dataset.add_new(0x7FE00010, "OW", b"Xavorsky")
    assert search.search(dataset) == ()


def test_a_uid_that_is_none(search: LeftoverSearch, dataset: Dataset) -> None:
    dataset.add_new(0x00080016, "UI", "Xavorsky")
    assert [found.kind for found in search.search(dataset)] == ["name"]


def test_an_id_inside_a_uid(dataset: Dataset) -> None:
    patient = document(CTImageStorage, "CT", 1)
    patient.PatientID = "471108"
    dataset.AcquisitionUID = "1.2.3.471108.5"
    search = LeftoverSearch(own_words(patient, with_uids=False))
    assert [(found.place, found.kind) for found in search.search(dataset)] == [("(0008,0017)", "id")]


def test_the_report_holds_no_value(search: LeftoverSearch) -> None:
    report = LeftoverReport(
        1, search.search(ct_series(1)[0]), (UncleanObject("2.25.1", "PDF", "cannot be cleaned", written=False),)
    )
    text = json.dumps(to_json(report)).lower()
    for secret in (*PATIENT.name.lower().split("^"), PATIENT.patient_id.lower(), "19500312", PATIENT.accession.lower()):
        assert secret not in text
    assert not report.is_clean and LeftoverReport(1, (), ()).is_clean
