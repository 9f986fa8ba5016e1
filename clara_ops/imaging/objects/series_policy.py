"""What series of results are called and numbered, and what they say of their use."""

from argparse import ArgumentTypeError
from dataclasses import dataclass
from enum import Enum

NOTICE = "NOT FOR DIAGNOSTIC USE"
PLACES = ("kind", "model", "version", "source")
"""What a description may name in braces: kind of objects, algorithm, its version, the source's Series Description."""

_KINDS_APART = 1000
_LARGEST_FIRST = 2_000_000_000


class Kind(Enum):
    """The kinds of series that results go into, in the order of their numbers."""

    SEGMENTATION = "Segmentation"
    OVERLAY = "Overlay"
    IMAGES = "Images"
    STRUCTURES = "Structures"
    MEASUREMENTS = "Measurements"
    REPORT = "Report"
    SURFACES = "Surfaces"


@dataclass(frozen=True)
class SeriesPolicy:
    """How series are numbered and described.

    Attributes:
        first_number: of segmentations; each kind after it has numbers 1000 higher. The source's number is added.
        description: with any of `PLACES` in braces.
        notice: of the use of the results; may be empty.
    """

    first_number: int = 1000
    description: str = "{kind} {model}"
    notice: str = ""

    def number(self, kind: Kind, source_number: int) -> int:
        """Series Number of a kind of results of a source."""
        return self.first_number + _KINDS_APART * list(Kind).index(kind) + source_number

    def described(self, kind: Kind, model: tuple[str, str], source: str) -> str:
        """Series Description of a kind of results, by name and version of the model and the source's description."""
        name, version = model
        return self.description.format(kind=kind.value, model=name, version=version, source=source).strip()


def checked_number(text: str) -> int:
    """A first Series Number from a command line.

    Raises:
        ArgumentTypeError: it is not a whole number from 0 to 2000000000.
    """
    if not (text.isascii() and text.isdigit() and int(text) <= _LARGEST_FIRST):
        raise ArgumentTypeError(f"{text!r} is no whole number from 0 to {_LARGEST_FIRST}")
    return int(text)


def checked_description(text: str) -> str:
    """A description from a command line.

    Raises:
        ArgumentTypeError: braces that do not match, or that name something else than one of `PLACES`; a backslash.
    """
    try:
        text.format(**dict.fromkeys(PLACES, ""))
    except (ValueError, LookupError, AttributeError) as error:
        raise ArgumentTypeError(f"{text!r}: braces hold one of {', '.join(PLACES)}; write {{{{ for a brace") from error
    if "\\" in text or not text.strip():
        raise ArgumentTypeError(f"{text!r}: a description is not empty and holds no backslash")
    return text
