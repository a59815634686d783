"""A query put together from words, pictures, vectors and rows that are there, each with a weight, negative ones too.

    Query.words("beach") + 0.5 * Query.picture("harbour.jpg") - Query.words("people")

For the device only: it holds what is searched for. The parts become one vector before anything is encrypted, so the
server sees one query, as large as any other.

The score of a row is the weighted sum of the scores that the parts would give it alone.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import SupportsFloat, TypeAlias

import numpy.typing as npt

from unseen.errors import InvalidInput

MOST_PARTS = 64
"""A query is written by people or by a program that means each part; every picture takes its time."""
NOT_A_TAG = "not "
NOT_A_TAG_WEIGHT = -0.5
"""Of a tag that is not wanted: rows that have it go down, and rows that are only unlike it do not come up."""
LARGEST_WEIGHT = 1e6
"""Weights are compared with each other; beyond this the smaller parts are rounding errors."""


@dataclass(frozen=True)
class Words:
    """A sentence."""

    text: str


@dataclass(frozen=True)
class Picture:
    """An image file; its faces are covered before it becomes a vector."""

    path: str | os.PathLike[str]


@dataclass(frozen=True, eq=False)
class Vector:
    """A vector of the caller's own, (d,)."""

    vector: npt.ArrayLike = field(repr=False)


@dataclass(frozen=True)
class Like:
    """A row that is there, by its id."""

    id: str


Content: TypeAlias = Words | Picture | Vector | Like


@dataclass(frozen=True)
class Part:
    """One thing that is looked for, or, with a weight below zero, that is not wanted."""

    content: Content
    weight: float = 1.0
    facets: Mapping[str, float] | None = None
    """What each part of the model's rows counts; None: as the model weighs them."""


@dataclass(frozen=True)
class Query:
    """What is searched for. Add, subtract and multiply with numbers; ``sum`` works too."""

    parts: tuple[Part, ...] = ()

    __array_ufunc__ = None  # numpy's numbers leave the multiplication to this class

    def __post_init__(self) -> None:
        if len(self.parts) > MOST_PARTS:
            raise InvalidInput(f"got a query of {len(self.parts)} parts; give at most {MOST_PARTS}")

    @staticmethod
    def words(text: str) -> Query:
        """Rows that a sentence describes."""
        return Query((Part(Words(text)),))

    @staticmethod
    def tag(text: str) -> Query:
        """Rows that a tag fits, or, with "not " before it, rows that it does not fit, at half the weight."""
        wanted = text.removeprefix(NOT_A_TAG).strip()
        return Query((Part(Words(wanted), NOT_A_TAG_WEIGHT if text.startswith(NOT_A_TAG) else 1.0),))

    @staticmethod
    def picture(path: str | os.PathLike[str]) -> Query:
        """Rows like an image file, whose faces are covered first."""
        return Query((Part(Picture(path)),))

    @staticmethod
    def vector(vector: npt.ArrayLike) -> Query:
        """Rows like a vector (d,) of your own."""
        return Query((Part(Vector(vector)),))

    @staticmethod
    def like(id: str) -> Query:
        """Rows like one that is there, which is left out itself."""
        return Query((Part(Like(id)),))

    def facets(self, **weights: float) -> Query:
        """Weigh the parts of a model's rows: ``visual`` is what it looks like, ``semantic`` what is on it.

        A part's score is then the sum of its facets' cosines, each times its weight; what is not named counts nothing.
        Raises InvalidInput for a weight that is no number, or far from one.
        """
        if not weights:
            raise InvalidInput("got no facets; name one, as in facets(visual=1, semantic=0.5)")
        checked = {name: _facet_weight(name, weight) for name, weight in weights.items()}
        return Query(tuple(replace(part, facets=checked) for part in self.parts))

    def __add__(self, other: Query) -> Query:
        if not isinstance(other, Query):
            return NotImplemented
        return Query(self.parts + other.parts)

    def __radd__(self, other: object) -> Query:
        return self if other == 0 else NotImplemented

    def __sub__(self, other: Query) -> Query:
        if not isinstance(other, Query):
            return NotImplemented
        return self + -other

    def __neg__(self) -> Query:
        return self * -1.0

    def __mul__(self, weight: float) -> Query:
        factor = _weight(weight)
        return Query(tuple(replace(part, weight=_weight(part.weight * factor)) for part in self.parts))

    __rmul__ = __mul__

    def __truediv__(self, divisor: float) -> Query:
        return self * (1.0 / _weight(divisor))


def _weight(weight: object) -> float:
    number = _finite("a part", weight)
    if not 1 / LARGEST_WEIGHT <= abs(number) <= LARGEST_WEIGHT:
        raise InvalidInput(
            f"got a weight of {number:g}, expected one between {1 / LARGEST_WEIGHT:g} and {LARGEST_WEIGHT:g}, above or "
            "below zero; leave out what is to count nothing"
        )
    return number


def _facet_weight(name: str, weight: object) -> float:
    number = _finite(f"facet {name[:40]!r}", weight)
    if number and not 1 / LARGEST_WEIGHT <= abs(number) <= LARGEST_WEIGHT:
        raise InvalidInput(
            f"got a weight of {number:g} for facet {name[:40]!r}, expected zero, or one between {1 / LARGEST_WEIGHT:g} "
            f"and {LARGEST_WEIGHT:g}, above or below it"
        )
    return number


def _finite(what: str, weight: object) -> float:
    try:
        number = float(weight) if isinstance(weight, SupportsFloat) and not isinstance(weight, bool) else math.nan
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise InvalidInput(
            f"got {type(weight).__name__} for the weight of {what}, expected a finite number such as 0.5"
        )
    return number
