"""Objects of every kind that a payload holds, of a patient whose every word is known."""

from dataclasses import dataclass, field
from datetime import date

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    BasicTextSRStorage,
    EncapsulatedPDFStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    KeyObjectSelectionDocumentStorage,
    SecondaryCaptureImageStorage,
    UltrasoundMultiFrameImageStorage,
)

from tests.dicomgen.series import Geometry, Identity, make_series

STUDY, SERIES, FRAME_OF_REFERENCE = "1.2.826.0.1.77", "1.2.826.0.1.77.1", "1.2.826.0.1.77.9"


@dataclass(frozen=True)
class Patient:
    """Somebody with a name that no other text holds by chance."""

    name: str = "Xavorsky^Brunhilde"
    patient_id: str = "PID-4711-08"
    birth_date: date = date(1950, 3, 12)
    accession: str = "ACC998877"
    address: str = "Quendelweg 17, 98765 Mondsee"
    phone: str = "+49 89 5550-1234"
    character_set: list[str] = field(default_factory=lambda: ["ISO_IR 192"])


PATIENT = Patient()


def identify(dataset: Dataset, patient: Patient = PATIENT) -> Dataset:
    """Say whose dataset it is, in each of the attributes that are for that."""
    dataset.SpecificCharacterSet = patient.character_set
    dataset.PatientName, dataset.PatientID = patient.name, patient.patient_id
    dataset.PatientBirthDate = patient.birth_date.strftime("%Y%m%d")
    dataset.PatientSex, dataset.PatientAge, dataset.PatientWeight = "F", "074Y", "61.5"
    dataset.AccessionNumber, dataset.PatientAddress = patient.accession, patient.address
    dataset.PatientTelephoneNumbers = patient.phone
    dataset.StudyDate, dataset.StudyTime, dataset.StudyID = "20240229", "101112", "S1"
    dataset.SeriesDate, dataset.AcquisitionDateTime = "20240301", "20240301235959.5+0100"
    dataset.ReferringPhysicianName, dataset.InstitutionName = "Ordinatus^Doktor", "Klinikum Nirgendwo"
    dataset.StationName, dataset.DeviceSerialNumber = "SCANNER7", "SN-31415"
    dataset.Manufacturer, dataset.ManufacturerModelName = "Maker", "Model 3"
    dataset.StudyDescription, dataset.SeriesDescription = "CT Abdomen", "AX 5.0 B30f"
    return dataset


def ct_series(count: int = 2, patient: Patient = PATIENT) -> list[Dataset]:
    """A CT of a few small slices."""
    identity = Identity(STUDY, SERIES, FRAME_OF_REFERENCE)
    return [identify(image, patient) for image in make_series(Geometry(count=count), identity=identity)]


def document(sop_class_uid: UID, modality: str, number: int, patient: Patient = PATIENT) -> Dataset:
    """What every object has, without what makes it one of its kind."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.Modality = sop_class_uid, modality
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = STUDY, f"{STUDY}.{number}"
    dataset.SOPInstanceUID = f"{STUDY}.{number}.1"
    identify(dataset, patient)
    dataset.SeriesNumber, dataset.InstanceNumber = number, 1
    dataset.ContentDate, dataset.ContentTime = "20240302", "070809"
    return dataset


def code(value: str, scheme: str, meaning: str) -> list[Dataset]:
    """A code sequence of one item."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return [item]


def content_item(value_type: str, concept: list[Dataset], relationship: str = "CONTAINS", **values: object) -> Dataset:
    """A content item of a structured report."""
    item = Dataset()
    item.RelationshipType, item.ValueType = relationship, value_type
    item.ConceptNameCodeSequence = concept
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def reference(image: Dataset) -> list[Dataset]:
    """A reference to an instance."""
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
    return [item]


def evidence(images: list[Dataset]) -> list[Dataset]:
    """A reference to instances by study and series (PS3.3 table 10-3b)."""
    series, study = Dataset(), Dataset()
    series.SeriesInstanceUID = images[0].SeriesInstanceUID
    series.ReferencedSOPSequence = [item for image in images for item in reference(image)]
    study.StudyInstanceUID, study.ReferencedSeriesSequence = images[0].StudyInstanceUID, [series]
    return [study]


def structured_report(images: list[Dataset], patient: Patient = PATIENT) -> Dataset:
    """A report that names the patient, in the text of findings too."""
    report = document(BasicTextSRStorage, "SR", 20, patient)
    report.ValueType, report.ContinuityOfContent = "CONTAINER", "SEPARATE"
    report.ConceptNameCodeSequence = code("18748-4", "LN", "Diagnostic imaging report")
    report.CompletionFlag, report.VerificationFlag = "COMPLETE", "VERIFIED"
    observer = Dataset()
    observer.VerifyingObserverName, observer.VerificationDateTime = "Gutachter^Guido", "20240302101112"
    observer.VerifyingOrganization = "Klinikum Nirgendwo"
    observer.VerifyingObserverIdentificationCodeSequence = code("4712", "99NIRGENDWO", "Gutachter, Guido")
    report.VerifyingObserverSequence = [observer]
    request = Dataset()
    request.StudyInstanceUID, request.AccessionNumber = STUDY, patient.accession
    request.PlacerOrderNumberImagingServiceRequest = request.FillerOrderNumberImagingServiceRequest = ""
    request.RequestedProcedureID, request.RequestedProcedureDescription = "RP1234", f"CT {patient.name}"
    request.ReferencedStudySequence, request.RequestedProcedureCodeSequence = [], []
    report.ReferencedRequestSequence = [request]
    report.PerformedProcedureCodeSequence, report.ReferencedPerformedProcedureStepSequence = [], []
    report.CurrentRequestedProcedureEvidenceSequence = evidence(images)
    findings = content_item("CONTAINER", code("121070", "DCM", "Findings"), ContinuityOfContent="SEPARATE")
    findings.ContentSequence = [
        content_item("TEXT", code("121071", "DCM", "Finding"), TextValue=f"{patient.name} has a cyst of the liver"),
        content_item("NUM", code("410668003", "SCT", "Length"), MeasuredValueSequence=[_measured("12.5")]),
        content_item(
            "IMAGE", code("121112", "DCM", "Source of Measurement"), ReferencedSOPSequence=reference(images[0])
        ),
    ]
    report.ContentSequence = [
        content_item("PNAME", code("121008", "DCM", "Person Observer Name"), "HAS OBS CONTEXT", PersonName="Gutachter"),
        content_item("PNAME", code("121029", "DCM", "Subject Name"), "HAS OBS CONTEXT", PersonName=patient.name),
        content_item("TEXT", code("121030", "DCM", "Subject ID"), "HAS OBS CONTEXT", TextValue=patient.patient_id),
        content_item("DATE", code("121031", "DCM", "Subject Birth Date"), "HAS OBS CONTEXT", Date="19500312"),
        content_item(
            "CODE", code("121032", "DCM", "Subject Sex"), "HAS OBS CONTEXT",
            ConceptCodeSequence=code("F", "DCM", "Female"),
        ),
        content_item("UIDREF", code("121018", "DCM", "Procedure Study Instance UID"), "HAS OBS CONTEXT", UID=STUDY),
        content_item("DATETIME", code("111526", "DCM", "DateTime Started"), DateTime="20240301101112"),
        findings,
        content_item("TEXT", code("121077", "DCM", "Conclusion"), TextValue=f"Follow-up of {patient.name}"),
    ]  # fmt: skip
    return report


def _measured(value: str) -> Dataset:
    item = Dataset()
    item.NumericValue, item.MeasurementUnitsCodeSequence = value, code("mm", "UCUM", "millimeter")
    return item


def key_object(images: list[Dataset], patient: Patient = PATIENT) -> Dataset:
    """A key object selection of some images."""
    document_ = document(KeyObjectSelectionDocumentStorage, "KO", 21, patient)
    document_.ValueType, document_.ContinuityOfContent = "CONTAINER", "SEPARATE"
    document_.ConceptNameCodeSequence = code("113000", "DCM", "Of Interest")
    document_.ReferencedPerformedProcedureStepSequence = []
    document_.CurrentRequestedProcedureEvidenceSequence = evidence(images)
    template = Dataset()
    template.MappingResource, template.TemplateIdentifier = "DCMR", "2010"
    document_.ContentTemplateSequence = [template]
    document_.ContentSequence = [
        content_item("TEXT", code("113012", "DCM", "Key Object Description"), TextValue=f"for {patient.name}"),
        *(
            content_item("IMAGE", code("121180", "DCM", "Key Images"), ReferencedSOPSequence=reference(i))
            for i in images
        ),
    ]
    return document_


def presentation_state(images: list[Dataset], patient: Patient = PATIENT) -> Dataset:
    """A presentation state that draws the patient's name on an image."""
    state = document(GrayscaleSoftcopyPresentationStateStorage, "PR", 22, patient)
    state.ContentLabel, state.ContentDescription, state.ContentCreatorName = "LABEL", "", "Gutachter^Guido"
    state.PresentationCreationDate, state.PresentationCreationTime = "20240302", "101112"
    state.ReferencedSeriesSequence = [evidence(images)[0].ReferencedSeriesSequence[0]]
    for item in state.ReferencedSeriesSequence:
        item.ReferencedImageSequence = item.ReferencedSOPSequence
        del item.ReferencedSOPSequence
    area = Dataset()
    area.DisplayedAreaTopLeftHandCorner, area.DisplayedAreaBottomRightHandCorner = [1, 1], [12, 10]
    area.PresentationSizeMode, area.PresentationPixelSpacing = "SCALE TO FIT", [1.5, 0.75]
    state.DisplayedAreaSelectionSequence = [area]
    text = Dataset()
    text.BoundingBoxAnnotationUnits = text.AnchorPointAnnotationUnits = "PIXEL"
    text.UnformattedTextValue, text.AnchorPoint, text.AnchorPointVisibility = f"here: {patient.name}", [3.0, 4.0], "N"
    del text.BoundingBoxAnnotationUnits
    annotation = Dataset()
    annotation.ReferencedImageSequence = reference(images[0])
    annotation.GraphicLayer, annotation.TextObjectSequence = "NOTES", [text]
    state.GraphicAnnotationSequence = [annotation]
    layer = Dataset()
    layer.GraphicLayer, layer.GraphicLayerOrder = "NOTES", 1
    state.GraphicLayerSequence = [layer]
    state.PresentationLUTShape = "IDENTITY"
    return state


def encapsulated_pdf(patient: Patient = PATIENT) -> Dataset:
    """A report as PDF, which names the patient inside."""
    pdf = document(EncapsulatedPDFStorage, "DOC", 23, patient)
    pdf.ConversionType, pdf.BurnedInAnnotation, pdf.AcquisitionDateTime = "WSD", "YES", ""
    pdf.DocumentTitle, pdf.MIMETypeOfEncapsulatedDocument = "", "application/pdf"
    pdf.ConceptNameCodeSequence = []
    content = f"%PDF-1.4 {patient.name}".encode()
    pdf.EncapsulatedDocument = content + bytes(len(content) % 2)
    return pdf


def screen(
    sop_class_uid: UID = SecondaryCaptureImageStorage,
    *,
    photometric: str = "MONOCHROME2",
    frames: int = 1,
    rows: int = 40,
    columns: int = 60,
    planar: int = 0,
    bits: int = 8,
) -> Dataset:
    """An image whose every pixel is bright, text at the top or not."""
    image = document(sop_class_uid, "US" if sop_class_uid == UltrasoundMultiFrameImageStorage else "OT", 24)
    image.ConversionType, image.ImageType = "WSD", ["DERIVED", "SECONDARY"]
    samples = 3 if photometric in ("RGB", "YBR_FULL") else 1
    image.SamplesPerPixel, image.PhotometricInterpretation = samples, photometric
    image.Rows, image.Columns = rows, columns
    image.BitsAllocated = image.BitsStored = bits
    image.HighBit, image.PixelRepresentation = bits - 1, 0
    if samples > 1:
        image.PlanarConfiguration = planar
    if frames > 1 or sop_class_uid == UltrasoundMultiFrameImageStorage:
        image.NumberOfFrames = frames
    pixels = np.full((frames, rows, columns, samples), 200, f"<u{bits // 8}")
    pixels[:, -1, -1] = 0 if photometric != "MONOCHROME1" else 255
    if planar:
        pixels = np.moveaxis(pixels, -1, 1)
    image.add_new("PixelData", "OB" if bits == 8 else "OW", pixels.tobytes() + bytes(pixels.nbytes % 2))
    return image


def ultrasound_region(left: int, top: int, right: int, bottom: int) -> Dataset:
    """A region of an ultrasound image; `right` and `bottom` belong to it."""
    region = Dataset()
    region.RegionLocationMinX0, region.RegionLocationMinY0 = left, top
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = right, bottom
    region.RegionSpatialFormat, region.RegionDataType, region.RegionFlags = 1, 1, 0
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
    region.PhysicalDeltaX = region.PhysicalDeltaY = 0.1
    return region
