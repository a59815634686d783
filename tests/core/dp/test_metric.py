"""Metric privacy on the sphere: the mean by Bessel functions, the promise by distance, releases that follow the law."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unseen.dp.metric import MetricVonMisesFisher, mean_cosine


@pytest.mark.parametrize("dimension", [4, 16, 64, 512, 2048])
@pytest.mark.parametrize("kappa", [0.005, 0.5, 8, 42, 341, 1000])
def test_the_mean_cosine_is_a_ratio_of_bessel_functions(kappa: float, dimension: int) -> None:
    with mpmath.workdps(40):
        exact = mpmath.besseli(mpmath.mpf(dimension) / 2, kappa) / mpmath.besseli(mpmath.mpf(dimension) / 2 - 1, kappa)
    assert mean_cosine(kappa, dimension) == pytest.approx(float(exact), rel=1e-12)


@pytest.mark.parametrize(
    ("kappa", "dimension", "cosine"), [(42, 64, 0.5), (86, 64, 0.7), (341, 512, 0.5), (701, 512, 0.7)]
)
def test_the_cost_of_a_cosine_is_the_published_one(kappa: float, dimension: int, cosine: float) -> None:
    assert mean_cosine(kappa, dimension) == pytest.approx(cosine, abs=0.005)


@pytest.mark.usefixtures("fixed_noise")
@pytest.mark.parametrize(("kappa", "dimension"), [(0.5, 4), (20.0, 4), (10.0, 64), (341.0, 512), (1000.0, 16)])
def test_releases_point_as_far_as_claimed(kappa: float, dimension: int, vectors) -> None:
    mechanism = MetricVonMisesFisher(kappa)
    vector = vectors(1, dimension)[0]
    released, _ = mechanism.release_batch(np.repeat(vector[None], 4000, axis=0))
    cosines = released.astype(np.float64) @ (vector / np.linalg.norm(vector))
    assert cosines.mean() == pytest.approx(mechanism.expected_cosine(dimension), abs=4 * cosines.std() / 4000**0.5)


@given(st.lists(st.floats(-1, 1), min_size=12, max_size=12), st.floats(0.1, 900))
def test_likelihoods_differ_by_at_most_kappa_times_the_distance(numbers: list[float], kappa: float) -> None:
    points = np.array(numbers).reshape(3, 4)
    lengths = np.linalg.norm(points, axis=1, keepdims=True)
    if lengths.min() < 1e-3:
        return
    u, v, w = points / lengths
    assert abs(kappa * (u @ v - u @ w)) <= kappa * np.linalg.norm(v - w) + 1e-9


def test_the_event_states_the_worst_case_and_the_name_says_metric() -> None:
    event = MetricVonMisesFisher(16.0).event(512)
    assert event.epsilon == 32.0
    assert "metric" in event.mechanism
    assert 2 * event.parameter("kappa") <= event.epsilon
