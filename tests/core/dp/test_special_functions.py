"""Every special function against mpmath, to fifty digits, where epsilon depends on it."""

from __future__ import annotations

import math

import mpmath
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unseen.dp.special_functions import (
    log1mexp,
    log_beta,
    log_incomplete_beta,
    log_normal_cdf,
    smallest_true,
    softplus,
)


@pytest.fixture(autouse=True)
def fifty_digits():
    with mpmath.workdps(50):
        yield


@pytest.mark.parametrize("x", [-300, -40, -20.1, -19.9, -8, -3, -1, -0.1, 0, 0.5, 3, 4.9, 5.1, 9])
def test_the_log_of_the_normal_cdf_keeps_its_digits_in_both_tails(x: float) -> None:
    assert log_normal_cdf(x) == pytest.approx(float(mpmath.log(mpmath.ncdf(x))), rel=1e-13)


@pytest.mark.parametrize("dimension", [4, 16, 64, 512, 768, 2048, 4096])
@pytest.mark.parametrize("gamma", [1e-6, 0.001, 0.05, 0.2, 0.5, 0.9, 0.9999])
def test_the_log_of_the_cap_measure_agrees_with_mpmath(dimension: int, gamma: float) -> None:
    square = mpmath.mpf(gamma) ** 2
    exact = mpmath.log(mpmath.betainc(mpmath.mpf(dimension - 1) / 2, 0.5, 0, 1 - square, regularized=True))
    got = log_incomplete_beta(math.log1p(-(gamma**2)), 2 * math.log(gamma), (dimension - 1) / 2, 0.5)
    assert got == pytest.approx(float(exact), abs=1e-10, rel=1e-11)


@given(st.floats(0.001, 0.999), st.floats(0.3, 80), st.floats(0.3, 80))
def test_the_incomplete_beta_agrees_with_mpmath_anywhere(x: float, a: float, b: float) -> None:
    with mpmath.workdps(50):
        exact = mpmath.log(mpmath.betainc(a, b, 0, x, regularized=True))
    assert log_incomplete_beta(math.log(x), math.log1p(-x), a, b) == pytest.approx(float(exact), abs=1e-9, rel=1e-9)


def test_the_incomplete_beta_ends_at_zero_and_one() -> None:
    assert log_incomplete_beta(-math.inf, 0.0, 2, 3) == -math.inf
    assert log_incomplete_beta(0.0, -math.inf, 2, 3) == 0.0


@given(st.floats(0.01, 500), st.floats(0.01, 500))
def test_the_log_of_beta_agrees_with_mpmath(a: float, b: float) -> None:
    with mpmath.workdps(50):
        exact = float(mpmath.log(mpmath.beta(a, b)))
    assert log_beta(a, b) == pytest.approx(exact, rel=1e-11, abs=1e-11)


@pytest.mark.parametrize("x", [-800.0, -50.0, -1.0, -0.69, -1e-5, -1e-15])
def test_log1mexp_keeps_its_digits(x: float) -> None:
    assert log1mexp(x) == pytest.approx(float(mpmath.log(1 - mpmath.exp(x))), rel=1e-14)


@pytest.mark.parametrize("x", [-900.0, -40.0, -1.0, 0.0, 1.0, 40.0, 900.0])
def test_softplus_keeps_its_digits(x: float) -> None:
    assert softplus(x) == pytest.approx(float(mpmath.log1p(mpmath.exp(x))), rel=1e-14)


@given(st.floats(-100, 100))
def test_smallest_true_finds_the_turn_and_returns_the_true_side(turn: float) -> None:
    found = smallest_true(lambda x: x >= turn, -101, 101)
    assert found >= turn
    assert found == pytest.approx(turn, abs=1e-12)
