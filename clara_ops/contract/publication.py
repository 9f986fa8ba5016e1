"""`publish.json` in a stage's publish folder: what the render server may show of a run."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Publication:
    """Files that a stage publishes, relative to the folder of `publish.json`.

    Attributes:
        model: name of the model that made them, where there is one.
    """

    DOCUMENT_VERSION: ClassVar[int] = 1

    files: tuple[str, ...]
    model: str | None = None
