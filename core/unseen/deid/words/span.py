"""A place in a text that names somebody, and what stands there instead.

For the device only. Holds places, no letters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Category(StrEnum):
    """What was there; written in square brackets."""

    NAME = "NAME"
    DATE = "DATE"
    TIME = "TIME"
    AGE = "AGE"
    """Above 89 years: too few are older to hide among (45 CFR 164.514(b)(2)(i)(C))."""
    PLACE = "PLACE"
    CONTACT = "CONTACT"
    """Telephone, e-mail, an address of the web."""
    ID = "ID"


PLACEHOLDER: Final = re.compile(rf"\[(?:{'|'.join(Category)})\]")
_WITHIN: Final = {Category.NAME: re.compile(r"[ ,.'\-\n]{0,4}"), Category.PLACE: re.compile(r"[ ,\-\n]{0,4}")}
"""Between two pieces of one name or address."""


@dataclass(frozen=True, order=True, slots=True)
class Span:
    """Characters ``start`` to ``stop`` of a text."""

    start: int
    stop: int
    category: Category


def joined(text: str, spans: Iterable[Span]) -> list[Span]:
    """Spans that no longer touch, in order: those that overlap are one, so are names, or places, side by side.

    Where kinds overlap the one that begins first says what it was, of two that begin together the longer.
    """
    result: list[Span] = []
    for span in sorted(spans, key=lambda one: (one.start, -one.stop)):
        last = result[-1] if result else None
        if last is not None and (span.start < last.stop or _is_one(text, last, span)):
            result[-1] = Span(last.start, max(last.stop, span.stop), last.category)
        else:
            result.append(span)
    return result


def _is_one(text: str, last: Span, span: Span) -> bool:
    gap = _WITHIN.get(span.category)
    return gap is not None and span.category is last.category and bool(gap.fullmatch(text, last.stop, span.start))


def replaced(text: str, spans: Iterable[Span]) -> str:
    """The text with a word in square brackets in place of each span; ``spans`` are in order and apart."""
    pieces, at = [], 0
    for span in spans:
        pieces += [text[at : span.start], f"[{span.category}]"]
        at = span.stop
    return "".join([*pieces, text[at:]])
