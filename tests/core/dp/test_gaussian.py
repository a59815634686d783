"""The analytic Gaussian: its published table, inverse pairs over grids, other people's numbers, exact integers."""

from __future__ import annotations

import math
from fractions import Fraction

import dp_accounting
import mpmath
import numpy as np
import pytest
from dp_accounting import pld
from hypothesis import given, settings
from hypothesis import strategies as st

from unseen.dp import gaussian
from unseen.dp.analytic_gaussian import gaussian_delta, gaussian_deviation, gaussian_epsilon, gaussian_mu
from unseen.dp.gaussian import DEVIATION_BITS, SENSITIVITY, Gaussian, within_unit_ball
from unseen.dp.mechanism import unit_length
from unseen.errors import InvalidConfiguration

PUBLISHED = {1: 8.449, 2: 4.461, 4: 2.387, 6: 1.672, 8: 1.306, 10: 1.082, 32: 0.432, 128: 0.167, 512: 0.072}


@pytest.mark.parametrize(("epsilon", "deviation"), PUBLISHED.items())
def test_the_noise_is_the_published_one(epsilon: float, deviation: float) -> None:
    assert Gaussian(epsilon).deviation == pytest.approx(deviation, abs=0.0006)
    assert gaussian_deviation(epsilon, 1e-6, SENSITIVITY) == pytest.approx(deviation, abs=0.0006)


def exact_delta(epsilon: float, mu: float) -> mpmath.mpf:
    epsilon, mu = mpmath.mpf(epsilon), mpmath.mpf(mu)
    below = mpmath.exp(epsilon) * mpmath.ncdf(-mu / 2 - epsilon / mu)
    return mpmath.ncdf(mu / 2 - epsilon / mu) - below


@pytest.mark.parametrize("mu", [0.01, 0.2, 1, 3, 10, 40])
@pytest.mark.parametrize("epsilon", [-2, 0, 0.01, 1, 8, 64, 500])
def test_delta_agrees_with_mpmath(epsilon: float, mu: float) -> None:
    with mpmath.workdps(200):
        exact = exact_delta(epsilon, mu)
    assert gaussian_delta(epsilon, mu) == pytest.approx(float(exact), rel=1e-8, abs=1e-300)


@pytest.mark.parametrize("delta", [1e-12, 1e-6, 1e-3])
@pytest.mark.parametrize("epsilon", [0.01, 0.1, 1, 10, 100, 2000])
def test_noise_and_epsilon_undo_each_other(epsilon: float, delta: float) -> None:
    mu = gaussian_mu(epsilon, delta)
    assert gaussian_epsilon(delta, mu) == pytest.approx(epsilon, rel=1e-8)
    assert gaussian_delta(epsilon, mu) == pytest.approx(delta, rel=1e-6)
    assert gaussian_delta(epsilon, mu) <= delta


@given(st.floats(0.05, 1000), st.floats(1e-12, 1e-3))
@settings(deadline=None)
def test_the_claim_holds_to_two_hundred_digits(epsilon: float, delta: float) -> None:
    mu = SENSITIVITY / Gaussian(epsilon, delta).deviation
    with mpmath.workdps(200):
        assert float(exact_delta(epsilon, mu)) <= delta


@pytest.mark.parametrize("epsilon", [0.5, 1, 4, 10, 32])
def test_google_s_accountant_asks_for_the_same_noise(epsilon: float) -> None:
    theirs = dp_accounting.get_sigma_gaussian(epsilon, 1e-6) * SENSITIVITY
    assert Gaussian(epsilon).deviation == pytest.approx(theirs, rel=1e-5)


def test_google_s_loss_distribution_gives_the_same_epsilon() -> None:
    loss = pld.privacy_loss_distribution.from_gaussian_mechanism(Gaussian(4.0).deviation / SENSITIVITY)
    assert loss.get_epsilon_for_delta(1e-6) == pytest.approx(4.0, rel=1e-3)


def test_without_noise_nothing_is_private_and_without_signal_everything_is() -> None:
    assert gaussian_delta(1.0, 0.0) == 0.0
    assert gaussian_delta(-1.0, 0.0) == pytest.approx(1 - math.exp(-1))
    assert gaussian_delta(1.0, 1e5) == pytest.approx(1.0)
    assert gaussian_epsilon(1e-6, 1e-9) == 0.0


@given(st.integers(0, 10_000), st.sampled_from([0.034, 0.1, 1.0, 8.4, 600.0]), st.sampled_from([4, 64, 512]))
@settings(max_examples=60, deadline=None)
def test_no_quantised_vector_is_longer_than_a_unit_vector(seed: int, deviation: float, dimension: int) -> None:
    units = unit_length(np.random.default_rng(seed).standard_normal((8, dimension)).astype(np.float32))
    one = 2**DEVIATION_BITS / Fraction(deviation)
    for row, unit in zip(within_unit_ball(units, deviation).tolist(), units, strict=True):
        assert sum(value * value for value in row) <= one * one
        assert np.linalg.norm(np.array(row) / float(one) - unit) < 0.002 + math.sqrt(dimension) / float(one)


@pytest.mark.usefixtures("fixed_noise")
@pytest.mark.parametrize("epsilon", [1.0, 32.0])
def test_releases_are_the_vector_and_noise_of_the_claimed_deviation(epsilon: float, vectors) -> None:
    mechanism = Gaussian(epsilon)
    given_vectors = vectors(400, 256)
    released, event = mechanism.release_batch(given_vectors)
    noise = released.astype(np.float64) - unit_length(given_vectors)
    assert noise.std() == pytest.approx(mechanism.deviation, rel=0.01)
    assert noise.mean() == pytest.approx(0, abs=4 * mechanism.deviation / noise.size**0.5)
    assert event.parameter("deviation") == mechanism.deviation


def test_what_is_released_is_whole_grid_steps_whatever_the_vector(vectors, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gaussian, "rounded_normals", lambda shape, bits: np.full(shape, 3))
    mechanism = Gaussian(8.0)
    step = mechanism.deviation / 2**DEVIATION_BITS
    released, _ = mechanism.release_batch(vectors(20, 64))
    steps = released.astype(np.float64) / step
    assert np.abs(steps - np.rint(steps)).max() < 0.1  # float32 keeps 24 bits of the exact integer multiple


@pytest.mark.parametrize("delta", [0.0, 1e-16, 0.01, float("nan")])
def test_a_delta_that_protects_nobody_is_refused(delta: float) -> None:
    with pytest.raises(InvalidConfiguration, match="delta"):
        Gaussian(1.0, delta)
