"""The conf of an Airflow run: what the listener says to the DAG. Nothing in it identifies a patient."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

FactValue = str | int | float | bool
FACTS: Mapping[str, str] = {
    "modality": "DICOM Modality (0008,0060), where all instances have the same one",
    "body_part": "DICOM Body Part Examined (0018,0015), where all instances have the same one",
    "orientation": "axial, coronal, sagittal or oblique, where all slices lie in the same plane",
    "instances": "how many instances were received",
    "complete": "true when the listener saw that nothing is missing, false when it saw that something is",
}
"""The facts that the listener tells of a run's input, and what each means. One that it does not know is left out."""


@dataclass(frozen=True)
class RunConf:
    """`conf` of POST dagRuns. `facts` hold allow-listed attributes of the input, for `accepts` and `when`."""

    DOCUMENT_VERSION: ClassVar[int] = 1

    payload: str
    ae_title: str
    calling_ae: str
    study_uid: str
    series_uid: str
    generation: int
    facts: Mapping[str, FactValue] = field(default_factory=dict)
