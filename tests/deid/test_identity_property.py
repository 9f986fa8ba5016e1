"""Whatever an object says of its patient, and wherever: it is gone, or it is reported. Judged by plain search."""

import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom._dicom_dict import DicomDictionary
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from clara_ops.deid.burned_in import known_layouts
from clara_ops.deid.leftovers import LeftoverSearch
from clara_ops.deid.objects import Job, deidentify_file, own_words_of
from clara_ops.deid.private_attributes import AllowList
from clara_ops.deid.profile import Option
from clara_ops.deid.pseudonyms import Pseudonyms, UidMap
from tests.deid.objects import Patient, ct_series
from tests.dicomgen.series import write_file

TEXT_VRS = ("LO", "LT", "PN", "SH", "ST", "UC", "UT")
TEXT_TAGS = sorted(tag for tag, (vr, *_) in DicomDictionary.items() if vr in TEXT_VRS and Tag(tag).group >= 8)
SEQUENCES = sorted(tag for tag, (vr, *_) in DicomDictionary.items() if vr == "SQ" and Tag(tag).group >= 8)
ALLOWED = AllowList(frozenset({(0x0029, 0x10, "MAKER")}))

LATIN = st.text("bcdfghjklmnpqrstvwxz", min_size=5, max_size=9)
ACCENTED = st.text("äöüéèçñßøłš", min_size=5, max_size=9)
CYRILLIC = st.text("бвгджзклмнпрст", min_size=5, max_size=9)
KANJI = st.text("山田太郎木村鈴佐藤高橋渡辺", min_size=2, max_size=4)
WORD = st.one_of(LATIN, ACCENTED, CYRILLIC, KANJI)
IDS = st.from_regex(r"[1-9][0-9]{9,11}|[B-DF-HJ-NP-TV-Z]{3}-[0-9]{4,6}", fullmatch=True)
CASES: st.SearchStrategy[Callable[[str], str]] = st.sampled_from((str, str.upper, str.lower, str.title))


@st.composite
def patients(draw: st.DrawFn) -> Patient:
    name = draw(WORD).capitalize() + "^" + draw(WORD).capitalize()
    return Patient(
        name,
        draw(IDS),
        draw(st.dates(date(1900, 1, 1), date(2024, 1, 1))),
        draw(IDS),
        draw(WORD) + " 7",
        "+49 89 " + draw(st.from_regex("[1-9]{6}", fullmatch=True)),
    )


@st.composite
def remarks(draw: st.DrawFn, patient: Patient) -> str:
    own = [*patient.name.split("^"), patient.patient_id, patient.birth_date.strftime("%Y%m%d"), patient.accession]
    return draw(st.sampled_from(("{}", "of {} here", "({})", "x={};"))).format(draw(CASES)(draw(st.sampled_from(own))))


@st.composite
def places(draw: st.DrawFn, image: Dataset, patient: Patient) -> None:
    """Put a remark into some attribute, in some sequence, or into private bytes."""
    remark = draw(remarks(patient))
    holder = image
    for sequence in draw(st.lists(st.sampled_from(SEQUENCES), max_size=2)):
        item = Dataset()
        holder.add_new(sequence, "SQ", [item])
        holder = item
    if draw(st.integers(0, 4)) == 0:
        encoding = draw(st.sampled_from(("utf_8", "utf_16_le", "utf_16_be")))
        element = draw(st.sampled_from((0x10, 0x11)))
        holder.private_block(0x0029, "MAKER", create=True).add_new(element, "UN", remark.encode(encoding))
        return
    tag = draw(st.sampled_from(TEXT_TAGS))
    if tag not in holder:
        holder.add_new(tag, DicomDictionary[tag][0], remark)


@pytest.mark.filterwarnings("ignore:.*:UserWarning:pydicom")
@settings(max_examples=80, deadline=None)
@given(st.data())
def test_every_own_word_is_gone_or_reported(data: st.DataObject) -> None:
    patient = data.draw(patients())
    (image,) = ct_series(1, patient)
    for _ in range(data.draw(st.integers(0, 4))):
        data.draw(places(image, patient))
    options = data.draw(
        st.frozensets(st.sampled_from([option for option in Option if option != Option.CLEAN_PIXEL_DATA]))
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_file(image, folder / "1.dcm")
        (folder / "out").mkdir()
        search = LeftoverSearch(own_words_of([folder / "1.dcm"], with_uids=Option.RETAIN_UIDS not in options))
        job = Job(options, UidMap(Pseudonyms(b"0123456789abcdef")), search, ALLOWED, known_layouts())
        outcome = deidentify_file(folder / "1.dcm", folder / "out", job)
        (written,) = (folder / "out").iterdir()
        content = written.read_bytes()
        text = pydicom.dcmread(written, stop_before_pixels=True).to_json().casefold()
    readings = [
        content.decode(encoding, errors="ignore").casefold() for encoding in ("utf_8", "utf_16_le", "utf_16_be")
    ]
    readings += [content[1:].decode(encoding, errors="ignore").casefold() for encoding in ("utf_16_le", "utf_16_be")]
    secrets = {*patient.name.split("^"), patient.patient_id, patient.accession}
    born = patient.birth_date.strftime("%Y%m%d")
    left = {secret for secret in secrets if any(secret.casefold() in reading for reading in (text, *readings))}
    if left or f'"{born}"' in text:
        assert outcome.leftovers
    if Option.RETAIN_UIDS not in options:
        assert str(image.SOPInstanceUID) not in content.decode("latin_1")
