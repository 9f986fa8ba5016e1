"""The report as a PDF: whose images, what was found, who found it. The same content gives the same bytes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy.typing as npt
from fpdf import FPDF
from fpdf.enums import TextMode, XPos, YPos
from PIL import Image

from clara_ops.imaging.objects.measurements import Measurement
from clara_ops.imaging.objects.report_fonts import FONT, add_fonts, drawable

Rows = Sequence[tuple[str, str]]

_MARGIN, _LINE, _NAME_WIDTH = 15.0, 6.0, 45.0
_PICTURE_WIDTH, _PICTURE_HEIGHT = 110.0, 78.0
_COLUMNS = (("Label", 74.0), ("Volume (ml)", 34.0), ("Long axis (mm)", 36.0), ("Diameter (mm)", 36.0))
_GREY, _RED, _BLACK = (110, 110, 110), (180, 0, 0), (0, 0, 0)


@dataclass(frozen=True, eq=False)
class ReportContent:
    """What a report says.

    Attributes:
        identification: name and value of what tells patient and study; `method` of how the labels were made.
        picture: (rows, columns, 3) uint8; `pixel_spacing` (between rows, between columns) in mm, `caption` below it.
        notice: stands on every page; may be empty.
        moment: DA and TM that the document is dated with.
        character_sets: Specific Character Set of the source.
    """

    title: str
    identification: Rows
    method: Rows
    measurements: Sequence[Measurement]
    picture: npt.NDArray[Any]
    pixel_spacing: tuple[float, float]
    caption: str
    notice: str
    moment: tuple[str, str]
    character_sets: tuple[str, ...] = ()


def report_pdf(content: ReportContent) -> bytes:
    """Draw a report on A4 pages, fonts embedded."""
    page = _Page(content)
    page.add_page()
    page.draw_rows(content.identification)
    page.draw_heading("Measurements")
    page.draw_measurements(content.measurements)
    page.draw_picture(content)
    page.draw_heading("Method")
    page.draw_rows(content.method)
    return bytes(page.output())


class _Page(FPDF):
    """A document with the title and the notice at the head, and page numbers at the foot, of every page."""

    def __init__(self, content: ReportContent) -> None:
        super().__init__(format="A4")
        self._content = content
        date, time = content.moment
        moment = datetime.strptime(date + (time + "000000")[:6], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        self.set_creation_date(moment)
        self.set_title(content.title)
        self.set_margin(_MARGIN)
        self.set_auto_page_break(True, margin=_MARGIN + _LINE)
        add_fonts(self, _texts(content), content.character_sets)

    def header(self) -> None:
        self._write(self._content.title, 16, bold=True)
        if self._content.notice:
            self.set_text_color(*_RED)
            self._write(self._content.notice, 11, bold=True)
        self.set_text_color(*_BLACK)
        self.ln(2)

    def footer(self) -> None:
        self.set_y(-_MARGIN)
        self.set_text_color(*_GREY)
        self._write(f"Page {self.page_no()}", 8)
        self.set_text_color(*_BLACK)

    def draw_heading(self, text: str) -> None:
        """A heading that does not stand alone at the foot of a page."""
        self._break_unless(3 * _LINE)
        self.ln(3)
        self._write(text, 12, bold=True)

    def draw_rows(self, rows: Rows) -> None:
        """Names on the left, values, as many lines as they need, on the right."""
        for name, value in rows:
            self._break_unless(_LINE)
            self.set_text_color(*_GREY)
            self.set_font(FONT, size=9)
            self.cell(_NAME_WIDTH, _LINE, name)
            self.set_text_color(*_BLACK)
            self.set_font(FONT, size=11)
            self.multi_cell(0, _LINE, drawable(self, value), align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def draw_measurements(self, measurements: Sequence[Measurement]) -> None:
        """A line for each label, with its colour."""
        self.set_font(FONT, size=9)
        self.set_text_color(*_GREY)
        for name, width in _COLUMNS:
            self.cell(width, _LINE, name, align="L" if name == "Label" else "R", border="B")
        self.ln()
        self.set_text_color(*_BLACK)
        self.set_font(FONT, size=10)
        for found in measurements:
            self._break_unless(_LINE)
            self.set_fill_color(*found.label.color)
            self.rect(self.get_x() + 1, self.get_y() + 1.5, 3, 3, style="F")
            self.set_x(self.get_x() + 5)
            self.cell(_COLUMNS[0][1] - 5, _LINE, self._shortened(drawable(self, found.label.name), _COLUMNS[0][1] - 7))
            for value, (_, width) in zip(_values(found), _COLUMNS[1:], strict=True):
                self.cell(width, _LINE, value, align="R")
            self.ln()

    def draw_picture(self, content: ReportContent) -> None:
        """The picture in its true proportions, within its box."""
        rows, columns = content.picture.shape[:2]
        height, width = rows * content.pixel_spacing[0], columns * content.pixel_spacing[1]
        scale = min(_PICTURE_WIDTH / width, _PICTURE_HEIGHT / height)
        self._break_unless(height * scale + 2 * _LINE)
        self.ln(4)
        self.image(Image.fromarray(content.picture), w=width * scale, h=height * scale)
        self.set_text_color(*_GREY)
        self._write(content.caption, 9)
        self.set_text_color(*_BLACK)

    def _write(self, text: str, size: int, *, bold: bool = False) -> None:
        """Bold letters have a rim: a font of that weight would have to be made of the variable one, for a second."""
        self.set_font(FONT, size=size)
        mode, rim = (TextMode.FILL_STROKE, size / 64) if bold else (TextMode.FILL, 0.2)
        with self.local_context(text_mode=mode, line_width=rim, draw_color=self.text_color):
            self.multi_cell(0, size / 2, drawable(self, text), align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def _break_unless(self, height: float) -> None:
        if self.will_page_break(height):
            self.add_page()

    def _shortened(self, text: str, width: float) -> str:
        while self.get_string_width(text) > width:
            text = text.rstrip("…")[:-1] + "…"
        return text


def _values(found: Measurement) -> tuple[str, str, str]:
    if not found.voxels:
        return "0.00", "-", "-"
    return f"{found.volume_ml:.2f}", f"{found.slice_diameter_mm:.1f}", f"{found.diameter_mm:.1f}"


def _texts(content: ReportContent) -> Iterator[str]:
    yield from (content.title, content.caption, content.notice)
    for row in (*content.identification, *content.method):
        yield from row
    yield from (found.label.name for found in content.measurements)
