"""PrivUnit: its exact epsilon by three ways, its published cosines, and releases that follow its law."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from unseen.dp.privunit import ARITHMETIC_EPSILON, Cap, PrivUnit, _coins, best_cap
from unseen.dp.sphere import grid_step


@pytest.mark.parametrize(
    ("epsilon", "cosine"),
    [(1, 0.018), (2, 0.035), (4, 0.067), (6, 0.096), (8, 0.121), (10, 0.143), (32, 0.306), (128, 0.610), (512, 0.927)],
)
def test_the_expected_cosine_is_the_published_one_at_512_dimensions(epsilon: float, cosine: float) -> None:
    assert PrivUnit(epsilon).expected_cosine(512) == pytest.approx(cosine, abs=0.0006)


@pytest.mark.parametrize("dimension", [4, 64, 512, 2048, 4096])
@pytest.mark.parametrize("epsilon", [0.01, 0.5, 1, 8, 32, 128, 1024, 2048])
def test_the_claimed_epsilon_is_above_the_exact_one_to_fifty_digits(epsilon: float, dimension: int) -> None:
    cap = PrivUnit(epsilon).cap(dimension)
    with mpmath.workdps(60):
        square = mpmath.mpf(cap.gamma) ** 2
        q = mpmath.betainc(mpmath.mpf(dimension - 1) / 2, 0.5, 0, 1 - square, regularized=True) / 2
        exact = float(mpmath.mpf(cap.log_odds) + mpmath.log((1 - q) / q))
    assert epsilon - 2 * ARITHMETIC_EPSILON < exact < epsilon - ARITHMETIC_EPSILON / 2


def test_the_cap_measure_is_the_plain_integral_of_the_height_density() -> None:
    for dimension, gamma in ((4, 0.3), (16, 0.1), (64, 0.4)):

        def density(t: float, power: float = (dimension - 3) / 2) -> float:
            return float((1 - t * t) ** power)

        part = integrate.quad(density, gamma, 1)[0] / integrate.quad(density, -1, 1)[0]
        assert Cap(dimension, gamma, 0.0).log_measure == pytest.approx(math.log(part), abs=1e-8)


def test_the_mean_is_the_plain_integral_of_heights() -> None:
    for dimension, gamma, log_odds in ((4, 0.3, 2.0), (16, 0.1, -1.0), (64, 0.4, 3.0)):
        cap = Cap(dimension, gamma, log_odds)

        def height(t: float, power: float = (dimension - 3) / 2) -> float:
            return float(t * (1 - t * t) ** power)

        whole = integrate.quad(lambda t, power=(dimension - 3) / 2: (1 - t * t) ** power, -1, 1)[0]
        q, p = math.exp(cap.log_measure), cap.probability
        above, below = integrate.quad(height, gamma, 1)[0] / whole, integrate.quad(height, -1, gamma)[0] / whole
        assert cap.mean == pytest.approx(p * above / q + (1 - p) * below / (1 - q), rel=1e-7)


@pytest.mark.parametrize(("epsilon", "dimension"), [(0.1, 8), (1.0, 512), (8.0, 512), (64.0, 128), (512.0, 512)])
def test_no_other_cap_of_the_same_epsilon_is_better(epsilon: float, dimension: int) -> None:
    best = best_cap(epsilon, dimension)
    assert best.epsilon == pytest.approx(epsilon, rel=1e-12)
    for gamma in np.linspace(0, 0.999, 1500).tolist():
        other = Cap(dimension, gamma, epsilon - Cap(dimension, gamma, 0.0).epsilon)
        assert other.mean <= best.mean * (1 + 1e-12)


@given(st.floats(0.05, 2000), st.integers(4, 4096))
@settings(max_examples=25, deadline=None)
@example(1003.0, 103)
def test_more_epsilon_means_more_cosine(epsilon: float, dimension: int) -> None:
    less, more = best_cap(epsilon, dimension).mean, best_cap(epsilon * 1.02, dimension).mean
    assert 0 < less <= more + 1e-8  # the caps are sought to 1e-9, and past epsilon 1000 both are within that of 1
    assert more < 1


@pytest.mark.usefixtures("fixed_noise")
@pytest.mark.parametrize(("epsilon", "dimension"), [(0.5, 4), (2.0, 16), (8.0, 512), (128.0, 512), (1024.0, 256)])
def test_releases_point_as_far_as_claimed_and_scale_back_to_the_vector(epsilon: float, dimension: int, vectors) -> None:
    mechanism, count = PrivUnit(epsilon), 3000
    vector = vectors(1, dimension)[0]
    unit = vector / np.linalg.norm(vector)
    released, _ = mechanism.release_batch(np.repeat(vector[None], count, axis=0))
    cosines = released.astype(np.float64) @ unit
    assert cosines.mean() == pytest.approx(mechanism.expected_cosine(dimension), abs=4 * cosines.std() / count**0.5)
    mean = released.astype(np.float64).mean(axis=0) * mechanism.unbiasing_scale(dimension)
    noise = mechanism.unbiasing_scale(dimension) / count**0.5
    assert np.linalg.norm(mean - unit) == pytest.approx(0, abs=1.5 * noise)


@pytest.mark.usefixtures("fixed_noise")
def test_the_part_inside_the_cap_is_p(vectors) -> None:
    mechanism, dimension, count = PrivUnit(3.0), 64, 20_000
    cap = mechanism.cap(dimension)
    vector = vectors(1, dimension)[0]
    released, _ = mechanism.release_batch(np.repeat(vector[None], count, axis=0))
    inside = int((released @ (vector / np.linalg.norm(vector)) >= cap.gamma).sum())
    assert stats.binomtest(inside, count, cap.probability).pvalue > 0.001


@pytest.mark.usefixtures("fixed_noise")
def test_outside_the_cap_every_direction_is_as_likely(vectors) -> None:
    mechanism = PrivUnit(0.5)
    vector = np.eye(8, dtype=np.float32)[0]
    released, _ = mechanism.release_batch(np.repeat(vector[None], 20_000, axis=0))
    across = released[:, 1:]
    assert np.abs(across.mean(axis=0)).max() < 4 * across.std() / 20_000**0.5
    assert np.cov(across.T) == pytest.approx(np.eye(7) * across.var(), abs=0.01)


def plain_twin(cap: Cap, pole: np.ndarray, count: int) -> np.ndarray:
    """Algorithm 1 of the paper as it is written: choose a side, then draw from the sphere until a point is there."""
    random = np.random.default_rng(11)
    points = []
    for inside in random.random(count) < cap.probability:
        while True:
            point = random.standard_normal(len(pole))
            point /= np.linalg.norm(point)
            if (point @ pole >= cap.gamma) == inside:
                points.append(point)
                break
    return np.array(points)


@pytest.mark.usefixtures("fixed_noise")
@pytest.mark.parametrize(("epsilon", "dimension"), [(0.5, 4), (3.0, 4), (2.0, 8)])
def test_releases_have_the_law_of_the_plain_twin_s(epsilon: float, dimension: int) -> None:
    mechanism, pole = PrivUnit(epsilon), np.full(dimension, dimension**-0.5)
    plain = plain_twin(mechanism.cap(dimension), pole, 4000)
    released, _ = mechanism.release_batch(np.repeat(pole[None], 4000, axis=0).astype(np.float32))
    # A random tilt of at most half a grid step undoes the steps that a smooth law has not.
    blurred = released + np.random.default_rng(12).uniform(-0.5, 0.5, released.shape) * grid_step(dimension)
    for axis in (pole, np.eye(dimension)[0], np.eye(dimension)[1] - np.eye(dimension)[2]):
        assert stats.ks_2samp(blurred @ axis, plain @ axis).pvalue > 0.001


@pytest.mark.usefixtures("fixed_noise")
@pytest.mark.parametrize("log_odds", [-3.0, -0.2, 0.0, 1.0, 4.0])
def test_coins_have_their_odds(log_odds: float) -> None:
    heads = int(_coins(log_odds, 50_000).sum())
    assert stats.binomtest(heads, 50_000, 1 / (1 + math.exp(-log_odds))).pvalue > 0.001


def test_released_coordinates_are_multiples_of_the_grid(vectors) -> None:
    released, _ = PrivUnit(8.0).release_batch(vectors(50, 512))
    steps = released.astype(np.float64) / grid_step(512)
    assert np.array_equal(steps, np.rint(steps))


def test_the_event_says_what_was_done() -> None:
    event = PrivUnit(8.0).event(512)
    assert (event.mechanism, event.version, event.epsilon, event.delta) == ("privunit", 1, 8.0, 0.0)
    assert (event.unit, event.neighbouring) == ("one image embedding", "replace one")
    cap = Cap(int(event.parameter("dimension")), event.parameter("gamma"), event.parameter("log_odds"))
    assert cap == PrivUnit(8.0).cap(512)
