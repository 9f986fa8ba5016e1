"""`<name>.labels.json` beside a label volume: what its values mean, and who says so."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Code:
    """A coded concept (DICOM PS3.3 section 8.8): Code Value, Coding Scheme Designator, Code Meaning."""

    value: str
    scheme: str
    meaning: str


@dataclass(frozen=True)
class Label:
    """One value of a label volume.

    Attributes:
        color: red, green, blue, 0 to 255.
        category: Segmented Property Category, and `type` Segmented Property Type (DICOM PS3.3 section C.8.20.4).
        anatomy: Anatomic Region, where the type alone does not say it.
    """

    value: int
    name: str
    color: tuple[int, int, int]
    category: Code
    type: Code
    anatomy: Code | None = None


@dataclass(frozen=True)
class LabelTable:
    """All values of a label volume but 0, which is background."""

    DOCUMENT_VERSION: ClassVar[int] = 1

    algorithm_name: str
    algorithm_version: str
    labels: tuple[Label, ...]
