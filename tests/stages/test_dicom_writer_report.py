"""The report as Encapsulated PDF, read by Poppler: names in every script, measurements, picture, notice."""

import logging
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset
from pydicom.uid import EncapsulatedPDFStorage

from clara_ops.imaging.objects.encapsulated_report import patient_name
from clara_ops.imaging.objects.measurements import Measurement
from clara_ops.imaging.objects.report_page import ReportContent, report_pdf
from tests.dicomgen.case import Case, make_case, manifest
from tests.dicomgen.results import TABLE, label_image
from tests.dicomgen.series import make_series

pytestmark = pytest.mark.e2e

CONTENT = ReportContent(
    title="Report",
    identification=(),
    method=(),
    measurements=(),
    picture=np.zeros((10, 20, 3), np.uint8),
    pixel_spacing=(1.0, 1.0),
    caption="",
    notice="",
    moment=("20260301", "040506"),
)
NAMES = (
    "Müller Jürgen",
    "Люксембург Роза",
    "Διονύσιος",
    "שרון דבורה",
    "قباني لنزار",
    "Yamada Tarou (山田 太郎, やまだ たろう)",
    "ﾔﾏﾀﾞ ﾀﾛｳ",
    "Hong Gildong (洪 吉洞, 홍 길동)",
    "王 小东",
    "ไทย",
    "Հայաստան",
    "საქართველო",
    "हिन्दी",
    "தமிழ்",
)


def text_of(pdf: bytes, folder: Path, *arguments: str) -> str:
    path = folder / "report.pdf"
    path.write_bytes(pdf)
    done = subprocess.run(["pdftotext", *arguments, path, "-"], check=True, capture_output=True, text=True)
    assert done.stderr == ""
    return done.stdout


def letters(text: str) -> str:
    """Without spaces and the marks of direction that Poppler puts around what runs from right to left."""
    return "".join(character for character in text if not character.isspace() and character not in "\u202a\u202b\u202c")


def report_of(case: Case, *arguments: str, run: Path | None = None) -> Dataset:
    report, _ = case.write(label_image(case.image), "--no-overlay", "--report", *arguments, manifest=run)
    assert report.SOPClassUID == EncapsulatedPDFStorage
    return report


def content_of(report: Dataset) -> bytes:
    content: bytes = report.EncapsulatedDocument[: report.EncapsulatedDocumentLength]
    return content


def test_names_in_every_script_can_be_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = tuple((f"name {index}", name) for index, name in enumerate(NAMES))
    with caplog.at_level(logging.WARNING):
        pdf = report_pdf(replace(CONTENT, identification=rows))
    assert not [record for record in caplog.records if "glyph" in record.getMessage()]
    found = letters(text_of(pdf, tmp_path))
    for name in NAMES:
        assert letters(name) in found
    fonts = subprocess.run(["pdffonts", tmp_path / "report.pdf"], check=True, capture_output=True, text=True).stdout
    assert all(line.split()[-5] == "yes" for line in fonts.splitlines()[2:]), "every font is embedded"


def test_what_no_font_has_is_a_question_mark_and_is_not_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = (("", "Runes \u16a0\u16a2 and \x07 bells"),)
    with caplog.at_level(logging.WARNING):
        pdf = report_pdf(replace(CONTENT, identification=rows))
    assert caplog.records == []
    assert "Runes ?? and ? bells" in text_of(pdf, tmp_path)


def test_arabic_letters_join_and_run_from_right_to_left(tmp_path: Path) -> None:
    pdf = report_pdf(replace(CONTENT, title=".", identification=(("", "ببببب"),)))
    (tmp_path / "report.pdf").write_bytes(pdf)
    command = ["pdftoppm", "-r", "300", "-gray", "-x", "600", "-y", "250", "-W", "800", "-H", "180"]
    subprocess.run([*command, tmp_path / "report.pdf", tmp_path / "page"], check=True)
    (picture,) = tmp_path.glob("page*.pgm")
    header, _, pixels = picture.read_bytes().partition(b"255\n")
    columns, rows = map(int, header.split()[1:3])
    ink = sitk.GetImageFromArray((np.frombuffer(pixels, np.uint8).reshape(rows, columns) < 128).astype(np.uint8))
    shapes = sitk.LabelShapeStatisticsImageFilter()
    shapes.Execute(sitk.ConnectedComponent(ink, True))
    widths = sorted(shapes.GetBoundingBox(label)[2] for label in shapes.GetLabels())
    assert len(widths) == 6, "one line of joined letters, and a dot below each"
    assert widths[-1] > 5 * widths[-2]

    words = text_of(report_pdf(replace(CONTENT, identification=(("", "قباني"),))), tmp_path, "-bbox")
    places = {line.split(">")[1][0]: float(line.split('"')[1]) for line in words.splitlines() if "<word" in line}
    assert places["ق"] > places["ن"]


def test_the_report_says_whose_it_is_what_was_found_and_who_found_it(tmp_path: Path) -> None:
    images = make_series()
    for image in images:
        image.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
        image.PatientName = "Yamada^Tarou=山田^太郎=やまだ^たろう"
        image.PatientBirthDate, image.StudyDescription = "19700203", "CT 腹部"
    case = make_case(tmp_path, images)
    report = report_of(case, "--not-for-diagnostic-use", run=manifest(tmp_path))
    assert str(report.PatientName) == "Yamada^Tarou=山田^太郎=やまだ^たろう"
    assert report.SpecificCharacterSet == ["", "ISO 2022 IR 87"]
    assert (report.Modality, report.MIMETypeOfEncapsulatedDocument) == ("DOC", "application/pdf")
    assert (report.BurnedInAnnotation, report.VerificationFlag) == ("YES", "UNVERIFIED")
    assert (report.ContentDate, report.ContentTime) == ("20260301", "040506")
    sources = {item.ReferencedSOPInstanceUID for item in report.SourceInstanceSequence}
    assert sources >= {image.SOPInstanceUID for image in images}
    assert len(sources) == 6
    text = text_of(content_of(report), tmp_path, "-layout")
    for expected in (
        "NOT FOR DIAGNOSTIC USE", "Yamada Tarou (山田 太郎, やまだ たろう)", "PROBE-1", "1970-02-03", "CT 腹部",
        "2024-02-29", "phantom-net 1.2", "2026-03-01", "Liver", "Left kidney", "not verified",
    ):  # fmt: skip
        assert expected in text
    (liver,) = [line.split() for line in text.splitlines() if "Liver" in line]
    volume = int((sitk.GetArrayFromImage(label_image(case.image)) == 3).sum()) * 1.5 * 0.75 * 2.5 / 1000
    assert float(liver[1]) == pytest.approx(volume, abs=0.005)
    listed = subprocess.run(["pdfimages", "-list", tmp_path / "report.pdf"], check=True, capture_output=True, text=True)
    assert listed.stdout.splitlines()[2].split()[3:5] == ["12", "10"], "the picture, pixel by pixel"


def test_a_report_that_nothing_dates_says_so(tmp_path: Path) -> None:
    images = make_series()
    for image in images:
        image.StudyDate = image.StudyTime = ""
    text = text_of(content_of(report_of(make_case(tmp_path, images))), tmp_path, "-layout")
    assert [line.split()[-1] for line in text.splitlines() if line.startswith("Dated")] == ["unknown"]
    assert "1900" not in text


def test_many_labels_go_on_on_further_pages(tmp_path: Path) -> None:
    label = TABLE.labels[0]
    measurements = [Measurement(replace(label, name=f"Structure {number} " + "x" * 60), 1) for number in range(120)]
    pdf = report_pdf(replace(CONTENT, measurements=measurements, notice="NOTICE"))
    text = text_of(pdf, tmp_path, "-layout")
    pages = text.split("\f")[:-1]
    assert len(pages) == 4
    assert all("NOTICE" in page and f"Page {number}" in page for number, page in enumerate(pages, start=1))
    assert all(f"Structure {number} " in text for number in range(120))


def test_east_asian_characters_have_the_form_of_their_language() -> None:
    rows = (("", "直"),)
    faces = [report_pdf(replace(CONTENT, identification=rows, character_sets=found))
             for found in ((), ("ISO 2022 IR 149",), ("GB18030",))]  # fmt: skip
    assert len(set(faces)) == 3


def test_component_groups_of_a_name() -> None:
    header = Dataset()
    assert patient_name(header) == "-"
    for name, shown in {
        "Adams^John^Robert^^B.A.": "Adams John Robert B.A.",
        "=山田^太郎": "山田 太郎",
        "Doe^": "Doe",
        "Hong^Gildong=洪^吉洞=홍^길동": "Hong Gildong (洪 吉洞, 홍 길동)",
    }.items():
        header.PatientName = name
        assert patient_name(header) == shown
