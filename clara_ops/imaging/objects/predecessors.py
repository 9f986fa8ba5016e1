"""What an object supersedes: a reference to the object that an earlier generation of the run made in its place."""

from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from clara_ops.contract.written import WrittenObject
from clara_ops.imaging.objects.result_modules import concept_item

_DOCUMENTS = ("SR", "DOC", "M3D")


def refer_to_predecessor(result: Dataset, predecessor: WrittenObject) -> None:
    """Say in an object which one it supersedes.

    Documents have Predecessor Documents Sequence (DICOM PS3.3 sections C.17.2 and C.24.2), structure sets Predecessor
    Structure Set Sequence (C.8.8.5); images and segmentations, which have no attribute of their own for it, Referenced
    Instance Sequence (C.12.4) with the purpose Temporal Predecessor.
    """
    item = Dataset()
    item.ReferencedSOPClassUID = predecessor.sop_class_uid
    item.ReferencedSOPInstanceUID = predecessor.sop_instance_uid
    if result.Modality in _DOCUMENTS:
        series = Dataset()
        series.SeriesInstanceUID = predecessor.series_instance_uid
        series.ReferencedSOPSequence = [item]
        study = Dataset()
        study.StudyInstanceUID = predecessor.study_instance_uid
        study.ReferencedSeriesSequence = [series]
        result.PredecessorDocumentsSequence = [study]
    elif result.Modality == "RTSTRUCT":
        result.PredecessorStructureSetSequence = [item]
    else:
        item.PurposeOfReferenceCodeSequence = [concept_item(codes.DCM.TemporalPredecessor)]
        result.ReferencedInstanceSequence = [item]
