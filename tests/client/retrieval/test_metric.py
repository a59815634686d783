"""Metrics: what rows become, and that one inner product with them gives what plain arithmetic gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unseen.errors import InvalidInput, InvalidVector
from unseen_client.retrieval.metric import NAMES, in_own_scale, kept, metric_of


def vectors(seed: int, count: int = 20, dimension: int = 9, scale: float = 3.0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return (random.standard_normal((count, dimension)) * scale * random.random((count, 1))).astype(np.float32)


def longest(rows: np.ndarray) -> float:
    return float(np.linalg.norm(rows, axis=1).max())


def plain(name: str, rows: np.ndarray, point: np.ndarray) -> list[float]:
    """The definitions, number by number."""
    found = []
    for row in rows.astype(float):
        lengths = float(np.sqrt(sum(x * x for x in row)) * np.sqrt(sum(v * v for v in point.astype(float))))
        inner = float(sum(x * v for x, v in zip(row, point, strict=True)))
        found.append(
            {
                "cosine": inner / lengths,
                "dot": inner,
                "l2": -sum((x - v) ** 2 for x, v in zip(row, point.astype(float), strict=True)),
                "l1": -sum(abs(x - v) for x, v in zip(row, point.astype(float), strict=True)),
            }[name]
        )
    return found


def test_known_answers():
    row, point = np.array([[3.0, 4.0]], np.float32), np.array([1.0, 0.0], np.float32)
    assert metric_of("cosine").query(point).vector @ metric_of("cosine").rows(row)[0] == pytest.approx(0.6)
    dot = metric_of("dot", 10)
    assert dot.rows(row)[0] == pytest.approx([0.3, 0.4, np.sqrt(0.75)])
    assert dot.query(point).vector @ dot.rows(row)[0] == pytest.approx(3)
    squared = metric_of("l2", 10)
    assert squared.rows(row)[0] == pytest.approx([0.3, 0.4, -0.75, np.sqrt(0.1875)])
    assert squared.query(point).vector @ squared.rows(row)[0] + squared.query(point).offset == pytest.approx(-20)
    assert metric_of("l1", 10).scores(row.astype(float), point) == pytest.approx([-6])


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=20)
@given(st.integers(0, 10_000), st.floats(1e-3, 1e3))
def test_the_product_with_a_row_is_the_score_that_the_definition_gives(name, seed, scale):
    rows, point = vectors(seed, scale=scale), vectors(seed + 1, 1, scale=scale)[0]
    metric = metric_of(name, longest(rows))
    query = metric.query(point)
    expected = plain("l2" if name == "l1" else name, rows, point)
    tolerance = 1e-9 * np.abs(expected).max() + 1e-9 * metric.longest**2
    assert metric.rows(rows) @ query.vector + query.offset == pytest.approx(expected, rel=1e-6, abs=tolerance)
    exact = plain(name, rows, point)
    assert metric.scores(rows.astype(float), point) == pytest.approx(exact, rel=1e-6, abs=tolerance)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=20)
@given(st.integers(0, 10_000))
def test_every_row_has_unit_length_so_that_the_server_takes_it(name, seed):
    rows = vectors(seed)
    metric = metric_of(name, longest(rows))
    assert np.linalg.norm(metric.rows(rows), axis=1) == pytest.approx(np.ones(len(rows)))
    assert metric.rows(rows).shape == (20, 9 + metric.extra)


@pytest.mark.parametrize("name", ["dot", "l2", "l1"])
def test_what_a_record_keeps_comes_back_as_long_as_it_was(name):
    rows = vectors(3)
    metric = metric_of(name, 2 * longest(rows))
    halves = kept(metric, metric.rows(rows)).astype(np.float16).astype(np.float32)
    assert in_own_scale(metric, halves) == pytest.approx(rows, rel=1e-3, abs=1e-6 * metric.longest)


@pytest.mark.parametrize("name", ["dot", "l2", "l1"])
def test_a_vector_longer_than_the_collection_takes_is_refused_with_its_number(name):
    rows = np.ones((3, 4), np.float32)
    rows[1] *= 2
    with pytest.raises(InvalidVector, match=r"vector 8 has length 4, the collection takes up to 2; .* longest="):
        metric_of(name, 2).rows(rows, first=7)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused(name, bad):
    rows = np.ones((3, 4), np.float32)
    rows[2, 1] = bad
    with pytest.raises(InvalidVector, match="vector 2 is zero or not finite"):
        metric_of(name, 2).rows(rows)
    with pytest.raises(InvalidVector):
        metric_of(name, 2).query(rows[2])


def test_a_vector_of_zeros_has_a_place_but_no_direction():
    zero = np.zeros((1, 4), np.float32)
    with pytest.raises(InvalidVector, match="zero"):
        metric_of("cosine").rows(zero)
    assert np.array_equal(metric_of("dot").rows(zero), [[0, 0, 0, 0, 1]])
    assert np.array_equal(metric_of("l2").rows(zero), [[0, 0, 0, 0, -1, 0]])


def test_other_metrics_and_lengths_are_refused():
    with pytest.raises(InvalidInput, match="cosine, dot, l2, l1"):
        metric_of("hamming")
    for length in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InvalidInput, match="longest"):
            metric_of("l2", length)
