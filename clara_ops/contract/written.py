"""`objects.json` in dicom-writer's output folder: the DICOM objects that it wrote. Never delivered.

The listener puts those of a delivered run into the manifest of the next generation, whose objects refer to them.
"""

from dataclasses import dataclass
from typing import ClassVar

OBJECTS = "objects.json"


@dataclass(frozen=True)
class WrittenObject:
    """One result object; `lineage` is the same for its successor, which a later generation makes of the same images."""

    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    study_instance_uid: str
    lineage: str


@dataclass(frozen=True)
class WrittenObjects:
    """All of an output folder."""

    DOCUMENT_VERSION: ClassVar[int] = 1

    objects: tuple[WrittenObject, ...]
