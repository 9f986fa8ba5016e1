"""What a label table says, in the coded form that DICOM objects say it in."""

from highdicom import AlgorithmIdentificationSequence
from highdicom.sr import CodedConcept
from pydicom.sr.codedict import codes

from clara_ops.contract.labels import Code, Label, LabelTable
from clara_ops.contract.source import SourceMap
from clara_ops.imaging.uids import derived_uid


def concept(code: Code) -> CodedConcept:
    """A coded concept as the item of a code sequence (DICOM PS3.3 section 8.8)."""
    return CodedConcept(code.value, code.scheme, code.meaning)


def algorithm(table: LabelTable) -> AlgorithmIdentificationSequence:
    """Who made the labels: Algorithm Identification Macro, DICOM PS3.3 section 10.16."""
    return AlgorithmIdentificationSequence(
        name=table.algorithm_name, family=codes.DCM.ArtificialIntelligence, version=table.algorithm_version
    )


def tracking_uid(label: Label, table: LabelTable, source: SourceMap) -> str:
    """What identifies a labelled structure of a series: the same in every object, and in every run of the algorithm."""
    return derived_uid("tracking", source.series_instance_uid, table.algorithm_name, str(label.value))
