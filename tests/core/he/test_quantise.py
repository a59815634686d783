"""Promises of ``unseen.he.quantise``: unit length in, bounded small integers out, cosines back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from unseen.errors import InvalidVector
from unseen.he.plain import plain_scores
from unseen.he.quantise import check_rows, quantise_query, quantise_rows, to_cosines
from unseen.params import N2048_Q29, N2048_Q29_FINE, PUBLISHED

FINITE = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 4), st.sampled_from([8, 24, 300])),
    elements=st.floats(-1000, 1000, width=32),
).filter(lambda matrix: bool((np.abs(matrix).max(axis=1) > 1e-3).all()))


def test_known_answer() -> None:
    rows = quantise_rows(N2048_Q29, np.array([[3, 0, -4], [0, 0, 2]], np.float32))
    assert rows.dtype == np.int16
    assert rows.tolist() == [[153, 0, -204], [0, 0, 255]]
    query = quantise_query(N2048_Q29, np.array([0, 0, -7], np.float32))
    assert query.dtype == np.int64
    assert query.tolist() == [0, 0, round(-0.9 * (1 << 23) / 255)]


@pytest.mark.parametrize("parameters", PUBLISHED, ids=lambda p: p.name)
def test_a_vector_has_cosine_one_with_itself(parameters) -> None:
    vector = np.random.default_rng(1).standard_normal(512).astype(np.float32)
    raw = plain_scores(quantise_rows(parameters, vector[None]), quantise_query(parameters, vector))
    assert to_cosines(parameters, raw) == pytest.approx([1.0], abs=1e-3)


@pytest.mark.parametrize("parameters", PUBLISHED, ids=lambda p: p.name)
@given(vectors=FINITE)
@settings(max_examples=60, deadline=None)
def test_agrees_with_float_cosines(parameters, vectors) -> None:
    rows = quantise_rows(parameters, vectors)
    raw = plain_scores(rows, quantise_query(parameters, vectors[0]))
    wide = vectors.astype(np.float64)
    expected = wide @ wide[0] / (np.linalg.norm(wide, axis=1) * np.linalg.norm(wide[0]))
    worst = 0.5 * np.sqrt(vectors.shape[1]) * (1 / parameters.row_scale + 1 / parameters.query_scale) + 0.02
    assert np.abs(to_cosines(parameters, raw) - expected).max() <= worst


@pytest.mark.parametrize("parameters", PUBLISHED, ids=lambda p: p.name)
@given(vectors=FINITE)
@settings(max_examples=60, deadline=None)
def test_what_the_device_quantises_the_server_accepts(parameters, vectors) -> None:
    check_rows(parameters, quantise_rows(parameters, vectors))


def test_a_vector_whose_rounding_passes_the_cap_is_scaled_down() -> None:
    spiky = np.full(4096, 0.51, np.float32)
    spiky[0] = 252.9
    scaled = spiky / np.linalg.norm(spiky) * N2048_Q29.row_scale
    assert np.linalg.norm(np.rint(scaled)) > N2048_Q29.row_norm_cap
    row = quantise_rows(N2048_Q29, spiky[None])
    check_rows(N2048_Q29, row)
    assert np.corrcoef(row[0], spiky)[0, 1] > 0.99


@given(direction=FINITE)
@settings(max_examples=60, deadline=None)
def test_no_accepted_row_can_wrap_a_score(direction) -> None:
    for parameters in PUBLISHED:
        query = quantise_query(parameters, direction[0])
        largest = np.linalg.norm(query.astype(np.float64)) * parameters.row_norm_cap
        assert largest < 0.97 * parameters.plain_modulus / 2


def test_batches_larger_than_one_run_are_seamless() -> None:
    vectors = np.random.default_rng(2).standard_normal((4097, 8)).astype(np.float32)
    rows = quantise_rows(N2048_Q29_FINE, vectors)
    assert (rows[4090:] == quantise_rows(N2048_Q29_FINE, vectors[4090:])).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_vectors_that_are_not_finite_are_refused_by_number(bad) -> None:
    vectors = np.ones((5000, 8), np.float32)
    vectors[4444, 3] = bad
    with pytest.raises(InvalidVector, match="vector 4444 "):
        quantise_rows(N2048_Q29, vectors)
    with pytest.raises(InvalidVector):
        quantise_query(N2048_Q29, vectors[4444])


def test_zero_vectors_and_wrong_shapes_are_refused() -> None:
    with pytest.raises(InvalidVector):
        quantise_rows(N2048_Q29, np.zeros((1, 8), np.float32))
    with pytest.raises(InvalidVector):
        quantise_query(N2048_Q29, np.zeros(8, np.float32))
    with pytest.raises(InvalidVector):
        quantise_rows(N2048_Q29, np.ones(8, np.float32))
    with pytest.raises(InvalidVector):
        quantise_query(N2048_Q29, np.ones((1, 8), np.float32))


def test_the_server_refuses_rows_over_the_cap_empty_or_of_another_type() -> None:
    good = np.full((3, 8), 90, np.int16)
    check_rows(N2048_Q29, good)
    for bad_value in (92, 0, -32768):
        bad = good.copy()
        bad[1] = bad_value
        with pytest.raises(InvalidVector, match="row 1 "):
            check_rows(N2048_Q29, bad)
    with pytest.raises(InvalidVector):
        check_rows(N2048_Q29, good.astype(np.int32))
    with pytest.raises(InvalidVector):
        check_rows(N2048_Q29, good[0])
