"""The conf of an Airflow run: what the listener says to the DAG. Nothing in it identifies a patient."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

FactValue = str | int | float | bool


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
