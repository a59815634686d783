"""Parts made into one query: the weighted sum of what rows are multiplied with, before anything is encrypted.

For the device only; holds vectors while it runs. The score of a row is the weighted sum of its scores for the parts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unseen.embed.model import Facet
from unseen.errors import InvalidInput, InvalidVector
from unseen_client.retrieval.metric import Float32Array, Float64Array, Metric

LEAST_LEFT = 1e-3
"""Parts that cancel out further than this leave the rounding errors of the records' half floats for a direction."""
LARGEST_SCORE = 1e37
"""Scores are float32."""


@dataclass(frozen=True, eq=False)
class MadePart:
    """One part of a query, as a vector."""

    vector: npt.NDArray[np.floating]
    """(d,)"""
    weight: float
    score_scale: float = 1.0
    """What makes a score of the part itself: a word query fills only the semantic part of a two-part row."""

    @property
    def share(self) -> float:
        """What the metric's own score is multiplied with in the sum."""
        return self.weight * self.score_scale


@dataclass(frozen=True, eq=False)
class Fused:
    """One query from all parts: score = ``length`` * cosine(``direction``, row) + ``offset``."""

    metric: Metric
    parts: tuple[MadePart, ...]
    direction: Float32Array
    """(d + extra,), of unit length."""
    length: float
    offset: float

    def exact(self, vectors: Float64Array) -> Float64Array:
        """The scores of vectors (n, d), as they are without encryption: (n,)."""
        if vectors.shape[1:] != self.parts[0].vector.shape:
            raise InvalidVector(f"a record keeps {vectors.shape[1]} numbers, the query has {len(self.parts[0].vector)}")
        scores = [part.share * self.metric.scores(vectors, part.vector) for part in self.parts]
        return np.asarray(np.sum(scores, axis=0), np.float64)


def fused(metric: Metric, parts: Sequence[MadePart]) -> Fused:
    """One query from the parts; raises InvalidInput when nothing is left of their sum, InvalidVector."""
    made = [(part.share, metric.query(part.vector)) for part in parts]
    whole: Float64Array = np.sum([share * query.vector for share, query in made], axis=0)
    length = float(np.linalg.norm(whole))
    most = sum(abs(share) * float(np.linalg.norm(query.vector)) for share, query in made)
    offset = sum(share * query.offset for share, query in made)
    if not max(length, abs(offset)) <= LARGEST_SCORE:
        raise InvalidInput("the weights and vectors of this query are too large together; give smaller ones")
    if most == 0:
        raise InvalidInput("got a query of zeros, to which every row is alike; give another vector")
    if length <= LEAST_LEFT * most:
        raise InvalidInput(
            "the parts of this query cancel each other out: what is wanted and what is not are the same; change a "
            "weight or a part"
        )
    return Fused(metric, tuple(parts), (whole / length).astype(np.float32), length, offset)


def weighed(vector: Float32Array, facets: Mapping[str, Facet], weights: Mapping[str, float]) -> Float64Array:
    """A vector (d,) whose score is the sum of its facets' cosines, each times its weight; not of unit length.

    A facet that the vector does not fill gives nothing. Raises InvalidInput when no facet is left, or for one that the
    model does not have.
    """
    if unknown := sorted(set(weights) - set(facets)):
        known = ", ".join(facets) or "none"
        raise InvalidInput(f"no facet is named {unknown[0][:40]!r}; this collection's model has {known}")
    made = np.zeros(len(vector), np.float64)
    for name, weight in weights.items():
        run = slice(facets[name].start, facets[name].stop)
        length = float(np.linalg.norm(vector[run].astype(np.float64)))
        if length > 0:
            made[run] = weight / facets[name].weight / length * vector[run]
    if not made.any():
        raise InvalidInput(
            "a part of this query has nothing in the facets that were named: words have no 'visual' one; name another, "
            "or leave the part out"
        )
    return made
