"""Where text may be burned into pixels: by what the object says, by its regions, and by layouts that sites know."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset

from clara_ops.deid.errors import LayoutError
from clara_ops.deid.tables import Row, read_table

_STORAGE = "1.2.840.10008.5.1.4.1.1."
_SCREENS = frozenset(
    _STORAGE + suffix
    for suffix in (
        *("3", "3.1", "6", "6.1"),
        *("7", "7.1", "7.2", "7.3", "7.4"),
        *("77.1.1.1", "77.1.2.1", "77.1.4.1"),
    )
)
"""SOP classes of ultrasound, secondary capture and video, whose pixels are what a screen showed."""
_SCREEN_WORDS = ("SCREEN", "SAVE", "DOSE_INFO")
_COLUMNS = {"modality": "Modality", "manufacturer": "Manufacturer", "model": "ManufacturerModelName"}
_NUMBERS = {"rows": "Rows", "columns": "Columns"}


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels: `left` and `top` are its first column and row, `right` and `bottom` the first beyond."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True)
class Layout:
    """A place where devices of one kind write text.

    Attributes:
        words: attribute keywords, and what their value has to contain, in lower case.
        numbers: attribute keywords, and what their value has to be.
        box: what is blackened.
    """

    words: tuple[tuple[str, str], ...]
    numbers: tuple[tuple[str, int], ...]
    box: Box

    def fits(self, dataset: Dataset) -> bool:
        """Whether an object is of this kind."""
        return all(word in _text(dataset, keyword) for keyword, word in self.words) and all(
            dataset.get(keyword) == number for keyword, number in self.numbers
        )


@dataclass(frozen=True)
class Blackening:
    """What is blackened: everything outside of `keep`, when there is any, and every one of `boxes`."""

    keep: tuple[Box, ...]
    boxes: tuple[Box, ...]


def may_hold_text(dataset: Dataset) -> bool:
    """Whether an object's pixels may hold burned-in text: it says so itself, or is a screen and does not say no."""
    if "PixelData" not in dataset:
        return False
    declared = str(dataset.get("BurnedInAnnotation") or "").strip().upper()
    if declared in ("YES", "NO"):
        return declared == "YES"
    image_type = _text(dataset, "ImageType").upper()
    return str(dataset.SOPClassUID) in _SCREENS or any(word in image_type for word in _SCREEN_WORDS)


def known_blackening(dataset: Dataset, layouts: Sequence[Layout]) -> Blackening | None:
    """What to blacken of an object: outside its ultrasound regions, and the boxes of the layouts that fit it.

    Returns:
        None where neither says anything: regions that cover the whole frame are as good as none.
    """
    rows, columns = int(dataset.get("Rows") or 0), int(dataset.get("Columns") or 0)
    regions = _regions(dataset, rows, columns)
    if Box(0, 0, columns, rows) in regions:
        regions = ()
    boxes = tuple(layout.box for layout in layouts if layout.fits(dataset))
    return Blackening(regions, boxes) if regions or boxes else None


def _regions(dataset: Dataset, rows: int, columns: int) -> tuple[Box, ...]:
    """The ultrasound regions (PS3.3 section C.8.5.5), whose maximum row and column still belong to them."""
    found = []
    for item in dataset.get("SequenceOfUltrasoundRegions") or ():
        edges = [item.get(f"RegionLocation{edge}") for edge in ("MinX0", "MinY0", "MaxX1", "MaxY1")]
        if None in edges:
            continue
        left, top, right, bottom = (int(edge) for edge in edges)
        if 0 <= left < right and 0 <= top < bottom:
            found.append(Box(left, top, min(right + 1, columns), min(bottom + 1, rows)))
    return tuple(found)


def known_layouts(path: Path | None = None) -> tuple[Layout, ...]:
    """The layouts in this package, and those of a site's own file.

    Args:
        path: CSV with the columns modality, manufacturer, model, image_type, series_description, rows, columns, left,
            top, width, height; an empty cell fits everything.

    Raises:
        LayoutError: the file cannot be read.
    """
    layouts = [_layout(row) for row in read_table("pixel_layouts.csv")]
    if path is not None:
        layouts += _read_site_layouts(path)
    return tuple(layouts)


def _read_site_layouts(path: Path) -> list[Layout]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise LayoutError(f"{path}: cannot be read ({error}); name a CSV file of layouts") from error
    layouts = []
    for number, row in enumerate(csv.DictReader(line for line in lines if not line.startswith("#")), start=1):
        try:
            layouts.append(_layout(row))
        except (KeyError, ValueError, AttributeError) as error:
            raise LayoutError(
                f"{path}: row {number} is no layout ({type(error).__name__}: {error}); its columns are modality, "
                "manufacturer, model, image_type, series_description, rows, columns, left, top, width, height"
            ) from error
    return layouts


def _layout(row: Row) -> Layout:
    words = {**_COLUMNS, "image_type": "ImageType", "series_description": "SeriesDescription"}
    left, top, width, height = (int(row[name]) for name in ("left", "top", "width", "height"))
    if min(left, top) < 0 or min(width, height) < 1:
        raise ValueError(f"a box of {width} x {height} pixels at {left}, {top}")
    return Layout(
        words=tuple((keyword, row[name].strip().lower()) for name, keyword in words.items() if row[name].strip()),
        numbers=tuple((keyword, int(row[name])) for name, keyword in _NUMBERS.items() if row[name].strip()),
        box=Box(left, top, left + width, top + height),
    )


def _text(dataset: Dataset, keyword: str) -> str:
    return str(dataset.get(keyword) or "").lower()
