"""Encrypted search beside plaintext search over the same vectors, on the device. Demo and benches; leaks nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Agreement:
    """How close one encrypted search came to float32."""

    overlap: float
    """Share of the plaintext's best ``top_k`` rows that are among the encrypted best: 1 is all."""
    largest_difference: float
    """Over every row: the largest distance between the two scores, in cosine."""
    deviation: float
    """Over every row: the standard deviation of the difference, in cosine."""


def plain_scores(rows: Float32Array, query: Float32Array) -> Float32Array:
    """(n, d) rows and a (d,) query, of any length -> (n,) cosines in float32."""
    lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(query)
    return np.asarray(rows @ query / lengths, np.float32)


def agreement(ids: Sequence[str], plain: Float32Array, encrypted: Mapping[str, float], top_k: int) -> Agreement:
    """Compare two score lists over the same ids; every id must have been scored."""
    other = np.array([encrypted[row] for row in ids], np.float32)
    difference = other - plain
    best_plain, best_encrypted = (set(np.argsort(-scores, kind="stable")[:top_k].tolist()) for scores in (plain, other))
    return Agreement(
        overlap=len(best_plain & best_encrypted) / max(1, len(best_plain)),
        largest_difference=float(np.abs(difference).max(initial=0.0)),
        deviation=float(difference.std()) if len(difference) else 0.0,
    )


def rank_of(expected: Sequence[str], ranking: Sequence[str]) -> int:
    """The best place, 1 being first, of any expected id; one past the end when none is there."""
    places = [place for place, row in enumerate(ranking, 1) if row in set(expected)]
    return min(places, default=len(ranking) + 1)
