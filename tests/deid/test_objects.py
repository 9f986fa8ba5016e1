"""From file to file: what is written, under what name, in what encoding, and what is not."""

import re
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
)

from clara_ops.deid.burned_in import known_layouts
from clara_ops.deid.errors import BrokenObject, ConflictingObjects
from clara_ops.deid.leftovers import LeftoverSearch
from clara_ops.deid.objects import Job, deidentify_file, dicom_files, own_words_of
from clara_ops.deid.private_attributes import AllowList
from clara_ops.deid.profile import Option
from clara_ops.deid.pseudonyms import Pseudonyms, UidMap
from tests.deid.objects import Patient, ct_series, encapsulated_pdf, screen, ultrasound_region
from tests.dicomgen.series import write_file

MakeJob = Callable[..., Job]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (folder := tmp_path / "out").mkdir()
    return folder


@pytest.fixture
def job_for(pseudonyms: Pseudonyms) -> MakeJob:
    def make(folder: Path, *options: Option) -> Job:
        paths, _ = dicom_files(folder)
        search = LeftoverSearch(own_words_of(paths, with_uids=Option.RETAIN_UIDS not in options))
        chosen = frozenset((*options, Option.CLEAN_STRUCTURED_CONTENT))
        return Job(chosen, UidMap(pseudonyms), search, AllowList(), known_layouts())

    return make


@pytest.mark.parametrize(
    "transfer_syntax",
    [
        ExplicitVRLittleEndian,
        ImplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
        JPEGLSLossless,
        RLELossless,
    ],
)
def test_the_pixels_stay_as_they_are_stored(
    transfer_syntax: UID, tmp_path: Path, out: Path, job_for: MakeJob, pseudonyms: Pseudonyms
) -> None:
    (image,) = ct_series(1)
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "XAVORSKY.dcm"
    write_file(image, path, transfer_syntax)
    expected = pydicom.dcmread(path)
    outcome = deidentify_file(path, out, job_for(tmp_path / "in"))
    assert outcome.written and not outcome.leftovers and outcome.unclean is None
    (written,) = out.iterdir()
    result = pydicom.dcmread(written)
    assert written.name == f"{pseudonyms.uid(str(image.SOPInstanceUID))}.dcm"
    assert result.file_meta.TransferSyntaxUID == transfer_syntax
    assert result.PixelData == expected.PixelData
    np.testing.assert_array_equal(result.pixel_array, expected.pixel_array)
    assert result.Rows == 10 and result.RescaleIntercept == -1024


def test_the_file_says_nothing_of_where_it_came_from(tmp_path: Path, out: Path, job_for: MakeJob) -> None:
    (image,) = ct_series(1)
    path = tmp_path / "1.dcm"
    write_file(image, path)
    image.file_meta.SourceApplicationEntityTitle = "XAVORSKY"
    image.file_meta.PrivateInformationCreatorUID = UID("1.2.3")
    image.file_meta.PrivateInformation = b"Xavorsky"
    image.preamble = b"Xavorsky".ljust(128)
    image.save_as(path)
    deidentify_file(path, out, job_for(tmp_path))
    (written,) = out.iterdir()
    content = written.read_bytes()
    assert b"xavorsky" not in content.lower()
    assert b"1.2.826" not in content
    assert content.startswith(b"De-identified by")
    result = pydicom.dcmread(written)
    assert result.file_meta.MediaStorageSOPInstanceUID == result.SOPInstanceUID
    assert "SourceApplicationEntityTitle" not in result.file_meta


def test_it_says_what_was_done(tmp_path: Path, out: Path, job_for: MakeJob) -> None:
    (image,) = ct_series(1)
    image.DeidentificationMethod = "an earlier one"
    write_file(image, tmp_path / "1.dcm")
    options = [option for option in Option if option not in (Option.RETAIN_SAFE_PRIVATE, Option.CLEAN_PIXEL_DATA)]
    deidentify_file(tmp_path / "1.dcm", out, job_for(tmp_path, *options))
    (written,) = out.iterdir()
    result = pydicom.dcmread(written)
    assert result.PatientIdentityRemoved == "YES"
    assert len(result.DeidentificationMethod[1]) <= 64
    assert result.DeidentificationMethod[0] == "an earlier one"
    codes = {(item.CodeValue, item.CodingSchemeDesignator) for item in result.DeidentificationMethodCodeSequence}
    assert codes == {(value, "DCM") for value in ("113100", "113104", "113105", "113107", "113108", "113109", "113110")}
    assert result.LongitudinalTemporalInformationModified == "MODIFIED"
    assert written.name == f"{image.SOPInstanceUID}.dcm"


def test_code_meanings_are_those_of_cid_7050(tmp_path: Path, out: Path, job_for: MakeJob) -> None:
    from pydicom.sr.codedict import codes

    image = screen()
    image.BurnedInAnnotation = "NO"
    write_file(image, tmp_path / "1.dcm")
    deidentify_file(tmp_path / "1.dcm", out, job_for(tmp_path, *Option))
    (written,) = out.iterdir()
    result = pydicom.dcmread(written)
    meanings = {item.CodeValue: item.CodeMeaning for item in result.DeidentificationMethodCodeSequence}
    known = {code.value: code.meaning for code in (getattr(codes.cid7050, name) for name in codes.cid7050.dir())}
    assert len(meanings) == 9
    assert {value: known[value] for value in meanings} == meanings


@pytest.mark.parametrize(
    "patient",
    [
        Patient("Yamada^Tarou=山田^太郎=やまだ^たろう", character_set=["", "ISO 2022 IR 87"]),
        Patient("Hong^Gildong=洪^吉洞=홍^길동", character_set=["", "ISO 2022 IR 149"]),
        Patient("Люкceмбypг", character_set=["ISO_IR 144"]),
        Patient("قباني^لنزار", character_set=["ISO_IR 127"]),
        Patient("Wang^XiaoDong=王^小东", character_set=["GB18030"]),
        Patient("Äneas^Rüdiger", character_set=["ISO_IR 100"]),
    ],
    ids=lambda patient: patient.character_set[-1],
)
def test_names_in_every_script_go(patient: Patient, tmp_path: Path, out: Path, job_for: MakeJob) -> None:
    (image,) = ct_series(1, patient)
    image.InstitutionAddress = patient.name.replace("=", " ")
    image.ContrastBolusAgent = patient.name.split("=")[-1]
    write_file(image, tmp_path / "1.dcm")
    encoded = pydicom.dcmread(tmp_path / "1.dcm").get_item("PatientName").value
    secrets = [part for part in re.split(rb"[=^ ]", encoded) if part]
    outcome = deidentify_file(tmp_path / "1.dcm", out, job_for(tmp_path))
    assert outcome.written and not outcome.leftovers
    (written,) = out.iterdir()
    content = written.read_bytes()
    assert secrets and not any(secret in content for secret in secrets)
    assert pydicom.dcmread(written).SpecificCharacterSet == pydicom.dcmread(tmp_path / "1.dcm").SpecificCharacterSet


def test_a_name_in_an_attribute_of_no_table_is_a_leftover_in_every_script(
    tmp_path: Path, out: Path, job_for: MakeJob
) -> None:
    patient = Patient("Yamada^Tarou=山田^太郎=やまだ^たろう", character_set=["", "ISO 2022 IR 87"])
    (image,) = ct_series(1, patient)
    image.ManufacturerModelName = "山田"
    write_file(image, tmp_path / "1.dcm")
    outcome = deidentify_file(tmp_path / "1.dcm", out, job_for(tmp_path))
    assert [(found.place, found.kind) for found in outcome.leftovers] == [("(0008,1090)", "name")]


def test_a_document_and_a_private_class_stay_behind(tmp_path: Path, out: Path, job_for: MakeJob) -> None:
    write_file(encapsulated_pdf(), tmp_path / "1.dcm")
    private = screen()
    private.SOPClassUID = "1.3.46.670589.11.0.0.12.1"
    write_file(private, tmp_path / "2.dcm")
    job = job_for(tmp_path)
    outcomes = [deidentify_file(path, out, job) for path in dicom_files(tmp_path)[0]]
    assert [outcome.unclean and outcome.unclean.written for outcome in outcomes] == [False, False]
    assert outcomes[0].unclean is not None and outcomes[0].unclean.sop_class == "Encapsulated PDF Storage"
    assert not list(out.iterdir())


def test_burned_in_text_is_blackened_or_reported(tmp_path: Path, out: Path, job_for: MakeJob) -> None:
    known, unknown = screen(UID("1.2.840.10008.5.1.4.1.1.3.1"), frames=2), screen()
    known.SOPInstanceUID += ".9"
    known.SequenceOfUltrasoundRegions = [ultrasound_region(5, 10, 49, 29)]
    write_file(known, tmp_path / "1.dcm", RLELossless)
    write_file(unknown, tmp_path / "2.dcm")
    job = job_for(tmp_path, Option.CLEAN_PIXEL_DATA)
    first, second = (deidentify_file(path, out, job) for path in dicom_files(tmp_path)[0])
    assert first.pixels_cleaned and first.unclean is None
    assert not second.pixels_cleaned and second.unclean is not None and second.unclean.written
    assert "no known layout" in second.unclean.reason
    images = {image.SOPClassUID: image for image in map(pydicom.dcmread, out.iterdir())}
    cleaned, kept = images[known.SOPClassUID], images[unknown.SOPClassUID]
    assert (cleaned.pixel_array[:, :10] == 0).all() and (cleaned.pixel_array[:, 10:30, 5:50] == 200).all()
    assert cleaned.BurnedInAnnotation == "NO"
    assert cleaned.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    has_code = [
        any(item.CodeValue == "113101" for item in image.DeidentificationMethodCodeSequence)
        for image in (cleaned, kept)
    ]
    assert has_code == [True, False]
    assert "BurnedInAnnotation" not in kept


def test_pixels_that_cannot_be_decoded_are_not_called_clean(tmp_path: Path, out: Path, job_for: MakeJob) -> None:
    video = screen(UID("1.2.840.10008.5.1.4.1.1.3.1"))
    video.SequenceOfUltrasoundRegions = [ultrasound_region(5, 10, 49, 29)]
    write_file(video, tmp_path / "1.dcm", RLELossless)
    broken = pydicom.dcmread(tmp_path / "1.dcm")
    broken.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.4.102")
    broken.save_as(tmp_path / "1.dcm")
    outcome = deidentify_file(tmp_path / "1.dcm", out, job_for(tmp_path, Option.CLEAN_PIXEL_DATA))
    assert outcome.unclean is not None
    assert "cannot be decoded" in outcome.unclean.reason


def test_an_object_that_is_there_twice_is_written_once(tmp_path: Path, out: Path, job_for: MakeJob) -> None:
    (image,) = ct_series(1)
    write_file(image, tmp_path / "1.dcm")
    (tmp_path / "2.dcm").write_bytes((tmp_path / "1.dcm").read_bytes())
    image.RescaleSlope = "2"
    write_file(image, tmp_path / "3.dcm")
    job = job_for(tmp_path)
    assert deidentify_file(tmp_path / "1.dcm", out, job).written
    assert not deidentify_file(tmp_path / "2.dcm", out, job).written
    with pytest.raises(ConflictingObjects):
        deidentify_file(tmp_path / "3.dcm", out, job)


def test_the_same_input_gives_the_same_bytes(tmp_path: Path, job_for: MakeJob) -> None:
    write_file(ct_series(1)[0], tmp_path / "1.dcm")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        deidentify_file(tmp_path / "1.dcm", tmp_path / name, job_for(tmp_path, Option.RETAIN_MODIFIED_DATES))
    (first,), (second,) = ((tmp_path / name).iterdir() for name in ("a", "b"))
    assert first.name == second.name and first.read_bytes() == second.read_bytes()


def test_only_dicom_objects_are_taken(tmp_path: Path) -> None:
    write_file(ct_series(1)[0], tmp_path / "image with any name")
    (tmp_path / "notes.txt").write_text("Xavorsky")
    (tmp_path / ".hidden").mkdir()
    write_file(ct_series(1)[0], tmp_path / ".hidden" / "1.dcm")
    directory = Dataset()
    directory.SOPClassUID, directory.SOPInstanceUID = "1.2.840.10008.1.3.10", "1.2.3"
    write_file(directory, tmp_path / "DICOMDIR")
    assert dicom_files(tmp_path) == ((tmp_path / "image with any name",), 2)


@pytest.mark.parametrize("cut", [140, 400, 700])
def test_a_broken_file_is_named_and_no_value_told(cut: int, tmp_path: Path, out: Path, job_for: MakeJob) -> None:
    write_file(ct_series(1)[0], tmp_path / "1.dcm")
    content = (tmp_path / "1.dcm").read_bytes()
    job = job_for(tmp_path)
    (tmp_path / "1.dcm").write_bytes(content[:cut] + b"\xff" * 40)
    with pytest.raises(BrokenObject) as raised:
        deidentify_file(tmp_path / "1.dcm", out, job)
    assert "1.dcm" in str(raised.value)
    assert "avorsky" not in str(raised.value)


def test_text_in_place_of_a_number_is_a_leftover_and_told_to_nobody(
    tmp_path: Path, out: Path, job_for: MakeJob, caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    write_file(ct_series(1)[0], tmp_path / "1.dcm")
    content = (tmp_path / "1.dcm").read_bytes()
    name = b"Xavorsky"
    start = struct.pack("<HH", 0x0018, 0x0060) + b"DS"
    assert start + struct.pack("<H", 0) in content
    spoilt = content.replace(start + struct.pack("<H", 0), start + struct.pack("<H", len(name)) + name)
    (tmp_path / "1.dcm").write_bytes(spoilt)
    outcome = deidentify_file(tmp_path / "1.dcm", out, job_for(tmp_path))
    assert [(found.place, found.kind) for found in outcome.leftovers] == [("(0018,0060)", "name")]
    told = caplog.text + "".join(str(warning.message) for warning in recwarn)
    assert "avorsky" not in told
