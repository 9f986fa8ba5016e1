"""Documents inside DICOM objects: Encapsulated Document Series and Encapsulated Document Modules (PS3.3 C.24)."""

from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from clara_ops.imaging.objects.result_modules import ResultSeries, add_series_modules, concept_item, reference
from clara_ops.imaging.objects.source_series import SourceSeries
from clara_ops.imaging.reading.planes import values


@dataclass(frozen=True)
class Document:
    """A document and what the object says of it.

    Attributes:
        sop_instance_uid: of the object, and `number` its Instance Number.
        modality: DOC, or M3D for models.
        identifies_patient: whether the patient's identification stands in the document itself.
    """

    sop_class_uid: str
    sop_instance_uid: str
    number: int
    modality: str
    mime_type: str
    title: str
    concept: Code | None
    content: bytes
    identifies_patient: bool


def encapsulate(document: Document, source: SourceSeries, series: ResultSeries, segmentation: Dataset) -> Dataset:
    """The object of a document but for patient, study and what its own class adds.

    Args:
        document: its bytes; a null byte follows where their number is odd, and their true length is said.
        source: the series that the document is about.
        series: that the object goes into.
        segmentation: that the document was made from.
    """
    result = Dataset()
    result.SOPClassUID, result.SOPInstanceUID = document.sop_class_uid, document.sop_instance_uid
    result.InstanceNumber = document.number
    result.ContentDate, result.ContentTime = series.content_date, series.content_time
    result.AcquisitionDateTime = _acquired(source.header)
    result.BurnedInAnnotation = "YES" if document.identifies_patient else "NO"
    result.VerificationFlag = "UNVERIFIED"
    result.DocumentTitle = document.title
    result.ConceptNameCodeSequence = [concept_item(document.concept)] if document.concept else []
    result.SourceInstanceSequence = source_items(source, segmentation)
    result.MIMETypeOfEncapsulatedDocument = document.mime_type
    result.EncapsulatedDocumentLength = len(document.content)
    result.EncapsulatedDocument = document.content + b"\0" * (len(document.content) % 2)
    add_series_modules(result, series, document.modality)
    return result


def _acquired(header: Dataset) -> str:
    """When the source was acquired, as DT; empty where it does not say."""
    whole = values(header.get("AcquisitionDateTime"))
    date, time = values(header.get("AcquisitionDate")), values(header.get("AcquisitionTime"))
    if whole:
        return whole[0]
    return date[0] + (time[0] if time else "") if date else ""


def source_items(source: SourceSeries, segmentation: Dataset) -> list[Dataset]:
    """References to the segmentation, and to the images behind it (DICOM PS3.3 table 10-11)."""
    item = Dataset()
    item.ReferencedSOPClassUID = segmentation.SOPClassUID
    item.ReferencedSOPInstanceUID = segmentation.SOPInstanceUID
    if source.is_placeholder:
        return [item]
    instances = {piece.sop_instance_uid: piece for piece in source.map.slices}
    return [item, *(reference(piece, frame=None) for piece in instances.values())]
