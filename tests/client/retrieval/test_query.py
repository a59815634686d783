"""Queries as people write them: sums, differences and multiples of parts."""

from __future__ import annotations

import numpy as np
import pytest

from unseen.errors import InvalidInput
from unseen_client import Query
from unseen_client.retrieval.query import LARGEST_WEIGHT, MOST_PARTS, Like, Picture, Words


def weights(query: Query) -> list[float]:
    return [part.weight for part in query.parts]


def test_a_query_reads_as_it_is_written():
    query = Query.words("beach") + 0.5 * Query.picture("harbour.jpg") - Query.like("row 7") / 4
    assert [part.content for part in query.parts] == [Words("beach"), Picture("harbour.jpg"), Like("row 7")]
    assert weights(query) == [1.0, 0.5, -0.25]


def test_weights_multiply_through_sums_and_signs():
    assert weights(-2 * (Query.words("a") - 3 * Query.words("b"))) == [-2.0, 6.0]
    assert weights(np.float32(0.5) * Query.words("a") * np.float64(4)) == [2.0]
    assert weights(sum([Query.words("a"), -Query.words("b")], Query())) == [1.0, -1.0]
    assert weights(sum([Query.words("a"), Query.words("b")])) == [1.0, 1.0]


def test_facets_belong_to_the_parts_they_were_given_for():
    query = Query.picture("a.jpg").facets(visual=1) + Query.words("b")
    assert [part.facets for part in query.parts] == [{"visual": 1.0}, None]


@pytest.mark.parametrize("weight", [0, 0.0, float("nan"), float("inf"), 1e9, 1e-9, "2", None, True, 10**400])
def test_a_weight_that_is_none_is_refused(weight):
    with pytest.raises(InvalidInput, match="weight"):
        Query.words("a") * weight


def test_weights_that_grow_too_large_together_are_refused():
    with pytest.raises(InvalidInput, match="weight"):
        LARGEST_WEIGHT * (LARGEST_WEIGHT * Query.words("a"))


@pytest.mark.parametrize(
    "facets", [{}, {"visual": "much"}, {"visual": float("nan")}, {"visual": 1e308}, {"visual": -1e-320}]
)
def test_facets_without_names_or_numbers_are_refused(facets):
    with pytest.raises(InvalidInput, match="facet"):
        Query.words("a").facets(**facets)


def test_a_facet_may_count_nothing():
    assert Query.words("a").facets(visual=0, semantic=-2).parts[0].facets == {"visual": 0.0, "semantic": -2.0}


def test_too_many_parts_are_refused():
    with pytest.raises(InvalidInput, match=f"at most {MOST_PARTS}"):
        sum((Query.words(str(at)) for at in range(MOST_PARTS + 1)), Query())


def test_only_queries_are_added():
    for other in ("words", 1, None):
        with pytest.raises(TypeError):
            Query.words("a") + other
        with pytest.raises(TypeError):
            Query.words("a") - other


def test_a_vector_is_not_shown():
    assert "0.123" not in repr(Query.vector([0.123, 0.456]))
