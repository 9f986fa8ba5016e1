"""Text in a form that does not depend on case, accents, width or kana: a name is found however it is written."""

import re
import unicodedata

_UNDECOMPOSED = str.maketrans(
    {"ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ı": "i"}
)
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "Å": "Aa"})
_HIRAGANA_TO_KATAKANA = {code: code + 0x60 for code in range(0x3041, 0x3097)}
_LETTERS = re.compile(r"[^\W\d_]+")
_CAMEL = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
_TOKENS = re.compile(r"[^\W_]+")
_UNSPACED = re.compile(r"[\u1100-\u11ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]")


def normal(text: str) -> str:
    """Text without case, accents, and differences of width or kana."""
    return _plain(text).casefold().translate(_HIRAGANA_TO_KATAKANA)


def spelled_out(text: str) -> str:
    """The normal form with umlauts spelled out: `mueller` for Müller, where `normal` gives `muller`."""
    return normal(unicodedata.normalize("NFC", text).translate(_UMLAUTS))


def words(text: str) -> list[str]:
    """The runs of letters of a text in normal form."""
    return _LETTERS.findall(text)


def camel_words(text: str) -> list[str]:
    """The words of a text that are told apart by capitals only, in normal form: `john`, `doe` of JohnDoe."""
    return [word.casefold() for word in _CAMEL.findall(_plain(text))]


def tokens(text: str) -> list[str]:
    """The runs of letters and digits of a text in normal form."""
    return _TOKENS.findall(text)


def length(word: str) -> int:
    """The number of characters of a word as they are written: a Korean syllable is one."""
    return len(unicodedata.normalize("NFC", word))


def is_unspaced(word: str) -> bool:
    """Whether a word is of a script that puts no spaces between words: Chinese, Japanese, Korean."""
    return _UNSPACED.search(word) is not None


def _plain(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.translate(_UNDECOMPOSED))
    return "".join(character for character in decomposed if not unicodedata.combining(character))
