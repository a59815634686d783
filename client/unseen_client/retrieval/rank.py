"""From the scores of all rows to hits, on the device: filtered, scored once more, cut off, made relevances.

Holds scores and opened records while it runs. The server learns nothing of it: the whole catalogue is in the mirror.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import numpy.typing as npt

from unseen.errors import IntegrityError, InvalidInput, InvalidVector
from unseen_client.mirror import Mirror
from unseen_client.records import Record
from unseen_client.report import Hit
from unseen_client.retrieval.choice import Choice

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]

FIRST_ROWS_TRIED = 64
MOST_ROWS_AT_ONCE = 4096
"""Rows whose sealed records are in memory together; twice as many are looked at each time until enough fulfil it."""


@dataclass(frozen=True)
class Ranking:
    """How the scores of one search become hits."""

    choice: Choice
    opened: Callable[[bytes, bytes], Record]
    """Row id and sealed record -> record, its vector in its owner's scale."""
    exact: Callable[[Float64Array], Float64Array]
    """Vectors (n, d) -> their scores (n,), as they are without encryption; raises InvalidVector."""
    exact_only: bool
    """Encrypted scores choose the candidates, no more: they are of another metric."""
    without: frozenset[bytes] = frozenset()
    """Row ids that may not be among the hits: those that more like is wanted of."""
    group: Callable[[Record], str] | None = None
    """Of rows in one group only the best can be a hit; None: every row can."""
    without_groups: frozenset[str] = frozenset()
    """Groups of which no row can."""


@dataclass(frozen=True)
class _Found:
    slot: int
    score: float
    record: Record


class _Behind(Exception):
    """Another call made the mirror start over: it cannot tell which rows were scored."""


def hits(mirror: Mirror, scores: Float32Array, epoch: int, ranking: Ranking) -> list[Hit] | None:
    """The hits for scores by slot (n,), NaN where a slot was not scored, best first; None when the mirror is behind."""
    choice = ranking.choice
    scores = scores.copy()
    left_out = mirror.slots(ranking.without)
    scores[[slot for slot in left_out if slot < len(scores)]] = np.nan
    again = choice.rerank or ranking.exact_only
    needed = choice.rows_scored_again if again else choice.top_k
    try:
        best, considered = _considered(mirror, scores, epoch, ranking, needed)
    except _Behind:
        return None
    if again and best:
        best = _scored_again(best, ranking)
        if ranking.exact_only:
            considered = np.full(0, np.nan, np.float32)  # the other rows have no score of this metric
    relevances = _relevances(best, considered, choice.temperature)
    return [
        Hit(one.record.id, one.score, one.record, relevance)
        for one, relevance in islice(zip(best, relevances, strict=True), choice.top_k)
        if choice.min_score is None or one.score >= choice.min_score
    ]


def _considered(
    mirror: Mirror, scores: Float32Array, epoch: int, ranking: Ranking, needed: int
) -> tuple[list[_Found], Float32Array]:
    """The ``needed`` best rows that fulfil the conditions; and all scores that a softmax is over, else NaN."""
    rows = _fitting(mirror, scores, epoch, ranking, needed)
    best = list(islice(rows, needed))
    considered = np.full(len(scores), np.nan, np.float32)
    if ranking.choice.temperature is None:
        return best, considered
    if ranking.choice.fits is None and ranking.group is None:
        live = mirror.live(scores, epoch)
        if live is None:
            raise _Behind
        considered[live] = scores[live]
    else:
        for one in best:
            considered[one.slot] = one.score
        for one in rows:
            considered[one.slot] = one.score
    return best, considered


def _fitting(mirror: Mirror, scores: Float32Array, epoch: int, ranking: Ranking, needed: int) -> Iterator[_Found]:
    """Opened rows that fulfil the conditions, best first; looks at no more than are asked for, some at a time."""
    fits, left = ranking.choice.fits, scores.copy()
    every = fits is None and ranking.group is None
    at_once = needed if every else max(needed, FIRST_ROWS_TRIED)
    groups = set(ranking.without_groups)
    while True:
        some = mirror.best(left, epoch, at_once)
        if some is None:
            raise _Behind
        for hit in some:
            left[hit.slot] = np.nan  # seen: what changes in the mirror meanwhile shows no row twice
            record = ranking.opened(hit.row_id, hit.sealed_record)
            if (fits is None or fits(record)) and _is_first(record, ranking, groups):
                yield _Found(hit.slot, hit.score, record)
        if len(some) < at_once:
            return
        at_once = min(2 * at_once, max(needed, MOST_ROWS_AT_ONCE))


def _is_first(record: Record, ranking: Ranking, groups: set[str]) -> bool:
    """Whether no better row of the same group came before; remembers that one has come now."""
    if ranking.group is None:
        return True
    group = ranking.group(record)
    is_first = group not in groups
    groups.add(group)
    return is_first


def _scored_again(best: Sequence[_Found], ranking: Ranking) -> list[_Found]:
    """The same rows with the scores that their records' vectors give, best first; ties stay as they were."""
    vectors = [one.record.vector for one in best if one.record.vector is not None]
    if len(vectors) < len(best):
        raise InvalidInput(
            "a row keeps no vector, so it cannot be scored again; search without re-ranking, or create collections "
            "with keep_vectors=True"
        )
    try:
        exact = ranking.exact(_stacked(vectors))
    except InvalidVector as error:
        raise IntegrityError(
            "a record holds a vector that is none of this collection's; search without re-ranking, or erase its row "
            "and enrol it anew"
        ) from error
    return [replace(best[at], score=float(exact[at])) for at in np.argsort(-exact, kind="stable")]


def _stacked(vectors: Sequence[Float32Array]) -> Float64Array:
    """Vectors of records as one array (n, d); raises InvalidVector where they cannot be of one collection."""
    if len({len(vector) for vector in vectors}) > 1 or not all(np.isfinite(vector).all() for vector in vectors):
        raise InvalidVector("records hold vectors of several lengths, or numbers that are not finite")
    return np.stack(vectors).astype(np.float64)


def _relevances(
    best: Sequence[_Found], considered: Float32Array, temperature: float | None
) -> list[float] | list[None]:
    """Each row's part of the softmax over all considered rows, those scored again with their exact scores."""
    if temperature is None:
        return [None] * len(best)
    others = considered.astype(np.float64)
    others[[one.slot for one in best if one.slot < len(others)]] = np.nan
    mine = np.array([one.score for one in best])
    together = np.concatenate([mine, others[~np.isnan(others)]])
    if not len(together):
        return []
    with np.errstate(over="ignore"):  # minus infinity is right for what is that far below the best
        powers = np.exp((together - together.max()) / temperature)
    return [float(one) for one in (powers / powers.sum())[: len(best)]]
