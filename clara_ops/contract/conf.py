"""The conf of an Airflow run: what the listener says to the DAG. Nothing in it identifies a patient."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from clara_ops.contract.documents import to_json

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
    """What is known of a run when it is triggered.

    Attributes:
        payload: the run's id.
        group: what the instances were grouped by, usually the Series Instance UID.
        facts: allow-listed attributes of the input, for `accepts` and `when`.
        parameters: values of the workflow's parameters that were set for this run; the others have their defaults.
    """

    DOCUMENT_VERSION: ClassVar[int] = 1

    payload: str
    ae_title: str
    calling_ae: str
    study_uid: str
    series_uid: str
    group: str
    generation: int
    facts: Mapping[str, FactValue] = field(default_factory=dict)
    parameters: Mapping[str, FactValue] = field(default_factory=dict)


CONF_KEYS = frozenset(item.name for item in dataclasses.fields(RunConf))
"""Keys of conf that no parameter may be called."""


def to_conf(run: RunConf) -> dict[str, Any]:
    """`conf` of POST dagRuns. The parameters stand beside the other keys: there Airflow checks them and shows them."""
    body = {name: value for name, value in to_json(run).items() if name not in ("version", "parameters")}
    return {**body, **run.parameters}
