"""What the tags of a study say of people and places, and where a text says the same.

    names     every part of every name, in any order: joined, broken over lines, with initials, inflected, within a
              word, where a space is missing
    numbers   ids, accession numbers, telephone numbers; whatever stands between their groups
    places    institutions and addresses: as they stand, each part of them, each word of them that is not a common one
    days      a day and month of the tags without a year, and a year of birth

For the device only. Holds the names of a patient as long as one report is worked on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import permutations
from typing import Final

from unseen.deid.words.letters import Word, folded, has_cases, humps, normalised, spellings, words
from unseen.deid.words.lists import word_list
from unseen.deid.words.span import Category, Span
from unseen.errors import ImageRefused

MOST_VALUES: Final = 2000
"""Of all kinds; an object with more of them is no report."""
MOST_VALUE_CHARACTERS: Final = 1024
LEAST_NUMBER_CHARACTERS: Final = 4
"""Of an id that is looked for by itself. A shorter one is in every text: it goes where a word says that it is an id."""
LEAST_PLACE_CHARACTERS: Final = 4
"""Of a word of an institution or address that is looked for by itself."""
INFLECTED_FROM, MOST_ENDING = 5, 3
"""A name of so many letters may have an ending of so many more, a shorter one an s."""
WITHIN_FROM: Final = 6
"""Letters of a name that is found within any word."""
MOST_PIECES: Final = 12
"""Words that an id, an address or a broken name is put together from."""
_BROKEN: Final = re.compile(r"[ \t]*-?[ \t]*(?:\n[ \t]*){1,3}|[-'._] ?|(?<=\b[^\W_]) ")
"""Between the pieces of one name: a break of line or page, a mark, a space behind a letter that stands alone."""
_ENDING: Final = re.compile(r"(?<=[^\W_]{6})[aeiouyаеиоуыьэюяαειηουω]{1,2}[sσ]?\Z")
"""Of a folded name, which other cases put another in place of: Kowalska, Kowalskiej."""
_DIGITS: Final = re.compile(r"\d+")
LEAST_BESIDE_DIGITS: Final = 3
"""Letters of a name that is found with digits at it: jane60."""
_LOOSE: Final = re.compile(r"[\s\-./_:,;()#+'&]{0,4}")
"""Between the pieces of an id or an address."""
_NEAR: Final = re.compile(r"[ .,'\-]{0,3}\n? {0,3}")
"""Between a name and its initials or particles."""
_SHORT_DAY: Final = re.compile(r"(?<![\d./])(\d{1,2})(/|\. ?)(\d{1,2})(\.?)(?!\d|/\d)")
_YEAR: Final = re.compile(r"(?<!\d)(?:1[89]|20)\d\d(?!\d)")
_FINE: Final = re.compile(r"[^\W\d_]+|\d+")
PARTICLES: Final = word_list("particles")
"""Words of names that are words of sentences, too: they go with the name that they stand before, and not alone."""
TITLES: Final = word_list("titles")
COMMON: Final = word_list("common")
"""Folded words of addresses that name no place."""


@dataclass(frozen=True, repr=False)
class Known:
    """What identifies somebody in the tags of a study, as it stands there."""

    names: frozenset[str] = frozenset()
    """Components between ^, groups between = (PS3.5 section 6.2), or as people write them."""
    numbers: frozenset[str] = frozenset()
    places: frozenset[str] = frozenset()
    days: frozenset[str] = frozenset()
    """YYYYMMDD."""
    births: frozenset[str] = frozenset()
    """YYYYMMDD: of the days those on which somebody was born."""

    def __post_init__(self) -> None:
        values = [*self.names, *self.numbers, *self.places, *self.days]
        longest = max(map(len, values), default=0)
        if len(values) > MOST_VALUES or longest > MOST_VALUE_CHARACTERS:
            raise ImageRefused(
                f"the object's tags say {len(values)} names, numbers, places and days, the longest of {longest} "
                f"characters, expected at most {MOST_VALUES} of at most {MOST_VALUE_CHARACTERS}; leave it out"
            )

    @cached_property
    def name_words(self) -> frozenset[str]:
        """Names and forms of them, folded, that are looked for by themselves."""
        return frozenset(form for name in self.names for group in name.split("=") for form in _forms_of_name(group))

    @cached_property
    def initials(self) -> frozenset[str]:
        """First letters of all parts of names, folded."""
        return frozenset(
            form[0] for name in self.names for word in words(normalised(name)) for form in spellings(word.text) if form
        )

    @cached_property
    def number_words(self) -> frozenset[str]:
        """Letters and digits of the numbers, folded, also without leading zeros."""
        squeezed = {folded("".join(word.text for word in words(normalised(number)))) for number in self.numbers}
        forms = squeezed | {form.lstrip("0") for form in squeezed}
        return frozenset(form for form in forms if len(form) >= LEAST_NUMBER_CHARACTERS)

    @cached_property
    def place_words(self) -> frozenset[str]:
        """Addresses, parts of them and their uncommon words, each folded into one word."""
        found = set[str]()
        for place in self.places:
            for part in (place, *re.split(r"[,;^=\n\r\\]", place)):
                whole = words(normalised(part))
                uncommon = [word for word in whole if not spellings(word.text) & COMMON]
                if len(whole) > 1 or uncommon:
                    found |= spellings("".join(word.text for word in whole))
                for word in uncommon:
                    long_enough = len(word.text) >= LEAST_PLACE_CHARACTERS and not word.text.isdigit()
                    found |= spellings(word.text) if long_enough else set()
        return frozenset(form for form in found if len(form) >= LEAST_PLACE_CHARACTERS - 1)

    def spans(self, text: str) -> Iterator[Span]:
        """Where a normalised text says any of it; they may overlap."""
        whole = words(text)
        yield from self._names_in(text, whole)
        yield from _put_together(text, humps(text), Category.NAME, _BROKEN, self.name_words, stems)
        fine = [Word(hit[0], hit.start(), hit.end()) for hit in _FINE.finditer(text)]
        yield from _put_together(text, fine, Category.ID, _LOOSE, self.number_words, _without_zeros)
        yield from _put_together(text, whole, Category.PLACE, _LOOSE, self.place_words, _without_s)
        yield from self._without_cases(text)
        yield from self._days_in(text)

    def _names_in(self, text: str, whole: Sequence[Word]) -> Iterator[Span]:
        at_start = {word.start: at for at, word in enumerate(whole)}
        at_stop = {word.stop: at for at, word in enumerate(whole)}
        for span in _put_together(text, whole, Category.NAME, _BROKEN, self.name_words, stems):
            first, last = at_start[span.start], at_stop[span.stop]
            while first and self._goes_with(
                text, whole[first - 1], whole[first - 1].stop, whole[first].start, PARTICLES
            ):
                first -= 1
            while last + 1 < len(whole) and self._goes_with(
                text, whole[last + 1], whole[last].stop, whole[last + 1].start, frozenset()
            ):
                last += 1
            yield Span(whole[first].start, whole[last].stop, Category.NAME)

    def _goes_with(self, text: str, word: Word, behind: int, before: int, particles: frozenset[str]) -> bool:
        """Whether a word beside a name is a part of it: an initial or one of some particles."""
        if not _NEAR.fullmatch(text, behind, before):
            return False
        if len(word.text) == 1 and not word.text.isdigit():
            return text.startswith(".", word.stop) or bool(spellings(word.text) & self.initials)
        return folded(word.text) in particles

    def _without_cases(self, text: str) -> Iterator[Span]:
        """Names and places of scripts in which words do not stand apart, wherever their letters are."""
        for values, category in ((self.names, Category.NAME), (self.places, Category.PLACE)):
            parts = {word.text for value in values for word in words(normalised(value)) if not has_cases(word.text)}
            if parts:
                either = "|".join(
                    r"\s{0,3}".join(map(re.escape, part)) for part in sorted(parts, key=len, reverse=True)
                )
                yield from (Span(*hit.span(), category) for hit in re.finditer(either, text))

    def _days_in(self, text: str) -> Iterator[Span]:
        """Days as 5/3 or 05.03., and years of birth; whole dates are found by rule, whosever they are."""
        days = {(int(day[4:6]), int(day[6:8])) for day in self.days}
        for hit in _SHORT_DAY.finditer(text):
            first, second = int(hit[1]), int(hit[3])
            is_written_so = hit[2] == "/" or (hit[4] == "." and (second, first) in days)
            if is_written_so and {(first, second), (second, first)} & days:
                yield Span(*hit.span(), Category.DATE)
        years = {day[:4] for day in self.births}
        yield from (Span(*hit.span(), Category.DATE) for hit in _YEAR.finditer(text) if hit[0] in years)


def _forms_of_name(group: str) -> Iterator[str]:
    """The words of one way of writing a name, and what people make of two of them: jdoe, doejane, smithjones."""
    whole = [word.text for word in words(normalised(group))]
    telling = [word for word in whole if not spellings(word) & (PARTICLES | TITLES)]
    telling = telling or [word for word in whole if not spellings(word) & TITLES]
    for word in telling:
        if len(word) > 1:
            yield from spellings(word)
            yield from (_ENDING.sub("", form) for form in spellings(word))
    for first, second in permutations(telling[:8], 2):
        if has_cases(first + second) and len(second) > 2:
            for start in {first, first[0]}:
                yield from spellings(start + second)
                yield from spellings(second + start)
    for component in group.split("^"):
        together = "".join(word.text for word in words(normalised(component)))
        if len(together) > 2:
            yield from spellings(together)


def stems(form: str) -> Iterator[str]:
    """What a folded word may be a form of: without digits, without an ending, or any long run of its letters."""
    if any(map(str.isdigit, form)):
        yield from (letters for letters in _DIGITS.split(form) if len(letters) >= LEAST_BESIDE_DIGITS)
    if form.endswith("s"):
        yield form[:-1]
    for ending in range(1, MOST_ENDING + 1):
        if len(form) - ending >= INFLECTED_FROM:
            yield form[:-ending]
    for start in range(len(form) - WITHIN_FROM + 1):
        for stop in range(start + WITHIN_FROM, min(len(form), start + 40) + 1):
            yield form[start:stop]


def _without_zeros(form: str) -> tuple[str, ...]:
    return (form.lstrip("0"),)


def _without_s(form: str) -> tuple[str, ...]:
    return (form.removesuffix("s"),)


def _put_together(
    text: str,
    pieces: Sequence[Word],
    category: Category,
    gap: re.Pattern[str],
    wanted: frozenset[str],
    also: Callable[[str], Iterable[str]],
) -> Iterator[Span]:
    """Where words, alone or put together over gaps, are one of those that are looked for.

    also: what else a folded word that stands alone may be.
    """
    begun = {form[:stop] for form in wanted for stop in range(1, len(form))}
    spelled = [sorted(spellings(piece.text), key=len) for piece in pieces]
    for at, piece in enumerate(pieces):
        short = expanded = ""
        stop = piece.start
        for one, forms in zip(pieces[at : at + MOST_PIECES], spelled[at : at + MOST_PIECES], strict=True):
            if one is not piece and (
                (short not in begun and expanded not in begun) or not gap.fullmatch(text, stop, one.start)
            ):
                break
            short, expanded, stop = short + forms[0], expanded + forms[-1], one.stop
            alone = one is piece
            if any(form in wanted or (alone and not wanted.isdisjoint(also(form))) for form in {short, expanded}):
                yield Span(piece.start, stop, category)
