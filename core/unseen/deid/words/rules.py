"""What a text says of days, ages, numbers and addresses that no tag knows: found by how such things are written.

The forms are in ``data/rules.tsv``, names in ``people``. A rule rather takes too much than too little; what follows
none is not found. For the device only. Holds no text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

from unseen.deid.words.span import Category, Span

OLDEST_YEARS: Final = 89
"""Of an age that may stay."""
LEAST_YEAR: Final = 2026
"""The year of this release. A clock that stands before it is not believed: at 1970 all from 1882 on would stay."""
LEAST_GROUPED_DIGITS: Final = 7
"""Of numbers with dashes between them; 120/80 is a blood pressure."""
LEAST_MIXED_CHARACTERS, LEAST_MIXED_DIGITS = 6, 3
"""Of letters mixed with digits; T2w, L4-5 and B12 are words of medicine."""
_UNIT: Final = (
    r"(?:[µu]?[cmk]?m[23]?|[mkµ]?g|[mcd]?l|k?vp?|k?ev|ma|mas|ms|m?hz|[cmkµ]?gy|[mkg]?bq|m?ci|[mµ]?sv|hu|mmhg|bpm|cc|ie|iu|"
    r"s|min|sec|h|d|w|x|px)"
)
_MEASURED: Final = re.compile(rf"\d+(?:x\d+)*{_UNIT}|\d+(?:x\d+)+", re.IGNORECASE)
_OLD_YEAR: Final = re.compile(rf"(?<![\d.,])1[89]\d\d(?![\d.,]?\d|\s?{_UNIT}\b)", re.IGNORECASE)


@dataclass(frozen=True)
class Rule:
    """One form of one kind of thing."""

    category: Category
    form: re.Pattern[str]
    is_measured: bool
    """Whether what it finds may be a measurement or a word of medicine."""


@cache
def rules() -> tuple[Rule, ...]:
    """The rules of the data file, in its order."""
    parts: dict[str, str] = {}
    found = []
    for line in (files("unseen.deid.words") / "data" / "rules.tsv").read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        name, form, *measured = line.split("\t")
        form = re.sub(r"\{([A-Z]+)\}", lambda part: parts[part[1]], form)
        if name.startswith("="):
            parts[name[1:]] = form
        else:
            found.append(Rule(Category(name), re.compile(form, re.IGNORECASE), bool(measured)))
    return tuple(found)


def spans(text: str, this_year: int) -> Iterator[Span]:
    """Where a normalised text says what a rule knows; they may overlap.

    this_year: by the device's clock. A year that makes somebody too old today goes, however old the study is: its own
    date may be a birthday only.
    """
    for rule in rules():
        for hit in rule.form.finditer(text):
            if not rule.is_measured or not _is_measurement(hit[0]):
                yield Span(hit.start(), hit.end(), rule.category)
    most = max(this_year, LEAST_YEAR) - OLDEST_YEARS
    yield from (Span(hit.start(), hit.end(), Category.DATE) for hit in _OLD_YEAR.finditer(text) if int(hit[0]) <= most)


def _is_measurement(found: str) -> bool:
    """Whether digits in groups, or letters and digits, are no id."""
    digits = sum(letter.isdigit() for letter in found)
    if not any(map(str.isalpha, found)):
        return digits < LEAST_GROUPED_DIGITS
    is_id = len(found) >= LEAST_MIXED_CHARACTERS and digits >= LEAST_MIXED_DIGITS
    return not is_id or _MEASURED.fullmatch(found) is not None
