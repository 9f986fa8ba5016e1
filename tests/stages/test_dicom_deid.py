"""dicom-deid on whole folders, as `clara-stage` runs it."""

import hashlib
import hmac
import json
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from clara_ops.contract.documents import read_document
from clara_ops.deid.leftovers import LeftoverReport
from clara_ops.stages.command import main
from tests.deid.objects import (
    PATIENT,
    Patient,
    ct_series,
    encapsulated_pdf,
    key_object,
    presentation_state,
    screen,
    structured_report,
)
from tests.dicomgen.case import make_case
from tests.dicomgen.results import label_image
from tests.dicomgen.series import make_series, write_file, write_series

KEY = "a key that only the tests know"
DATA = Path(__file__).resolve().parents[1] / "data"
Deid = Callable[..., int]


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLARA_DEID_KEY", KEY)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A payload of many kinds of objects, under names that tell the patient's."""
    images = ct_series(3)
    (folder := tmp_path / "in").mkdir()
    objects = [*images, structured_report(images), key_object(images), presentation_state(images)]
    for number, dataset in enumerate(objects):
        write_file(dataset, folder / f"XAVORSKY_{number}.dcm")
    return folder


@pytest.fixture
def deid(tmp_path: Path) -> Deid:
    def run(folder: Path, *words: str, out: str = "out") -> int:
        return main(["dicom-deid", "--input", str(folder), "--output", str(tmp_path / out), *words])

    return run


def read(folder: Path) -> list[Dataset]:
    return [pydicom.dcmread(path) for path in sorted(folder.glob("*.dcm"))]


def test_a_payload_becomes_nobody_s_and_stays_whole(folder: Path, tmp_path: Path, deid: Deid) -> None:
    assert deid(folder) == 0
    out = tmp_path / "out"
    objects = read(out)
    assert sorted(path.name for path in out.iterdir()) == sorted(
        [*(f"{dataset.SOPInstanceUID}.dcm" for dataset in objects), "leftovers.json", "result.json"]
    )
    facts = json.loads((out / "result.json").read_text())["facts"]
    assert facts == {"objects": 6, "patients": 1, "pixels_cleaned": 0, "leftovers": 0, "unclean": 0, "other_files": 0}
    assert read_document(LeftoverReport, out / "leftovers.json").is_clean
    for path in out.iterdir():
        content = path.read_bytes().lower()
        for secret in (
            b"xavorsky",
            b"brunhilde",
            b"4711",
            b"998877",
            b"gutachter",
            b"19500312",
            b"quendel",
            b"1.2.826",
        ):
            assert secret not in content, path
    images = {dataset.SOPInstanceUID for dataset in objects if dataset.Modality == "CT"}
    assert len(images) == 3
    assert len({dataset.StudyInstanceUID for dataset in objects}) == len({d.PatientID for d in objects}) == 1
    report, keys, state = (next(d for d in objects if d.Modality == modality) for modality in ("SR", "KO", "PR"))
    evidence = keys.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert {item.ReferencedSOPInstanceUID for item in evidence} == images
    assert report.ContentSequence[-1].ContentSequence[2].ReferencedSOPSequence[0].ReferencedSOPInstanceUID in images
    shown = state.ReferencedSeriesSequence[0].ReferencedImageSequence
    assert {item.ReferencedSOPInstanceUID for item in shown} == images


def test_the_site_finds_back_with_the_key(folder: Path, tmp_path: Path, deid: Deid) -> None:
    key_map = tmp_path / "map.json"
    assert deid(folder, "--retain-longitudinal-modified-dates", "--write-key-map", str(key_map)) == 0
    assert stat.S_IMODE(key_map.stat().st_mode) == 0o600
    known = json.loads(key_map.read_text())
    (image, *_) = [dataset for dataset in read(tmp_path / "out") if dataset.Modality == "CT"]
    originals = {new: old for old, new in known["uids"].items()}
    assert originals[image.SOPInstanceUID].startswith("1.2.826.0.1.77.1.")
    (patient,) = known["patients"]
    assert (patient["original"], patient["patient_id"]) == (PATIENT.patient_id, image.PatientID)
    digest = hmac.new(KEY.encode(), f"dates\0id\0{PATIENT.patient_id}".encode(), hashlib.sha256).digest()
    assert patient["shift_days"] == -(int.from_bytes(digest[:8], "big") % 3650 + 1)


def test_without_a_key_nothing_is_done(
    folder: Path, tmp_path: Path, deid: Deid, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CLARA_DEID_KEY")
    assert deid(folder) == 65
    assert capsys.readouterr().out.startswith("MissingKey: CLARA_DEID_KEY is not set")
    assert not list((tmp_path / "out").iterdir())


def test_the_key_and_the_patient_are_in_no_output(
    folder: Path, tmp_path: Path, deid: Deid, capfd: pytest.CaptureFixture[str]
) -> None:
    write_file(encapsulated_pdf(), folder / "report.dcm")
    assert deid(folder) == 65
    assert deid(folder, "--leftovers", "report") == 0
    told = "".join(capfd.readouterr()).lower()
    assert "clara_deid" not in told and KEY not in told
    for secret in ("xavorsky", "4711", "19500312", "1.2.826"):
        assert secret not in told


def test_another_key_gives_other_pseudonyms(
    folder: Path, tmp_path: Path, deid: Deid, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert deid(folder) == deid(folder, out="again") == 0
    monkeypatch.setenv("CLARA_DEID_KEY", "another key altogether")
    assert deid(folder, out="other") == 0
    names = [{path.name for path in (tmp_path / out).glob("*.dcm")} for out in ("out", "again", "other")]
    assert names[0] == names[1]
    assert names[0].isdisjoint(names[2])


def test_what_is_left_is_refused_with_its_place_and_nothing_written(
    folder: Path, tmp_path: Path, deid: Deid, capsys: pytest.CaptureFixture[str]
) -> None:
    (image, *_) = ct_series(1)
    image.ManufacturerModelName = "Scanner of B. Xavorsky"
    write_file(image, folder / "XAVORSKY_0.dcm")
    assert deid(folder) == 65
    printed = capsys.readouterr().out
    assert printed.startswith("IdentityLeft: 1 values and 0 objects")
    assert "(0008,1090) (name)" in printed and "--leftovers report" in printed
    assert not list((tmp_path / "out").iterdir())
    assert deid(folder, "--leftovers", "report") == 0
    report = read_document(LeftoverReport, tmp_path / "out" / "leftovers.json")
    (leftover,) = report.leftovers
    assert (leftover.place, leftover.kind) == ("(0008,1090)", "name")
    assert (tmp_path / "out" / f"{leftover.object}.dcm").exists()
    assert "look through" in json.loads((tmp_path / "out" / "result.json").read_text())["reason"]


def test_a_report_as_pdf_is_refused_or_left_behind(
    folder: Path, tmp_path: Path, deid: Deid, capsys: pytest.CaptureFixture[str]
) -> None:
    write_file(encapsulated_pdf(), folder / "report.dcm")
    assert deid(folder) == 65
    assert "Encapsulated PDF Storage: the document inside cannot be cleaned" in capsys.readouterr().out
    assert deid(folder, "--leftovers", "report") == 0
    assert len(list((tmp_path / "out").glob("*.dcm"))) == 6
    (unclean,) = read_document(LeftoverReport, tmp_path / "out" / "leftovers.json").unclean
    assert not unclean.written


def test_screens_need_their_pixels_cleaned(tmp_path: Path, deid: Deid, capsys: pytest.CaptureFixture[str]) -> None:
    (folder := tmp_path / "in").mkdir()
    write_file(screen(), folder / "1.dcm")
    assert deid(folder) == 65
    assert "--clean-pixel-data is not given" in capsys.readouterr().out
    assert deid(folder, "--clean-pixel-data") == 65
    assert "no known layout" in capsys.readouterr().out
    (tmp_path / "site.csv").write_text(
        "modality,manufacturer,model,image_type,series_description,rows,columns,left,top,width,height\n"
        "OT,maker,,,,40,60,0,0,60,10\n"
    )
    assert deid(folder, "--clean-pixel-data", "--pixel-layouts", str(tmp_path / "site.csv")) == 0
    (image,) = read(tmp_path / "out")
    assert (image.pixel_array[:10] == 0).all() and (image.pixel_array[10:-1] == 200).all()


def test_private_attributes_by_a_list(tmp_path: Path, deid: Deid) -> None:
    (folder := tmp_path / "in").mkdir()
    (image,) = ct_series(1)
    image.private_block(0x0019, "MAKER", create=True).add_new(0x0C, "IS", "1000")
    write_file(image, folder / "1.dcm")
    (tmp_path / "safe.txt").write_text("(0019,xx0C) MAKER\n")
    assert deid(folder, "--private-tags", str(tmp_path / "safe.txt")) == 0
    (kept,) = read(tmp_path / "out")
    assert kept[0x0019, 0x100C].value == 1000
    assert {item.CodeValue for item in kept.DeidentificationMethodCodeSequence} == {"113100", "113104", "113111"}


def test_patients_of_one_folder_stay_apart(tmp_path: Path, deid: Deid) -> None:
    (folder := tmp_path / "in").mkdir()
    other = Patient("Zwölfter^Zeno", "OTHER-0815")
    for number, patient in enumerate((PATIENT, other)):
        (image,) = ct_series(1, patient)
        image.SOPInstanceUID += f".{number}"
        write_file(image, folder / f"{number}.dcm")
    assert deid(folder, "--retain-longitudinal-modified-dates") == 0
    first, second = read(tmp_path / "out")
    assert first.PatientID != second.PatientID
    assert first.StudyDate != second.StudyDate


def test_what_the_results_do_not_say_is_learnt_from_the_images(
    tmp_path: Path, deid: Deid, capsys: pytest.CaptureFixture[str]
) -> None:
    images = ct_series(1)
    images[0].OtherPatientNames = "Maidenski^B"
    write_series(images, tmp_path / "dicom")
    (folder := tmp_path / "in").mkdir()
    (result,) = ct_series(1)
    result.ManufacturerModelName = "for Maidenski"
    write_file(result, folder / "1.dcm")
    assert deid(folder) == 0
    assert deid(folder, "--dicom", str(tmp_path / "dicom"), out="other") == 65
    assert "(0008,1090) (name)" in capsys.readouterr().out


def test_results_of_the_writer_stay_tied_to_their_images(tmp_path: Path, deid: Deid) -> None:
    """The payload before `deliver`: segmentation, structure set and pictures, with the images that they refer to."""
    case = make_case(tmp_path / "case", make_series())
    results = case.write(label_image(case.image), "--structure-set")
    (folder := tmp_path / "in").mkdir()
    for number, dataset in enumerate([*results, *make_series()]):
        write_file(dataset, folder / f"{number}.dcm")
    assert deid(folder) == 0
    objects = {dataset.SOPInstanceUID: dataset for dataset in read(tmp_path / "out")}
    images = {uid for uid, dataset in objects.items() if dataset.Modality == "CT" and "PixelSpacing" in dataset}
    segmentation = next(dataset for dataset in objects.values() if dataset.Modality == "SEG")
    (before,) = [dataset for dataset in results if dataset.Modality == "SEG"]
    np.testing.assert_array_equal(segmentation.pixel_array, before.pixel_array)
    referred = {
        source.ReferencedSOPInstanceUID
        for frame in segmentation.PerFrameFunctionalGroupsSequence
        for source in frame.DerivationImageSequence[0].SourceImageSequence
    }
    assert referred and referred <= images
    structure_set = next(dataset for dataset in objects.values() if dataset.Modality == "RTSTRUCT")
    assert len(structure_set.ROIContourSequence) > 0


def test_the_sample_keeps_every_voxel(tmp_path: Path, deid: Deid) -> None:
    """JPEG 2000, as a hospital stores it."""
    assert deid(DATA / "abdomen_b") == 0
    before = {image.InstanceNumber: image for image in map(pydicom.dcmread, (DATA / "abdomen_b").glob("*.dcm"))}
    after = {image.InstanceNumber: image for image in read(tmp_path / "out")}
    assert after.keys() == before.keys()
    for number, image in after.items():
        assert image.PixelData == before[number].PixelData
        assert image.ImagePositionPatient == before[number].ImagePositionPatient
        assert image.file_meta.TransferSyntaxUID == before[number].file_meta.TransferSyntaxUID


def test_a_folder_without_dicom_is_named(tmp_path: Path, deid: Deid, capsys: pytest.CaptureFixture[str]) -> None:
    (folder := tmp_path / "in").mkdir()
    (folder / "volume.mhd").touch()
    assert deid(folder) == 65
    assert capsys.readouterr().out.startswith("NothingToDeidentify: ")


def test_a_key_map_may_not_leave_with_the_output(
    folder: Path, tmp_path: Path, deid: Deid, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deid(folder, "--write-key-map", str(tmp_path / "out" / "map.json")) == 65
    assert "lies in the output" in capsys.readouterr().out


def test_in_a_container_the_report_of_a_refusal_is_among_the_logs(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = tmp_path / "app"
    for name in ("output", "locks", "logs"):
        (app / name).mkdir(parents=True)
    write_file(encapsulated_pdf(), folder / "report.dcm")
    folder.rename(app / "input")
    monkeypatch.setenv("CLARA_APP_DIR", str(app))
    monkeypatch.setenv("CLARA_STAGE", "dicom-deid")
    monkeypatch.setenv("CLARA_LOCK_NAME", "dicom-deid.lock")
    assert main(["dicom-deid"]) == 65
    assert not list((app / "output").iterdir())
    assert not read_document(LeftoverReport, app / "logs" / "dicom-deid.leftovers.json").is_clean
    assert main(["dicom-deid", "--leftovers", "report"]) == 0
    assert (app / "locks" / "dicom-deid.lock").exists()
