"""Parts fused into one query: the fused score is the weighted sum of the parts' scores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unseen.embed.model import Facet
from unseen.errors import InvalidInput
from unseen_client.retrieval.fuse import MadePart, fused, weighed
from unseen_client.retrieval.metric import NAMES, metric_of

FACETS = {"visual": Facet(0, 4, 0.6), "semantic": Facet(4, 12, 0.8)}


def rows(count: int = 15, seed: int = 1) -> np.ndarray:
    """Rows of two facets, each a direction times the facet's weight."""
    made = np.random.default_rng(seed).standard_normal((count, 12))
    for facet in FACETS.values():
        part = made[:, facet.start : facet.stop]
        part *= facet.weight / np.linalg.norm(part, axis=1, keepdims=True)
    return made.astype(np.float32)


def cosines(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return one @ other / np.linalg.norm(one, axis=1) / np.linalg.norm(other)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=20)
@given(st.lists(st.floats(0.1, 3) | st.floats(-3, -0.1), min_size=1, max_size=5))
def test_the_fused_score_is_the_weighted_sum_of_the_scores(name, weights):
    stored, wanted = rows(), rows(len(weights), seed=2)
    metric = metric_of(name, 1.1)
    whole = fused(metric, [MadePart(one, weight) for one, weight in zip(wanted, weights, strict=True)])
    expected = sum(
        weight * metric.scores(stored.astype(float), one) for one, weight in zip(wanted, weights, strict=True)
    )
    assert whole.exact(stored.astype(float)) == pytest.approx(expected)
    if not metric.on_device_only:
        product = metric.rows(stored) @ whole.direction.astype(float)
        assert whole.length * product + whole.offset == pytest.approx(expected, abs=1e-5)


def test_a_query_of_one_part_is_that_part():
    one = rows(1)[0]
    alone = fused(metric_of("cosine"), [MadePart(7 * one, 1.0)])
    assert (alone.length, alone.offset) == (pytest.approx(1), 0)
    assert alone.direction == pytest.approx(one, abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_parts_that_cancel_out_are_refused(name):
    one = rows(1)[0]
    nearly = one.astype(np.float16).astype(np.float32)
    with pytest.raises(InvalidInput, match="cancel each other out"):
        fused(metric_of(name, 2), [MadePart(one, 2.0), MadePart(nearly, -2.0)])


def test_a_query_of_zeros_and_one_beyond_float32_are_refused():
    with pytest.raises(InvalidInput, match="zeros"):
        fused(metric_of("dot"), [MadePart(np.zeros(3), 1.0)])
    for metric in (metric_of("dot", 1e15), metric_of("l2")):
        with pytest.raises(InvalidInput, match="too large"):
            fused(metric, [MadePart(np.full(3, 1e38, np.float32), 1.0)])


def test_words_that_fill_one_part_count_as_a_cosine_of_that_part():
    words = np.concatenate([np.zeros(4), rows(1)[0, 4:]]).astype(np.float32)
    scores = fused(metric_of("cosine"), [MadePart(words, 1.0, 1 / 0.8)]).exact(rows().astype(float))
    assert scores == pytest.approx(cosines(rows()[:, 4:], words[4:]), abs=1e-6)


def test_facets_score_as_the_weighted_sum_of_their_cosines():
    one = rows(1, seed=5)[0]
    made = weighed(one, FACETS, {"visual": 0.7, "semantic": -0.2})
    part = MadePart(made, 1.0, float(np.linalg.norm(made)))
    expected = 0.7 * cosines(rows()[:, :4], one[:4]) - 0.2 * cosines(rows()[:, 4:], one[4:])
    assert fused(metric_of("cosine"), [part]).exact(rows().astype(float)) == pytest.approx(expected, abs=1e-6)


def test_the_models_own_weights_are_the_squares_of_the_facets_lengths():
    one = rows(1, seed=5)[0]
    assert weighed(one, FACETS, {"visual": 0.36, "semantic": 0.64}) == pytest.approx(one, abs=1e-6)


def test_a_facet_that_there_is_not_or_that_is_empty_is_refused():
    with pytest.raises(InvalidInput, match="visual, semantic"):
        weighed(rows(1)[0], FACETS, {"loud": 1.0})
    with pytest.raises(InvalidInput, match="no facet is named 'visual'; this collection's model has none"):
        weighed(rows(1)[0], {}, {"visual": 1.0})
    words = np.concatenate([np.zeros(4), rows(1)[0, 4:]]).astype(np.float32)
    for weights in ({"visual": 1.0}, {"semantic": 0.0}):
        with pytest.raises(InvalidInput, match="nothing in the facets"):
            weighed(words, FACETS, weights)


def test_the_error_of_a_score_is_what_the_page_says():
    """The error of a decrypted cosine is multiplied with the query's length: docs/search.md, Other metrics."""
    longest, point = 4.0, 3.0 * np.eye(8)[0]
    lengths = {name: fused(metric_of(name, longest), [MadePart(point, 1.0)]).length for name in NAMES}
    assert lengths["cosine"] == pytest.approx(1)
    assert lengths["dot"] == pytest.approx(longest * 3)
    assert lengths["l2"] == lengths["l1"] == pytest.approx(longest * np.sqrt(4 * 3**2 + longest**2))
