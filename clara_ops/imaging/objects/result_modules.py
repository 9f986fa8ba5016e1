"""What every result object shares: patient and study of its source, a series and equipment of its own."""

import copy
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.valuerep import DSfloat

from clara_ops.contract.source import SourceMap, SourceSlice, Vector
from clara_ops.imaging.uids import derived_uid

PATIENT = (
    "PatientName", "PatientID", "IssuerOfPatientID", "TypeOfPatientID", "IssuerOfPatientIDQualifiersSequence",
    "PatientBirthDate", "PatientBirthTime", "PatientSex", "OtherPatientIDsSequence", "OtherPatientNames", "EthnicGroup",
    "PatientComments", "PatientSpeciesDescription", "PatientSpeciesCodeSequence", "PatientBreedDescription",
    "PatientBreedCodeSequence", "BreedRegistrationSequence", "ResponsiblePerson", "ResponsiblePersonRole",
    "ResponsibleOrganization", "PatientIdentityRemoved", "DeidentificationMethod", "DeidentificationMethodCodeSequence",
    "ClinicalTrialSponsorName", "ClinicalTrialProtocolID", "ClinicalTrialProtocolName", "ClinicalTrialSiteID",
    "ClinicalTrialSiteName", "ClinicalTrialSubjectID", "ClinicalTrialSubjectReadingID",
)  # fmt: skip
"""Patient and Clinical Trial Subject Modules: DICOM PS3.3 sections C.7.1.1 and C.7.1.3."""
STUDY = (
    "StudyInstanceUID", "StudyDate", "StudyTime", "ReferringPhysicianName", "StudyID", "AccessionNumber",
    "IssuerOfAccessionNumberSequence", "StudyDescription", "PhysiciansOfRecord", "ConsultingPhysicianName",
    "NameOfPhysiciansReadingStudy", "RequestingService", "ReferencedStudySequence", "ProcedureCodeSequence",
    "AdmittingDiagnosesDescription", "AdmittingDiagnosesCodeSequence", "PatientAge", "PatientSize", "PatientWeight",
    "AdmissionID", "Occupation", "AdditionalPatientHistory", "PatientSexNeutered",
)  # fmt: skip
"""General Study and Patient Study Modules: DICOM PS3.3 sections C.7.2.1 and C.7.2.2."""
FRAME_OF_REFERENCE = ("PositionReferenceIndicator",)
"""Frame of Reference Module, DICOM PS3.3 section C.7.4.1; its UID goes with the planes."""

_MAY_BE_EMPTY = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "ReferringPhysicianName",
    "StudyID", "AccessionNumber", "PositionReferenceIndicator",
)  # fmt: skip
_INHERITED = (
    "BodyPartExamined", "Laterality", "PatientPosition", "AnatomicalOrientationType", "LossyImageCompression",
    "LossyImageCompressionRatio", "LossyImageCompressionMethod",
)  # fmt: skip
_TEXT_VRS = frozenset(("LO", "LT", "PN", "SH", "ST", "UC", "UT"))
_LONG_STRING = 64
_AXIS_LETTERS = (("L", "R"), ("P", "A"), ("H", "F"))

MANUFACTURER = "clara-workflows"
DEVICE_SERIAL_NUMBER = "1"
UNKNOWN_DATE, UNKNOWN_TIME = "19000101", "000000"
"""Of results that nothing dates, where the standard wants a date."""


@dataclass(frozen=True)
class ResultSeries:
    """A series of results.

    Attributes:
        uid: Series Instance UID.
        number: Series Number, and `description` Series Description, cut to 64 characters.
        content_date: DA, and `content_time` TM: of series and content alike.
        model: name and version of the algorithm, as Manufacturer's Model Name and Software Versions.
        notice: what every object and its series say of their use; may be empty.
    """

    uid: str
    number: int
    description: str
    content_date: str
    content_time: str
    model: tuple[str, str]
    notice: str = ""


def add_series_modules(result: Dataset, series: ResultSeries, modality: str) -> None:
    """Series and General Equipment Modules (DICOM PS3.3 sections C.7.3.1 and C.7.5.1) of any object."""
    result.Modality = modality
    result.SeriesInstanceUID = series.uid
    result.SeriesNumber = series.number
    result.SeriesDescription = _described(series)
    result.SeriesDate, result.SeriesTime = series.content_date, series.content_time
    result.Manufacturer = MANUFACTURER
    result.ManufacturerModelName, result.SoftwareVersions = series.model
    result.DeviceSerialNumber = DEVICE_SERIAL_NUMBER


def _described(series: ResultSeries) -> str:
    """The description, cut so that the notice behind it is whole."""
    notice = f", {series.notice}" if series.notice else ""
    return series.description[: _LONG_STRING - len(notice)] + notice


def add_image_series_modules(result: Dataset, series: ResultSeries, modality: str, header: Dataset) -> None:
    """The same for images, whose body part, laterality, patient position and lossy compression are the source's."""
    add_series_modules(result, series, modality)
    result.ContentDate, result.ContentTime = series.content_date, series.content_time
    if series.notice:
        result.ImageComments = series.notice
    for keyword in _INHERITED:
        if keyword in header:
            result[keyword] = copy.deepcopy(header[keyword])
    if modality != "SEG" and "BodyPartExamined" not in header and "Laterality" not in header:
        result.Laterality = ""  # of a body part that may be one of a pair, nobody knows


def copy_source_modules(result: Dataset, header: Dataset, *, spatial: bool = True) -> None:
    """Copy patient, study and frame of reference as they are, with their character set.

    Where a text of the result itself is not ASCII, and so may not fit that character set, the result is in UTF-8.

    Args:
        result: to copy into, when all of its own texts are there.
        header: of the source.
        spatial: whether the result has a frame of reference; documents have none.
    """
    is_ascii = all(str(element.value).isascii() for element in result.iterall() if element.VR in _TEXT_VRS)
    for keyword in (*PATIENT, *STUDY, *(FRAME_OF_REFERENCE if spatial else ())):
        if keyword in header:
            result[keyword] = copy.deepcopy(header[keyword])
        elif keyword in _MAY_BE_EMPTY:
            setattr(result, keyword, "")
    if not is_ascii:
        result.SpecificCharacterSet = "ISO_IR 192"
    elif "SpecificCharacterSet" in header:
        result.SpecificCharacterSet = header.SpecificCharacterSet
    elif "SpecificCharacterSet" in result:
        del result.SpecificCharacterSet


def add_plane(result: Dataset, source: SourceMap, piece: SourceSlice) -> None:
    """Image Plane Module, DICOM PS3.3 section C.7.6.2: the plane of one slice of the source."""
    result.ImagePositionPatient = decimals(*piece.position)
    result.ImageOrientationPatient = decimals(*source.row_direction, *source.column_direction)
    result.PixelSpacing = decimals(*source.pixel_spacing)
    (result.SliceThickness,) = (result.SpacingBetweenSlices,) = decimals(source.slice_spacing)
    result.FrameOfReferenceUID = frame_of_reference_uid(source)


def patient_orientation(source: SourceMap) -> list[str]:
    """The sides of the patient that rows and columns point to most (DICOM PS3.3 section C.7.6.1.1.1)."""
    return [_letter(source.row_direction), _letter(source.column_direction)]


def _letter(direction: Vector) -> str:
    axis = max(range(3), key=lambda number: abs(direction[number]))
    return _AXIS_LETTERS[axis][direction[axis] < 0]


def frame_of_reference_uid(source: SourceMap) -> str:
    """That of the source; where it has none, one that follows from its series, since positions need one."""
    return source.frame_of_reference_uid or derived_uid("frame of reference", source.series_instance_uid)


def reference(piece: SourceSlice, *, frame: int | None) -> Dataset:
    """An item that names a source instance, or one frame of it (DICOM PS3.3 table 10-3)."""
    item = Dataset()
    item.ReferencedSOPClassUID = piece.sop_class_uid
    item.ReferencedSOPInstanceUID = piece.sop_instance_uid
    if frame is not None:
        item.ReferencedFrameNumber = frame
    return item


def concept_item(code: Code) -> Dataset:
    """A coded concept of pydicom's dictionary as an item of a code sequence (DICOM PS3.3 section 8.8)."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme_designator, code.meaning
    return item


def decimals(*numbers: float) -> list[DSfloat]:
    """Numbers as decimal strings of at most 16 characters (DICOM PS3.5 section 6.2, VR DS)."""
    return [DSfloat(number, auto_format=True) for number in numbers]
