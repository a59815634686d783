"""Which of the scored rows are hits: how many, above which score, fulfilling what, scored once more on the device.

For the device only: none of this leaves it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from unseen.errors import InvalidInput
from unseen_client.mirror import SLOT_LIMIT
from unseen_client.retrieval.where import Fits, Where, fits_of

MOST_HITS = SLOT_LIMIT
"""No collection has more rows."""
CANDIDATES_PER_HIT = 10
LEAST_CANDIDATES = 200
"""Rows scored again for ten hits: the error of an encrypted score moves a row by a few places, never by hundreds."""


@dataclass(frozen=True)
class Choice:
    """What is wanted of the scores of all rows; raises InvalidInput for what cannot be."""

    top_k: int
    fits: Fits | None = None
    min_score: float | None = None
    """Hits below it are left out."""
    temperature: float | None = None
    """Of the softmax that gives each hit its relevance; None: no relevance."""
    rerank: bool = False
    """Score the best rows again with the vectors in their records."""
    candidates: int | None = None
    """How many; None: ten for each hit, at least 200."""

    def __post_init__(self) -> None:
        if not 1 <= self.top_k <= MOST_HITS:
            raise InvalidInput(f"got top_k={self.top_k}; ask for 1 to {MOST_HITS} hits")
        if self.min_score is not None and math.isnan(self.min_score):
            raise InvalidInput("got min_score=nan; give a score, such as 0.2")
        if self.temperature is not None and not (math.isfinite(self.temperature) and self.temperature > 0):
            raise InvalidInput(f"got temperature={self.temperature:g}; give a number above zero, such as 0.05")
        if self.candidates is not None and not self.top_k <= self.candidates <= MOST_HITS:
            raise InvalidInput(
                f"got candidates={self.candidates} for top_k={self.top_k}; score at least as many rows again as hits "
                f"are wanted, and at most {MOST_HITS}"
            )

    @property
    def rows_scored_again(self) -> int:
        """How many rows are scored again when any are."""
        return self.candidates or max(LEAST_CANDIDATES, CANDIDATES_PER_HIT * self.top_k)


def choice(
    top_k: int,
    where: Where = None,
    min_score: float | None = None,
    temperature: float | None = None,
    rerank: bool = False,
    candidates: int | None = None,
) -> Choice:
    """A choice from what callers give; ``candidates`` alone asks for re-ranking too."""
    return Choice(top_k, fits_of(where), min_score, temperature, rerank or candidates is not None, candidates)
