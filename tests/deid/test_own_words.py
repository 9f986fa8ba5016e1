"""What of a patient is found in text, and what is not taken for it."""

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from clara_ops.deid.own_words import Kind, OwnWords, own_words


def words_of(**attributes: object) -> OwnWords:
    dataset = Dataset()
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return own_words(dataset, with_uids=True)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Xavorsky^Brunhilde", "XAVORSKY"),
        ("Xavorsky^Brunhilde", "report of brunhilde x."),
        ("Xavorsky^Brunhilde", "/data/Xavorsky_B/1.dcm"),
        ("Xavorsky^Brunhilde", "BrunhildeXavorsky"),
        ("Müller^Jürgen", "MUELLER"),
        ("Müller^Jürgen", "Muller, Jurgen"),
        ("Mueller^Jan", "Jan M."),
        ("Müller", "Mu\u0308ller"),
        ("Łukasz^Søren", "lukasz soren"),
        ("Doe^John", "JohnDoe"),
        ("Li^Na", "report of Na Li"),
        ("Lee^Ann", "Ann, CT"),
        ("O'Brien-Smith^Zoë", "OBRIEN smith"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "山田様"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "ﾔﾏﾀﾞ"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "ヤマダ タロウ"),
        ("Wang^XiaoDong=王^小东", "患者王小东"),
        ("Hong^Gildong=洪^吉洞=홍^길동", "길동"),
        ("Люкceмбypг", "люкceмбypг"),
        ("Ｘａｖｏｒｓｋｙ", "Xavorsky"),
    ],
)
def test_a_name_is_found_in_any_case_accent_width_and_script(name: str, text: str) -> None:
    assert Kind.NAME in words_of(PatientName=name).kinds_in(text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Lee^Ann", "annotation"),
        ("Lee^Ann", "sleeve"),
        ("Doe^John^^Dr", "Dr. Smith"),
        ("Test^Patient", "the patient"),
        ("X^Y", "x and y of x"),
        ("Wang^Xi=王", "王様"),
        ("Xavorsky^Brunhilde", "SIEMENS CT ABDOMEN"),
    ],
)
def test_and_not_where_it_only_looks_like_one(name: str, text: str) -> None:
    assert Kind.NAME not in words_of(PatientName=name).kinds_in(text)


@pytest.mark.parametrize(
    ("patient_id", "text"),
    [
        ("PID-4711-08", "pid471108"),
        ("PID-4711-08", "PID 4711 08"),
        ("00123456", "id 123456."),
        ("123456", "00123456"),
        ("4711", "case 4711"),
        ("JSMITHSON", "u=jsmithson"),
    ],
)
def test_ids(patient_id: str, text: str) -> None:
    assert Kind.ID in words_of(PatientID=patient_id).kinds_in(text)


@pytest.mark.parametrize(
    ("patient_id", "text"),
    [("4711", "47110"), ("4711", "14711"), ("123", "123"), ("HEAD", "HEAD"), ("4711", "47 11"), ("123456", "12.3456")],
)
def test_what_is_no_id(patient_id: str, text: str) -> None:
    assert Kind.ID not in words_of(PatientID=patient_id).kinds_in(text)


def test_each_kind_by_itself() -> None:
    words = words_of(
        PatientBirthDate="19500312",
        PatientAddress="Quendelweg 17, 98765 Mondsee",
        PatientTelephoneNumbers="+49 89 5550-1234",
        AccessionNumber="ACC998877",
        SOPInstanceUID="1.2.826.0.1.77.1",
    )
    assert words.kinds_in("born 12.3.1950") == {Kind.BIRTH_DATE}
    assert words.kinds_in("Bahnhof Mondsee") == {Kind.ADDRESS}
    assert words.kinds_in("call 0049 89 5550 1234") == {Kind.PHONE}
    assert words.kinds_in("acc998877") == {Kind.ID}
    assert words.kinds_in("derived from 1.2.826.0.1.77.12") == frozenset()
    assert words.kinds_in("derived from 1.2.826.0.1.77.1") == {Kind.UID}
    assert words.kinds_in("CT of 2024-03-12 at 17 h") == frozenset()


def test_uids_hold_ids_as_components() -> None:
    words = words_of(PatientID="004711", SOPInstanceUID="1.2.826.0.1.77.1")
    assert words.kinds_in_uid("1.2.3.4711.5") == {Kind.ID}
    assert words.kinds_in_uid("1.2.826.0.1.77.1") == {Kind.UID}
    assert words.kinds_in_uid("1.2.3.47.11") == frozenset()


def test_words_come_from_sequences_and_many_datasets() -> None:
    other = Dataset()
    other.PatientID = "OTHER-99"
    first = Dataset()
    first.OtherPatientIDsSequence = Sequence([other])
    used = Dataset()
    used.add_new(0x00100012, "PN", "Hildchen")
    first.add_new(0x00100011, "SQ", [used])
    second = Dataset()
    second.OtherPatientNames = ["Xavorsky^Hilde", "Maiden^B"]
    second.SOPInstanceUID = "1.2.826.0.1.77.1"
    words = own_words(first, with_uids=False) | own_words(second, with_uids=False)
    assert words.kinds_in("other99") == {Kind.ID}
    assert words.kinds_in("Maiden") == words.kinds_in("hilde") == words.kinds_in("hildchen") == {Kind.NAME}
    assert words.kinds_in("1.2.826.0.1.77.1") == frozenset()
