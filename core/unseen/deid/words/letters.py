"""Letters made comparable: how a text is written out, cut into words, and when two words are the same.

For the device only. Holds nothing.
"""

from __future__ import annotations

import html
import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from unseen.errors import ImageRefused

_VOWELS: Final = "".join(map(chr, (at for at in range(0x900, 0xA000) if unicodedata.category(chr(at)) in {"Mn", "Mc"})))
"""Signs that stand at a letter and are a part of its word, as in Devanagari and Thai."""
WORD: Final = re.compile(rf"(?:[^\W_][{_VOWELS}]*)+")
"""A run of letters and digits."""
_BLANKS: Final = frozenset("\u115f\u1160\u17b4\u17b5\u2800\u0640\ufffc")
"""Letters and signs that show nothing, and the stroke that makes an Arabic word longer."""
_EXPANDED: Final = {"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe"}
"""How these are written where a keyboard has none of them; without the marks is the other way."""
_OWN_LETTERS: Final = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h", "ŧ": "t", "ŋ": "n"}
    | {"\u06cc": "\u064a", "\u0649": "\u064a", "\u06a9": "\u0643", "\u0629": "\u0647", "\u0671": "\u0627"}
)
"""Letters that have no mark to be taken off; those of Persian and the ends of Arabic words."""


@dataclass(frozen=True, slots=True)
class Word:
    """A run of letters and digits of a text."""

    text: str
    start: int
    stop: int


def normalised(text: str) -> str:
    """A text in one form (Unicode NFKC): one kind of dash, apostrophe, space, digit and line break, nothing invisible.

    Raises ImageRefused for what is no text: control characters, halves of characters, bytes that were not understood.
    """
    spelled_out = html.unescape(text)  # M&uuml;ller, as systems write that print reports on web pages
    composed = unicodedata.normalize("NFKC", re.sub(r"\r\n?|[\v\f\x85\u2028\u2029]", "\n", spelled_out))
    return "".join(map(_normalised, composed))


def _normalised(letter: str) -> str:
    if letter in "\n\t":
        return letter
    category = unicodedata.category(letter)
    if category in {"Cc", "Cs", "Co", "Cn"} or letter == "\ufffd":
        raise ImageRefused(
            "the text holds characters that no text has, as one does that is in another encoding; convert it first"
        )
    if category in {"Cf", "Me"} or letter in _BLANKS or (category == "Mn" and _is_left_out(letter)):
        return ""  # a soft hyphen, a mark that no letter took up: names could hide behind them
    if category == "Nd":
        return str(unicodedata.decimal(letter))
    if category == "Pd" or letter in "\u2212\u00b7\u2043\u02d7\u2027":
        return "-"
    if letter in "\u2018\u2019\u201b\u2032\u02bc\u00b4`\u02b9\u02bb\u02bd\u02be\u02bf\u02c8\u055a\u05f3\ua78c":
        return "'"
    return " " if category == "Zs" else letter


def _is_left_out(mark: str) -> bool:
    """Whether a word is the same without a mark: accents, points of Hebrew and Arabic vowels, choices of a glyph."""
    place = unicodedata.combining(mark)
    is_choice = "\ufe00" <= mark <= "\ufe0f" or "\U000e0100" <= mark <= "\U000e01ef" or "\u180b" <= mark <= "\u180f"
    return is_choice or "\u0300" <= mark <= "\u036f" or place == 1 or 10 <= place <= 36 or place >= 200


def words(text: str) -> list[Word]:
    """The words of a text in their order."""
    return [Word(found[0], found.start(), found.end()) for found in WORD.finditer(text)]


def humps(text: str) -> list[Word]:
    """The parts of words in which a capital follows a small letter, in their order: Jane and Seen of JaneSeen."""
    found = []
    for word in words(text):
        pairs = zip(word.text, word.text[1:], strict=False)
        cuts = [at for at, (one, other) in enumerate(pairs, 1) if one.islower() and other.isupper()]
        for start, stop in zip([0, *cuts], [*cuts, len(word.text)], strict=True) if cuts else ():
            found.append(Word(word.text[start:stop], word.start + start, word.start + stop))
    return found


def folded(word: str) -> str:
    """A word without case and marks: Ångström and ANGSTROM are one."""
    bare = unicodedata.normalize("NFD", word.casefold())
    return "".join(letter for letter in bare if not unicodedata.combining(letter)).translate(_OWN_LETTERS)


def spellings(word: str) -> set[str]:
    """The ways in which a word is folded: Müller is muller and mueller."""
    expanded = "".join(_EXPANDED.get(letter, letter) for letter in unicodedata.normalize("NFC", word.casefold()))
    return {folded(word), folded(expanded)}


def has_cases(word: str) -> bool:
    """Whether a word is of a script whose words stand apart (Latin, Greek, Cyrillic), or of digits.

    In Chinese, Thai or Arabic other letters are written right at a name.
    """
    return all(letter.isdigit() or letter.lower() != letter.upper() for letter in folded(word))
