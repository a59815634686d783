"""Promises of ``unseen.he.noise``: no score wraps, and the numbers in the documents are the formula's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from unseen.he.noise import noise_std, score_error_std, wrap_probability_log2
from unseen.he.packing import Packing, factors
from unseen.params import N2048_Q29, N2048_Q29_FINE, PUBLISHED


@pytest.mark.parametrize("parameters", PUBLISHED, ids=lambda p: p.name)
@pytest.mark.parametrize("dimension", [8, 512, 4096])
def test_a_score_wraps_with_probability_below_2_to_the_minus_100(parameters, dimension) -> None:
    """A trillion queries over a million rows see 2^60 scores: one of them wraps with probability 2^-40."""
    for factor in factors(parameters.ring_degree, dimension):
        assert wrap_probability_log2(parameters, Packing(parameters.ring_degree, dimension, factor)) < -100


@pytest.mark.parametrize("factor", [1, 4, 16])
def test_score_errors_known_answer(factor) -> None:
    packing = Packing(2048, 512, factor)
    assert score_error_std(N2048_Q29, packing) == pytest.approx(0.00186, abs=0.00002)
    assert score_error_std(N2048_Q29_FINE, packing) < 0.6 * score_error_std(N2048_Q29, packing)
    assert noise_std(N2048_Q29, packing) < score_error_std(N2048_Q29, packing)


def test_without_head_room_nothing_is_promised() -> None:
    packing = Packing(2048, 512, 4)
    assert wrap_probability_log2(replace(N2048_Q29, query_range=1.0), packing) == 0.0
    assert wrap_probability_log2(replace(N2048_Q29, query_range=0.96), packing) > -100
