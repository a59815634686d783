"""What the bench of retrieval holds hits against is what the client computes, and its recall can be less than one."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from bench.retrieval import EXACT, Vectors, recall, weighed
from unseen_client.retrieval.metric import NAMES, metric_of


def vectors(count: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, 7)).astype(np.float32)


def test_every_metric_has_a_plain_definition():
    rows, query = vectors(30), vectors(1, 2)[0]
    for name in NAMES:
        assert EXACT[name](rows, query) == pytest.approx(
            metric_of(name, 9).scores(rows.astype(float), query), rel=1e-4, abs=1e-5
        )


def test_a_fused_query_has_three_parts_of_which_one_is_not_wanted():
    assert weighed(8, 9) == [(1.0, 8), (0.5, 0), (-0.4, 1)]


@pytest.mark.parametrize(("worst", "expected"), [(0, 1.0), (1, 0.9), (10, 0.0)])
def test_recall_is_the_part_of_the_best_that_was_found(worst, expected):
    kind = Vectors("made up", ("l2",), vectors(40), vectors(1, 2))
    order = np.argsort(-EXACT["l2"](kind.rows, kind.queries[0]))
    found = [SimpleNamespace(id=str(at)) for at in [*order[: 10 - worst], *order[30 : 30 + worst]]]
    client = SimpleNamespace(search=lambda name, query, top_k, rerank: found)
    assert recall(client, "c", kind, "l2", [(1.0, 0)], False) == expected
