"""Everything that dicom-writer writes, as others see it: dciodvfy, Orthanc, DCMTK, dcmqi and highdicom."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import highdicom
import httpx
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset
from pydicom.uid import (
    MRImageStorage,
    PositronEmissionTomographyImageStorage,
    SecondaryCaptureImageStorage,
)

from clara_ops.laptop.pacs import pacs_program
from clara_ops.laptop.pacs_client import answers_echo, send_series
from clara_ops.laptop.ports import reserved_ports
from clara_ops.laptop.processes import Supervisor
from clara_ops.laptop.programs import PACS_AE, SCANNER_AE
from tests.dicomgen.case import make_case
from tests.dicomgen.dciodvfy import errors
from tests.dicomgen.multiframe import make_multiframe
from tests.dicomgen.results import label_image
from tests.dicomgen.series import Identity, make_series

pytestmark = pytest.mark.e2e

EVERYTHING = ("--structure-set", "--measurements", "--report", "--surfaces")
MODALITIES = {"SEG", "OT", "RTSTRUCT", "SR", "DOC", "M3D"}


def multiframe() -> list[Dataset]:
    return [make_multiframe(make_series())]


def mr() -> list[Dataset]:
    images = make_series(identity=Identity(sop_class_uid=MRImageStorage, modality="MR"))
    for image in images:
        image.ScanningSequence, image.SequenceVariant, image.MRAcquisitionType = "SE", "NONE", "2D"
        image.ScanOptions = ""
        image.RepetitionTime = image.EchoTime = image.EchoTrainLength = ""
    return images


def pet() -> list[Dataset]:
    images = make_series(identity=Identity(sop_class_uid=PositronEmissionTomographyImageStorage, modality="PT"))
    for number, image in enumerate(images, start=1):
        image.ImageType = ["ORIGINAL", "PRIMARY"]
        image.Units, image.CountsSource, image.NumberOfSlices = "BQML", "EMISSION", 5
        image.SeriesType = ["STATIC", "IMAGE"]
        image.CorrectedImage, image.DecayCorrection, image.CollimatorType = "ATTN", "NONE", "NONE"
        image.RadiopharmaceuticalInformationSequence = image.PatientOrientationCodeSequence = []
        image.PatientGantryRelationshipCodeSequence = []
        image.FrameReferenceTime, image.ImageIndex, image.ActualFrameDuration = 0, number, ""
        image.AcquisitionDate = image.AcquisitionTime = ""
        del image.PatientPosition  # since Patient Orientation Code Sequence is there
    return images


def without_body_part() -> list[Dataset]:
    images = make_series()
    for image in images:
        del image.BodyPartExamined
    return images


SOURCES: dict[str, Callable[[], list[Dataset]]] = {
    "CT": make_series,
    "CT without body part": without_body_part,
    "enhanced CT": multiframe,
    "MR": mr,
    "PET": pet,
    "others": lambda: make_series(identity=Identity(sop_class_uid=SecondaryCaptureImageStorage, modality="OT")),
}


@pytest.mark.parametrize("make", SOURCES.values(), ids=SOURCES)
def test_dciodvfy_finds_no_error_in_anything(make: Callable[[], list[Dataset]], tmp_path: Path) -> None:
    case = make_case(tmp_path, make())
    shutil.copytree(case.volume.parent, tmp_path / "labels" / "grey")
    kinds = ("--structure-set", "--measurements", "--surfaces", "--not-for-diagnostic-use")
    objects = case.write(label_image(case.image), *kinds)
    assert len({found.Modality for found in objects}) >= 5
    first_of_series = {found.SeriesInstanceUID: found for found in objects}
    for found in first_of_series.values():
        assert errors(found.filename) == []


@pytest.mark.parametrize("encoding", ["fractional", "labelmap"])
def test_dciodvfy_finds_no_error_in_other_encodings_and_documents(encoding: str, tmp_path: Path) -> None:
    case = make_case(tmp_path, make_series())
    objects = case.write(label_image(case.image), "--no-overlay", *EVERYTHING, "--segmentation", encoding)
    assert {found.Modality for found in objects} == MODALITIES - {"OT"}
    for found in objects:
        assert errors(found.filename, label_map=encoding == "labelmap") == []


NAMES = {
    "Люксембург^Роза": "ISO_IR 144",
    "قباني^لنزار": "ISO_IR 127",
    "Yamada^Tarou=山田^太郎=やまだ^たろう": ["", "ISO 2022 IR 87"],
    "Hong^Gildong=洪^吉洞=홍^길동": ["", "ISO 2022 IR 149"],
    "Wang^XiaoDong=王^小东": "GB18030",
}


def test_orthanc_holds_every_object_once_and_gives_it_back(tmp_path: Path) -> None:
    written: dict[str, tuple[str, Dataset]] = {}
    for number, (name, character_set) in enumerate(NAMES.items(), start=1):
        identity = Identity(f"1.2.3.{number}", f"1.2.3.{number}.1", f"1.2.3.{number}.2", patient_id=f"P{number}")
        images = make_series(identity=identity)
        for image in images:
            image.SpecificCharacterSet, image.PatientName = character_set, name
        case = make_case(tmp_path / str(number), images)
        kinds = EVERYTHING if number == 1 else ("--no-overlay",)
        written |= {found.SOPInstanceUID: (name, found) for found in case.write(label_image(case.image), *kinds)}
    files = [Path(str(found.filename)) for _, found in written.values()]
    assert {found.Modality for _, found in written.values()} == MODALITIES

    wanted = {"http": 0, "dicom": 0, "scanner": 0}
    with reserved_ports(wanted) as ports, Supervisor(tmp_path / "log") as supervisor:
        server, pacs = pacs_program(
            tmp_path / "pacs", PACS_AE, ports["dicom"], ports["http"], {SCANNER_AE: ports["scanner"]}
        )
        supervisor.start(server)
        supervisor.wait_until(lambda: answers_echo(pacs), "the PACS", 60)
        for _ in range(2):
            assert list(send_series(files, SCANNER_AE, PACS_AE, pacs.dicom_port))[-1] == len(files)
        with httpx.Client(base_url=f"http://127.0.0.1:{ports['http']}", trust_env=False) as orthanc:
            held = orthanc.get("/instances", params={"expand": ""}).json()
            assert len(held) == len(written)
            for instance in held:
                name, expected = written[instance["MainDicomTags"]["SOPInstanceUID"]]
                (tmp_path / "back.dcm").write_bytes(orthanc.get(f"/instances/{instance['ID']}/file").content)
                again = pydicom.dcmread(tmp_path / "back.dcm")
                assert again == expected
                patient = orthanc.get(f"/instances/{instance['ID']}/patient").json()["MainDicomTags"]
                assert patient["PatientName"] == name


def test_dcmtk_reads_every_kind(tmp_path: Path) -> None:
    case = make_case(tmp_path, make_series())
    objects = case.write(label_image(case.image), *EVERYTHING)
    assert {found.Modality for found in objects} == MODALITIES
    for found in objects:
        answer = subprocess.run(["dcmdump", "+W", tmp_path, found.filename], capture_output=True, text=True, check=True)
        assert answer.stderr == "", found.Modality
    report = next(found for found in objects if found.Modality == "DOC")
    subprocess.run(["dcm2pdf", report.filename, tmp_path / "report.pdf"], check=True, capture_output=True)
    length = report.EncapsulatedDocumentLength
    assert (tmp_path / "report.pdf").read_bytes()[:length] == report.EncapsulatedDocument[:length]
    pdf = subprocess.run(["pdfinfo", tmp_path / "report.pdf"], check=True, capture_output=True, text=True)
    assert "Pages:           1" in pdf.stdout


def test_dcmtk_decodes_a_label_map_to_the_same_voxels(tmp_path: Path) -> None:
    case = make_case(tmp_path, make_series())
    (found,) = case.write(label_image(case.image), "--no-overlay", "--segmentation", "labelmap")
    subprocess.run(["dcmdrle", found.filename, tmp_path / "plain.dcm"], check=True, capture_output=True)
    plain = pydicom.dcmread(tmp_path / "plain.dcm")
    labels = sitk.GetArrayFromImage(label_image(case.image))
    frames = np.frombuffer(plain.PixelData, np.uint8).reshape(labels.shape)
    groups = plain.PerFrameFunctionalGroupsSequence
    order = np.argsort([float(group.PlanePositionSequence[0].ImagePositionPatient[2]) for group in groups])
    np.testing.assert_array_equal(frames[order], np.select([labels == 3, labels == 7], [1, 2]))


@pytest.mark.parametrize("encoding", ["binary", "fractional", "labelmap"])
def test_segmentations_of_a_multi_frame_source_are_read_by_highdicom_and_dcmqi(encoding: str, tmp_path: Path) -> None:
    case = make_case(tmp_path, multiframe())
    labels = label_image(case.image)
    (found,) = case.write(labels, "--no-overlay", "--segmentation", encoding)
    wanted = np.select([sitk.GetArrayFromImage(labels) == 3, sitk.GetArrayFromImage(labels) == 7], [1, 2])
    segmentation = highdicom.seg.segread(found.filename)
    source = pydicom.dcmread(next(case.dicom.iterdir()))
    groups = source.PerFrameFunctionalGroupsSequence
    heights = [float(group.PlanePositionSequence[0].ImagePositionPatient[2]) for group in groups]
    order = sorted(range(1, 6), key=lambda frame: heights[frame - 1])
    pixels = segmentation.get_pixels_by_source_frame(
        source.SOPInstanceUID, order, combine_segments=True, assert_missing_frames_are_empty=True
    )
    np.testing.assert_array_equal(pixels, wanted)
    reader = Path(sys.executable).with_name("segimage2itkimage")
    (tmp_path / "out").mkdir()
    command = [reader, "--inputDICOM", found.filename, "--outputDirectory", tmp_path / "out", "--outputType", "nrrd"]
    subprocess.run(command, check=True, capture_output=True)
    read = np.zeros(wanted.shape, int)
    for path in sorted((tmp_path / "out").glob("*.nrrd")):
        volume = sitk.Resample(sitk.ReadImage(str(path)), labels, sitk.Transform(), sitk.sitkNearestNeighbor)
        values = sitk.GetArrayFromImage(volume)
        read += values if encoding == "labelmap" else np.where(values > 0, int(path.stem), 0)
    np.testing.assert_array_equal(read, wanted)


def test_itk_reads_overlay_and_derived_series_as_volumes_in_place(tmp_path: Path) -> None:
    case = make_case(tmp_path, make_series())
    shutil.copytree(case.volume.parent, tmp_path / "labels" / "grey")
    objects = case.write(label_image(case.image))
    for modality, values in (("CT", sitk.GetArrayFromImage(case.image)), ("OT", None)):
        reader = sitk.ImageSeriesReader()
        (uid,) = {found.SeriesInstanceUID for found in objects if found.Modality == modality}
        reader.SetFileNames(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(tmp_path / "results"), uid))
        volume = reader.Execute()
        np.testing.assert_allclose(volume.GetOrigin(), case.image.GetOrigin(), atol=1e-4)
        np.testing.assert_allclose(volume.GetSpacing(), case.image.GetSpacing(), atol=1e-4)
        array = sitk.GetArrayFromImage(volume)
        if values is not None:
            np.testing.assert_array_equal(array, values)
        else:
            coloured = np.ptp(array.astype(int), axis=-1) > 0
            np.testing.assert_array_equal(coloured, sitk.GetArrayFromImage(label_image(case.image)) > 0)


def test_the_same_bytes_in_another_process(tmp_path: Path) -> None:
    case = make_case(tmp_path, make_series())
    case.write(label_image(case.image), *EVERYTHING)
    expected = {path.name: path.read_bytes() for path in (tmp_path / "results").iterdir()}
    command = [sys.executable, "-m", "clara_ops.stages.command", "dicom-writer", *EVERYTHING]
    command += ["--input", tmp_path / "labels", "--dicom", case.dicom, "--output", tmp_path / "again"]
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    subprocess.run(command, check=True, capture_output=True, env=environment)
    found = {path.name: path.read_bytes() for path in (tmp_path / "again").iterdir() if path.name in expected}
    assert found == expected
