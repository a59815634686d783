"""How good a ranking is. Each measure is of one question; shown is the mean over questions, of ranks the median.

With r the number of right rows, and right(i) whether the row at place i, from 1, is right:

    recall@k            right rows among the first k / r
    precision@k         right rows among the first k / k
    average precision   the mean over right places i of precision@i; its mean over questions is mAP
    rank                the place of the first right row

(Manning, Raghavan and Schütze 2008, Introduction to Information Retrieval, sections 8.3 and 8.4.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Measures:
    """Over all questions of one kind."""

    recall: dict[int, float]
    precision: dict[int, float]
    mean_average_precision: float
    median_rank: float
    curve: tuple[float, ...]
    """recall@1, recall@2, ..."""


def in_order(scores: npt.NDArray[np.floating], right: Bools) -> Bools:
    """Scores (n,) and which rows are right (n,) -> the same, best first; NaN is left out, ties stay as they stand."""
    order = np.argsort(-scores, kind="stable")
    return right[order[: np.count_nonzero(~np.isnan(scores))]]


def measured(rankings: Sequence[Bools], ks: Sequence[int], longest_curve: int) -> Measures:
    """Rankings as ``in_order`` gives them, each with a right row in it -> the measures."""
    found = [np.cumsum(one, dtype=np.int64) for one in rankings]
    recall = {k: float(np.mean([_at(one, k) / one[-1] for one in found])) for k in {*ks, *range(1, longest_curve + 1)}}
    return Measures(
        {k: recall[k] for k in ks},
        {k: float(np.mean([_at(one, k) / k for one in found])) for k in ks},
        float(np.mean([average_precision(one) for one in rankings])),
        float(np.median([int(np.argmax(one)) + 1 for one in rankings])),
        tuple(recall[k] for k in range(1, longest_curve + 1)),
    )


def average_precision(ranking: Bools) -> float:
    """Of one question."""
    places = np.flatnonzero(ranking) + 1
    return float(np.mean(np.arange(1, len(places) + 1) / places))


def _at(found: npt.NDArray[np.int64], k: int) -> int:
    return int(found[min(k, len(found)) - 1])
