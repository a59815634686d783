"""Promises of ``unseen.he.owner.noise``: scores precise enough for search, and never wrapped around."""

from __future__ import annotations

import math

import pytest

from unseen.he.owner.noise import noise_std, score_error_std, wrap_probability_log2
from unseen.he.owner.scan import MOST_ADDITIONS
from unseen.he.packing import Packing, factors
from unseen.params import N2048_Q31_OWNER as OWNER

DIMENSIONS = (8, 512, 4096)
PACKINGS = [
    Packing(OWNER.ring_degree, dimension, factor)
    for dimension in DIMENSIONS
    for factor in factors(OWNER.ring_degree, dimension)
]


def test_the_score_error_is_what_was_worked_out_by_hand() -> None:
    """k = 8, d = 512; everything over 0.97 q/2 = 1.2206e9."""
    q, a = 40961 * 61441, 6144
    b = 0.97 * q / 2 / a
    sigma = math.sqrt(10.5)
    rows, query, both = sigma * b, sigma * a * 16, 10.5 * math.sqrt(2048 * 64)
    c0, c1, c2 = (q / 2**bits / math.sqrt(12) for bits in (12, 17, 22))
    switch = math.hypot(c0, c1 * math.sqrt(2048 * 2 / 3), c2 * math.sqrt(2) * 2048 * 2 / 3)
    expected = math.hypot(rows, query, both, switch) / (0.97 * q / 2)
    assert noise_std(OWNER, Packing(2048, 512, 8)) == pytest.approx(expected, rel=1e-9)
    assert expected == pytest.approx(0.00069, abs=0.00001)


@pytest.mark.parametrize("packing", PACKINGS, ids=lambda p: f"{p.dimension}-{p.factor}")
def test_the_score_error_stays_below_a_thousandth(packing: Packing) -> None:
    assert score_error_std(OWNER, packing) < 0.001


@pytest.mark.parametrize("dimension", [8, 512, 2048])
def test_side_blocks_stay_below_a_thousandth_with_as_many_additions_as_are_allowed(dimension: int) -> None:
    """The errors of the packed query's chunks add up as rows of a block would; below k = 4 a little more than that."""
    for factor in factors(OWNER.ring_degree, dimension):
        packed = Packing(OWNER.ring_degree, dimension, factor)
        side = Packing(OWNER.ring_degree, dimension, factors(OWNER.ring_degree, dimension)[-1])
        assert score_error_std(OWNER, side, MOST_ADDITIONS, packed.chunks) < (0.001 if factor >= 4 else 0.0012)
        assert wrap_probability_log2(OWNER, side, MOST_ADDITIONS, packed.chunks) < -250


@pytest.mark.parametrize("packing", PACKINGS, ids=lambda p: f"{p.dimension}-{p.factor}")
def test_a_score_wraps_around_less_than_once_in_2_to_the_300(packing: Packing) -> None:
    assert wrap_probability_log2(OWNER, packing) < -300


def test_more_additions_and_more_chunks_mean_more_noise() -> None:
    packing = Packing(2048, 512, 512)
    errors = [noise_std(OWNER, packing, additions) for additions in (1, 2, 3)]
    assert errors == sorted(errors)
    assert noise_std(OWNER, packing, 1, 64) > errors[0]
    assert noise_std(OWNER, packing, 3, 64) > 0.001, "which is why three additions are not allowed"
