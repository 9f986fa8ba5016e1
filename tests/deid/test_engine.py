"""The tables carried out: every row, every option, at every depth."""

from collections.abc import Callable, Iterator
from datetime import date, timedelta

import pytest
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag
from pydicom.uid import CTImageStorage, EnhancedXAImageStorage

from clara_ops.deid.private_attributes import AllowList
from clara_ops.deid.profile import Option
from clara_ops.deid.pseudonyms import Pseudonyms
from clara_ops.deid.tables import read_table
from tests.deid.objects import (
    code,
    content_item,
    ct_series,
    identify,
    key_object,
    presentation_state,
    structured_report,
)

Clean = Callable[..., Dataset]

SECRETS = {
    **dict.fromkeys(("LO", "LT", "PN", "SH", "ST", "UC", "UT"), "Zzyzx"),
    "AE": "ZZYZX",
    "AS": "071Y",
    "CS": "ZZYZX",
    "DA": "19870605",
    "DT": "19870605040302",
    "TM": "040302",
    "SH": "Zzyzx",
    "UI": "1.2.826.0.1.987.654",
    "UR": "https://zzyzx",
    **dict.fromkeys(("DS", "IS"), "987654"),
    **dict.fromkeys(("OB", "OW", "UN"), b"Zzyzx "),
    "US": 987,
    **dict.fromkeys(("FD", "FL", "UL"), 987654),
}


def rows() -> Iterator[tuple[BaseTag, dict[str, str]]]:
    """The rows of both tables that pydicom can write, without those of command and file meta groups."""
    for row in [*read_table("table_e1_1.csv"), *read_table("beyond_table.csv")]:
        if "," in row["tag"] and "x" not in row["tag"]:
            tag = Tag(int(row["tag"].replace(",", ""), 16))
            if dictionary_has_tag(tag) and tag.group >= 8:
                yield tag, row


def filled(tag: BaseTag, row: dict[str, str]) -> Dataset:
    """A dataset with a secret under a tag; of a sequence that goes as a whole, in an attribute that no table names."""
    dataset = Dataset()
    vr = dictionary_VR(tag)
    if vr == "SQ":
        item = Dataset()
        item.ReferencedSOPInstanceUID, item.PersonName = SECRETS["UI"], "Zzyzx"
        if "U*" not in row["basic"] and not row.get("clean_structured_content"):
            item.WindowCenterWidthExplanation = "Zzyzx"
        dataset.add_new(tag, vr, [item])
    else:
        dataset.add_new(tag, vr, SECRETS[vr])
    return dataset


def shown(dataset: Dataset) -> str:
    return dataset.to_json().lower()


@pytest.mark.parametrize("depth", [0, 1])
def test_no_row_s_secret_survives_the_basic_profile(depth: int, clean: Clean) -> None:
    secrets = ["zzyzx", *(str(SECRETS[vr]).lower() for vr in ("DA", "UI", "AS", "TM", "DS"))]
    survivors, count = [], 0
    for tag, row in rows():
        dataset = filled(tag, row)
        if depth:
            outer = Dataset()
            outer.AnatomicRegionSequence = [dataset]
            dataset = outer
        text = shown(clean(dataset))
        count += 1
        if any(secret in text for secret in secrets):
            survivors.append(row["keyword"])
    assert not survivors
    assert count > 610


@pytest.mark.parametrize(
    "option",
    [Option.RETAIN_UIDS, Option.RETAIN_DEVICE, Option.RETAIN_PATIENT_CHARACTERISTICS],
)
def test_an_option_keeps_what_its_column_says_and_nothing_else(option: Option, clean: Clean) -> None:
    for tag, row in rows():
        if dictionary_VR(tag) == "SQ" or row["keyword"] in ("PatientName", "PatientID", "UID"):
            continue
        before = filled(tag, row)[tag].value
        after = clean(filled(tag, row), option)
        kept = tag in after and after[tag].value == before
        assert kept == (row.get(option.value) == "K"), row["keyword"]


def test_dates_and_times_of_every_row_move_or_stay(clean: Clean, pseudonyms: Pseudonyms) -> None:
    shifted = 0
    for tag, row in rows():
        if dictionary_VR(tag) not in ("DA", "DT", "TM"):
            continue
        after = clean(filled(tag, row), Option.RETAIN_MODIFIED_DATES)
        if row.get("retain_modified_dates") == "C":
            value = str(after[tag].value)
            assert value != SECRETS["DA"]
            assert value.endswith(str(SECRETS["TM"])) or dictionary_VR(tag) == "DA"
            shifted += 1
        else:
            assert tag not in after or after[tag].value != SECRETS[dictionary_VR(tag)], row["keyword"]
    assert shifted > 150


def test_patient_characteristics_and_what_identifies(clean: Clean, pseudonyms: Pseudonyms) -> None:
    image = clean(ct_series(1)[0], Option.RETAIN_PATIENT_CHARACTERISTICS)
    assert (image.PatientSex, image.PatientAge, image.PatientWeight) == ("F", "074Y", 61.5)
    assert not image.PatientBirthDate
    subject = pseudonyms.subject("id\0PID-4711-08")
    assert image.PatientID == subject.patient_id
    assert image.PatientName == subject.patient_name
    assert "PatientAddress" not in image and "InstitutionName" not in image


def test_dates_of_a_patient_move_together(clean: Clean, pseudonyms: Pseudonyms) -> None:
    first, second = ct_series(2)
    second.SeriesDate = "20240401"
    for image in (first, second):
        clean(image, Option.RETAIN_MODIFIED_DATES)
    days = timedelta(pseudonyms.subject("id\0PID-4711-08").shift_days)
    dates = [date.fromisoformat(value) for value in (first.StudyDate, first.SeriesDate, second.SeriesDate)]
    assert dates == [date(2024, 2, 29) + days, date(2024, 3, 1) + days, date(2024, 4, 1) + days]
    assert first.StudyTime == "101112"
    assert first.AcquisitionDateTime == dates[1].strftime("%Y%m%d") + "235959.5+0100"
    assert not first.PatientBirthDate


def test_a_date_that_cannot_move_is_treated_by_the_profile(clean: Clean) -> None:
    image = ct_series(1)[0]
    image.SOPClassUID = CTImageStorage
    image.ContentDate, image.AcquisitionDateTime = "20240300", "2024"
    image["StudyDate"].value = "99999999"
    clean(image, Option.RETAIN_MODIFIED_DATES)
    assert not image.StudyDate and not image["ContentDate"].value
    assert "AcquisitionDateTime" not in image


def test_types_of_the_iod_decide(clean: Clean) -> None:
    image = ct_series(1)[0]
    clean(image)
    assert "StationName" not in image and "SeriesDate" not in image
    enhanced = ct_series(1)[0]
    enhanced.SOPClassUID = EnhancedXAImageStorage
    clean(enhanced)
    assert enhanced.DeviceSerialNumber == "REMOVED"
    assert enhanced.AcquisitionDateTime == "19000101000000"
    private = ct_series(1)[0]
    private.SOPClassUID = "1.2.3"
    assert clean(private).StationName == "REMOVED"


def test_references_stay_and_point_to_the_new_uids(clean: Clean, pseudonyms: Pseudonyms) -> None:
    image = ct_series(1)[0]
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CTImageStorage, "1.2.826.0.1.5"
    item.PurposeOfReferenceCodeSequence = code("121311", "DCM", "Localizer")
    image.ReferencedImageSequence = [item]
    clean(image)
    (kept,) = image.ReferencedImageSequence
    assert kept.ReferencedSOPInstanceUID == pseudonyms.uid("1.2.826.0.1.5")
    assert kept.ReferencedSOPClassUID == CTImageStorage
    assert kept.PurposeOfReferenceCodeSequence[0].CodeMeaning == "Localizer"
    assert image.StudyInstanceUID == pseudonyms.uid("1.2.826.0.1.77")


def test_descriptions_are_cleaned_or_gone(clean: Clean) -> None:
    image = ct_series(1)[0]
    image.SeriesDescription, image.ProtocolName = "AX 5.0 B30f Xavorsky", "Xavorsky"
    image.StudyDescription = "for Dr. Zzyzx"
    request = Dataset()
    request.RequestedProcedureDescription, request.ScheduledProcedureStepID = "CT chest Zzyzx", "77"
    request.RequestedProcedureCodeSequence = code("CTCH", "99HOUSE", "CT chest Zzyzx")
    image.RequestAttributesSequence = [request]
    image.ReasonForVisitCodeSequence = [*code("1", "99HOUSE", "Zzyzx"), *code("22253000", "SCT", "Pain Zzyzx")]
    clean(image, Option.CLEAN_DESCRIPTORS)
    assert image.SeriesDescription == "AX 5.0 B30f"
    assert "ProtocolName" not in image and "StudyDescription" not in image
    (kept,) = image.RequestAttributesSequence
    assert kept.RequestedProcedureDescription == "CT chest"
    assert "ScheduledProcedureStepID" not in kept
    assert kept.RequestedProcedureCodeSequence == []
    (reason,) = image.ReasonForVisitCodeSequence
    assert (reason.CodeValue, reason.CodeMeaning) == ("22253000", "REMOVED")


def test_device_names_get_pseudonyms_where_the_table_says_clean(clean: Clean, pseudonyms: Pseudonyms) -> None:
    image = ct_series(1)[0]
    image.StationAETitle, image.RetrieveAETitle = "CT_ROOM_5", ["PACS1", "PACS2"]
    clean(image, Option.RETAIN_DEVICE)
    assert image.StationAETitle == pseudonyms.device("CT_ROOM_5")
    assert image.RetrieveAETitle == [pseudonyms.device("PACS1"), pseudonyms.device("PACS2")]
    assert image.StationName == "SCANNER7"


def test_names_dates_and_unknown_attributes_without_a_row(clean: Clean) -> None:
    image = ct_series(1)[0]
    image.EvaluatorName, image.ExpiryDate = "Zzyzx^Z", "20240301"
    image.add_new(0x00189FFE, "LO", "an attribute of another year")
    image.add_new(0x00100033, "LO", "昭和25年3月12日")
    clean(image)
    assert image.EvaluatorName == "REMOVED"
    assert image.ExpiryDate == "19000101"
    assert 0x00189FFE not in image and 0x00100033 not in image


def test_overlays_and_curves_go_as_a_whole(clean: Clean) -> None:
    image = ct_series(1)[0]
    image.add_new(0x60000010, "US", 10)
    image.add_new(0x60003000, "OW", b"\1\2")
    image.add_new(0x60020022, "LO", "Zzyzx")
    image.add_new(0x50000010, "US", 5)
    clean(image)
    assert not [tag for tag in image.keys() if tag.group in (0x6000, 0x6002, 0x5000)]  # noqa: SIM118


def test_private_attributes_go_but_for_the_listed_ones(clean: Clean) -> None:
    image = ct_series(1)[0]
    block = image.private_block(0x0019, "MAKER ONE", create=True)
    block.add_new(0x0C, "IS", "1000")
    block.add_new(0x0D, "LO", "Zzyzx")
    image.private_block(0x0019, "MAKER TWO", create=True).add_new(0x0C, "LO", "Zzyzx")
    item = Dataset()
    item.private_block(0x0021, "MAKER ONE", create=True).add_new(0x01, "LO", "Zzyzx")
    image.AnatomicRegionSequence = [item]
    clean(image, Option.RETAIN_SAFE_PRIVATE, private=AllowList(frozenset({(0x0019, 0x0C, "MAKER ONE")})))
    private = [tag for tag in image.keys() if tag.is_private]  # noqa: SIM118
    assert private == [Tag(0x0019, 0x0010), Tag(0x0019, 0x100C)]
    assert len(image.AnatomicRegionSequence[0]) == 0


def test_a_report_keeps_its_form_and_no_word(clean: Clean, pseudonyms: Pseudonyms) -> None:
    images = ct_series(1)
    report = clean(structured_report(images))
    text = shown(report)
    for secret in ("xavorsky", "brunhilde", "gutachter", "4711", "19500312", "nirgendwo", "1.2.826"):
        assert secret not in text
    concepts = [item.ConceptNameCodeSequence[0].CodeMeaning for item in report.ContentSequence]
    assert concepts == ["Person Observer Name", "Subject Name", "Subject ID", "DateTime Started", "Findings"]
    finding, length, image = report.ContentSequence[-1].ContentSequence
    assert finding.TextValue == "REMOVED"
    assert length.MeasuredValueSequence[0].NumericValue == 12.5
    assert image.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == pseudonyms.uid(f"{images[0].SeriesInstanceUID}.1")
    (observer,) = report.VerifyingObserverSequence
    assert (observer.VerifyingObserverName, observer.VerifyingOrganization) == ("REMOVED", "REMOVED")
    assert not report.ReferencedRequestSequence[0].RequestedProcedureID


def test_a_report_by_options(clean: Clean) -> None:
    options = (
        Option.RETAIN_UIDS,
        Option.CLEAN_DESCRIPTORS,
        Option.RETAIN_PATIENT_CHARACTERISTICS,
        Option.RETAIN_MODIFIED_DATES,
    )
    report = clean(structured_report(ct_series(1)), *options)
    items = {item.ConceptNameCodeSequence[0].CodeMeaning: item for item in report.ContentSequence}
    assert items["Findings"].ContentSequence[0].TextValue == "cyst of the liver"
    assert items["Subject Sex"].ConceptCodeSequence[0].CodeValue == "F"
    assert items["Procedure Study Instance UID"].UID == "1.2.826.0.1.77"
    assert items["DateTime Started"].DateTime[8:] == "101112" != items["DateTime Started"].DateTime
    assert "Subject Birth Date" not in items
    assert items["Conclusion"].TextValue == "REMOVED"


def test_items_that_others_point_to_by_position_keep_it(clean: Clean) -> None:
    report = structured_report(ct_series(1))
    pointer = Dataset()
    pointer.RelationshipType, pointer.ReferencedContentItemIdentifier = "INFERRED FROM", [1, 9]
    report.ContentSequence[7].ContentSequence[0].ContentSequence = [pointer]
    report.ContentSequence.append(
        content_item("NUM", code("121033", "DCM", "Subject Age"), MeasuredValueSequence=[Dataset()])
    )
    count = len(report.ContentSequence)
    clean(report)
    assert len(report.ContentSequence) == count
    assert report.ContentSequence[8].TextValue == "REMOVED"
    assert report.ContentSequence[4].ConceptCodeSequence[0].CodeMeaning == "REMOVED"
    assert report.ContentSequence[9].MeasuredValueSequence == []
    assert "xavorsky" not in shown(report)


def test_key_objects_and_presentation_states(clean: Clean, pseudonyms: Pseudonyms) -> None:
    images = ct_series(2)
    keys = clean(key_object(images))
    references = [item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for item in keys.ContentSequence]
    assert references == [pseudonyms.uid(image.SOPInstanceUID) for image in images]
    state = clean(presentation_state(images))
    (annotation,) = state.GraphicAnnotationSequence
    assert annotation.TextObjectSequence[0].UnformattedTextValue == "REMOVED"
    assert annotation.GraphicLayer == "NOTES"
    assert annotation.ReferencedImageSequence[0].ReferencedSOPInstanceUID == references[0]
    assert state.PresentationCreationDate == "19000101"
    assert state.ReferencedSeriesSequence[0].SeriesInstanceUID == pseudonyms.uid("1.2.826.0.1.77.1")


def test_a_sequence_of_dummies_has_no_private_attribute_and_no_text(clean: Clean) -> None:
    dataset = identify(Dataset())
    person = Dataset()
    person.PersonIdentificationCodeSequence = code("4712", "99HOUSE", "Zzyzx")
    person.InstitutionName = "Zzyzx"
    person.private_block(0x0019, "MAKER ONE", create=True).add_new(0x0C, "LO", "Zzyzx")
    dataset.VerifyingObserverSequence = [person]
    clean(dataset, Option.RETAIN_SAFE_PRIVATE, private=AllowList(frozenset({(0x0019, 0x0C, "MAKER ONE")})))
    assert "zzyzx" not in shown(dataset)
    assert "4712" not in shown(dataset)
