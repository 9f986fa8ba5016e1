import pytest

from clara_ops.deid.descriptors import clean_text, is_harmless_code
from clara_ops.deid.own_words import OwnWords

NOBODY = OwnWords()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("CT ABDOMEN Xavorsky 5.0 B30f", "CT ABDOMEN 5.0 B30f"),
        ("AX T1 post contrast 5mm Smith 12/03/1950", "AX T1 post contrast 5mm"),
        ("T2w_TSE_sag 3 mm", "T2w TSE sag 3 mm"),
        ("chest pa/lat", "chest pa lat"),
        ("Thorax 120 kV, 80 %", "Thorax 120 kV 80 %"),
        ("頭部 CT 5mm", "CT 5mm"),
    ],
)
def test_known_words_and_measures_stay(text: str, expected: str) -> None:
    assert clean_text(text, NOBODY) == expected


@pytest.mark.parametrize("text", ["DOE^JOHN", "4711", "1950-03-12", "Ward 7 bed 12", "ＪＯＨＮ", "072Y", "", "  "])
def test_nothing_else_stays(text: str) -> None:
    assert clean_text(text, NOBODY) is None


def test_a_known_word_that_is_the_patient_s_name_goes() -> None:
    assert clean_text("CT HEAD", OwnWords(names=frozenset({"head"}))) == "CT"


def test_codes() -> None:
    assert is_harmless_code("HEAD")
    assert is_harmless_code("ABDOMEN_PELVIS")
    assert not is_harmless_code("XAVORSKY")
    assert not is_harmless_code("4711")
