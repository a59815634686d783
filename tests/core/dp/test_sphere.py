"""Heights follow their density, points stand at their heights, and the grid holds what it should."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

from unseen.dp.cosine_law import integrated
from unseen.dp.sphere import Heights, directions, grid_step, points_at, to_grid

DENSITIES = [
    Heights(0.5, 0.0, -1.0),
    Heights(0.5, 0.0, 0.999),
    Heights(254.5, 0.0, -1.0),
    Heights(254.5, 0.0, 0.0),
    Heights(254.5, 0.0, 0.02),
    Heights(254.5, 0.0, 0.6),
    Heights(254.5, 341.0, -1.0),
    Heights(0.5, 3.0, -1.0),
    Heights(0.5, 900.0, -1.0),
    Heights(2046.5, 0.01, -1.0),
]


@pytest.mark.usefixtures("fixed_noise")
@pytest.mark.parametrize("heights", DENSITIES, ids=str)
def test_heights_follow_their_density(heights: Heights) -> None:
    sample = heights.sample(20_000)
    assert stats.kstest(sample, integrated(heights)).pvalue > 0.001
    assert sample.min() >= heights.low
    assert np.abs(sample).max() < 1


@pytest.mark.parametrize("heights", DENSITIES, ids=str)
def test_the_envelope_is_never_below_the_density(heights: Heights) -> None:
    left, left_rate, right, right_rate = heights._envelope
    points = np.linspace(max(heights.low, -1 + 1e-9), 1 - 1e-9, 100_001)
    envelope = np.zeros(len(points))
    for outside, rate in ((left - points, left_rate), (points - right, right_rate)):
        envelope[outside > 0] = -outside[outside > 0] * rate
    assert (envelope - heights.log_density(points)).min() > -1e-9


@pytest.mark.parametrize("heights", DENSITIES, ids=str)
def test_at_least_half_of_what_is_proposed_is_kept(heights: Heights) -> None:
    left, left_rate, right, right_rate = heights._envelope
    area, _ = integrate.quad(
        lambda t: float(np.exp(heights.log_density(np.array([t]))[0])), heights.low, 1, points=[heights.mode], limit=500
    )
    assert area / (1 / left_rate + right - left + 1 / right_rate) > 0.5


@pytest.mark.usefixtures("fixed_noise")
@pytest.mark.parametrize("dimension", [4, 16, 512])
def test_the_height_of_a_direction_has_the_density_of_the_sphere(dimension: int) -> None:
    points = directions(5000, dimension)
    assert np.abs(np.linalg.norm(points, axis=1) - 1).max() < 1e-12
    law = integrated(Heights((dimension - 3) / 2, 0.0, -1.0))
    assert stats.kstest(points[:, 0], law).pvalue > 0.001
    assert stats.kstest(points.sum(axis=1) / dimension**0.5, law).pvalue > 0.001


@pytest.mark.parametrize("dimension", [4, 512, 4096])
@pytest.mark.parametrize("height", [-1 + 1e-12, -0.5, 0.0, 0.3, 0.999999])
def test_points_stand_at_their_height_to_the_last_bits(dimension: int, height: float, vectors) -> None:
    poles = vectors(20, dimension).astype(np.float64)
    poles /= np.linalg.norm(poles, axis=1, keepdims=True)
    points = points_at(poles, np.full(20, height))
    assert np.abs((points * poles).sum(axis=1) - height).max() < 2.0**-49
    assert np.abs(np.linalg.norm(points, axis=1) - 1).max() < 2.0**-49


@pytest.mark.parametrize("dimension", [4, 16, 100, 512, 768, 4096])
def test_the_grid_is_a_power_of_two_that_a_float32_holds_and_costs_a_ten_thousandth(dimension: int) -> None:
    step = grid_step(dimension)
    assert np.log2(step) == int(np.log2(step))
    assert 32 <= 1 / (step * dimension**0.5) <= 64
    points = directions(100, dimension)
    rounded = to_grid(points)
    assert rounded.dtype == np.float32
    assert np.array_equal(rounded.astype(np.float64), np.rint(points / step) * step)
    cosines = (rounded * points).sum(axis=1) / np.linalg.norm(rounded, axis=1)
    assert cosines.min() > 1 - 2e-4
