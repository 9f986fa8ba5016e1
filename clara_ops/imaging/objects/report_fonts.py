"""Fonts for every script that patients' names come in: Noto Sans (SIL Open Font License 1.1), from Python packages."""

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files
from types import MappingProxyType

from fpdf import FPDF
from fpdf.fonts import TTFFont

FONT = "noto-sans"
_EUROPEAN = ("manimgx_fonts", "NotoSans[wght].ttf")
_EAST_ASIAN = ("noto_cjk_sans_otc", "NotoSansCJK-Regular.ttc")

_BY_SCRIPT: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        name: ("manimgx_fonts", f"NotoSans{name.title()}[wght].ttf")
        for name in (
            "ARABIC",
            "ARMENIAN",
            "BENGALI",
            "DEVANAGARI",
            "ETHIOPIC",
            "GEORGIAN",
            "GUJARATI",
            "GURMUKHI",
            "HEBREW",
            "KANNADA",
            "KHMER",
            "LAO",
            "MALAYALAM",
            "MYANMAR",
            "ORIYA",
            "SINHALA",
            "TAMIL",
            "TELUGU",
            "THAI",
        )
    }
)
"""By the first word of a character's Unicode name."""
_EAST_ASIAN_SCRIPTS = ("CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "HALFWIDTH", "FULLWIDTH", "HANGUL",
                       "IDEOGRAPHIC", "BOPOMOFO")  # fmt: skip
_FACES = {"ISO 2022 IR 149": 1, "ISO 2022 IR 58": 2, "GB18030": 2, "GBK": 2}
"""Face of the collection by Specific Character Set: Korean, simplified Chinese; otherwise Japanese. They share most
characters, and draw some of them differently."""


def add_fonts(page: FPDF, texts: Iterable[str], character_sets: Iterable[str]) -> None:
    """Give a document the fonts that its texts need; loading one takes a quarter of a second.

    Args:
        page: is set up to shape text, and to look in these fonts for what Noto Sans lacks.
        texts: all that will be written.
        character_sets: Specific Character Set of the source, for the form of East Asian characters.
    """
    package, name = _EUROPEAN
    page.add_font(FONT, fname=str(files(package) / name))
    scripts = sorted(set(_scripts(texts)))
    others = [script for script in scripts if script in _BY_SCRIPT]
    for script in others:
        package, name = _BY_SCRIPT[script]
        page.add_font(script.lower(), fname=str(files(package) / name))
    if any(script in _EAST_ASIAN_SCRIPTS for script in scripts):
        package, name = _EAST_ASIAN
        face = next((_FACES[found] for found in character_sets if found in _FACES), 0)
        page.add_font("east-asian", fname=str(files(package) / name), collection_font_number=face)
        others.append("east-asian")
    page.set_fallback_fonts([name.lower() for name in others], exact_match=False)
    page.set_text_shaping(True)


def drawable(page: FPDF, text: str) -> str:
    """A text without what no font of the document has, which would come out empty: question marks stand for it."""
    known = [font.cmap for font in page.fonts.values() if isinstance(font, TTFFont)]
    return "".join(letter if any(ord(letter) in cmap for cmap in known) else "?" for letter in text)


def _scripts(texts: Iterable[str]) -> Iterator[str]:
    for character in set("".join(texts)):
        yield unicodedata.name(character, "").partition(" ")[0]
