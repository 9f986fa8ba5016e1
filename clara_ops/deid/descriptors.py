"""Cleaning descriptions (PS3.15 section E.3.5): words that are known to be harmless stay, all others go."""

import re
from functools import cache
from importlib.resources import files

from clara_ops.deid.own_words import OwnWords

_EMPTY_WORDS = frozenset(
    ("and", "at", "by", "dr", "for", "from", "in", "no", "non", "not", "of", "off", "on", "or", "over", "the")
)
_DATE = re.compile(r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}")
_LETTERS = re.compile(r"[^\W\d_]+")
_UNITS = r"(?:mm|cm|m|ms|s|sec|min|kv|kvp|ma|mas|hu|ml|cc|mbq|gy|mgy|t|x)"
_PIECE = re.compile(
    rf"(?P<measure>(?<![\w.])\d{{1,3}}(?:[.,]\d{{1,3}})?\s?(?:{_UNITS}|%)(?![^\W_])|(?<![\w.])\d{{1,3}}[.,]\d{{1,3}}(?![\w.]))"
    r"|(?P<code>(?<![^\W_])[A-Za-z]{1,2}\d{1,2}[A-Za-z]?(?![^\W_]))"
    r"|(?P<word>[^\W\d_]+)",
    re.IGNORECASE,
)


def clean_text(text: str, own: OwnWords) -> str | None:
    """What a description may keep: known words, measures with a unit or a decimal, codes such as T2 or B30f.

    Returns:
        None where nothing may stay.
    """
    known = [match.group().strip() for match in _PIECE.finditer(_DATE.sub(" ", text)) if _is_known(match)]
    pieces = [piece for piece in known if not own.kinds_in(piece)]
    cleaned = " ".join(pieces)
    says_something = any(piece.casefold() not in _EMPTY_WORDS for piece in pieces)
    return cleaned if says_something and not own.kinds_in(cleaned) else None


def is_harmless_code(value: str) -> bool:
    """Whether a value of VR CS says only known words: HEAD as Body Part Examined names no patient of that name."""
    words = _LETTERS.findall(value)
    return bool(words) and all(word.casefold() in _known_words() for word in words)


def _is_known(match: re.Match[str]) -> bool:
    return match["word"] is None or match["word"].casefold() in _known_words()


@cache
def _known_words() -> frozenset[str]:
    lines = files(__package__).joinpath("descriptor_words.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())
