"""A text without what names somebody: known from the tags of its study, and known by rule.

    one form (NFKC) -> what the tags say, what the rules know -> words in square brackets -> looked at again

For the device only. Rules miss names which neither tags nor forms tell; what is left is not anonymous.
"""

from __future__ import annotations

from typing import Final

from unseen.deid.words import people, rules
from unseen.deid.words.known import Known, stems
from unseen.deid.words.letters import folded, humps, normalised, spellings, words
from unseen.deid.words.span import PLACEHOLDER, Span, joined, replaced
from unseen.errors import ImageRefused

MOST_CHARACTERS: Final = 200_000
MOST_LOOKS: Final = 4
"""What was covered may bring together what was apart; more than this is no text that people write."""


def without_identifiers(text: str, known: Known, *, this_year: int) -> str:
    """The text with ``[NAME]``, ``[DATE]``, ``[ID]`` and the like in place of what names somebody.

    this_year: by the device's clock; it tells which years make somebody older than 89. Raises ImageRefused: too long,
    no text, or something was still found at the end.
    """
    _require_short(text)
    if text.lstrip("\ufeff \t\r\n").startswith("{\\rtf"):
        raise ImageRefused(
            "the text is in RTF, in which letters are written as numbers; convert it to plain text first"
        )
    clean = normalised(text)
    _require_short(clean)  # one character may become eighteen
    for _ in range(MOST_LOOKS):
        found = spans(clean, known, this_year)
        if not found and not is_named(clean, known):
            return clean
        clean = replaced(clean, found)
    raise ImageRefused("the text still says what its study's tags say after it was cleaned; leave it out")


def _require_short(text: str) -> None:
    if len(text) > MOST_CHARACTERS:
        raise ImageRefused(f"the text has {len(text)} characters, expected at most {MOST_CHARACTERS}; split it")


def spans(text: str, known: Known, this_year: int) -> list[Span]:
    """What names somebody in a normalised text, in order and apart; placeholders are no names."""
    placeholders = [hit.span() for hit in PLACEHOLDER.finditer(text)]
    inner = {place for start, stop in placeholders for place in range(start, stop)}
    found = [*known.spans(text), *rules.spans(text, this_year), *people.spans(text)]
    whole = joined(text, (span for span in found if span.start not in inner or span.stop - 1 not in inner))
    return [span for span in whole if not PLACEHOLDER.fullmatch(text, span.start, span.stop)]


def is_named(text: str, known: Known) -> bool:
    """The last look, written another way: whether a name or number of the tags stands in a text, letter by letter."""
    bare = PLACEHOLDER.sub(" ", text)
    said = {form for word in (*words(bare), *humps(bare)) for form in spellings(word.text)}
    named = any(form in known.name_words or not known.name_words.isdisjoint(stems(form)) for form in said)
    chunks = {folded("".join(letter for letter in chunk if letter.isalnum())) for chunk in bare.split()}
    numbers = [number for number in known.number_words if any(map(str.isdigit, number))]
    return named or any(number in chunk for number in numbers for chunk in chunks if len(number) > 5)
