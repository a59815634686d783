"""Fixed noise for tests that measure it, so that they cannot fail by chance; and mechanisms with half of theirs."""

from __future__ import annotations

import numpy as np
import pytest

from unseen.dp.gaussian import Gaussian
from unseen.dp.mechanism import Mechanism
from unseen.dp.metric import MetricVonMisesFisher
from unseen.dp.privunit import PrivUnit


@pytest.fixture
def fixed_noise(begin_noise_anew) -> None:
    """Noise as random as ever, but the same on every run."""
    begin_noise_anew()


class HalfGaussian(Gaussian):
    """Half the standard deviation of what it claims."""

    @property
    def deviation(self) -> float:
        return super().deviation / 2


def with_half_the_noise(mechanism: Mechanism) -> Mechanism:
    """A mechanism with half the noise of another: half the deviation, or twice the concentration or epsilon."""
    match mechanism:
        case PrivUnit():
            return PrivUnit(2 * mechanism.epsilon)
        case Gaussian():
            return HalfGaussian(mechanism.epsilon, mechanism.delta)
        case MetricVonMisesFisher():
            return MetricVonMisesFisher(2 * mechanism.epsilon_per_distance)
    raise NotImplementedError(mechanism)


@pytest.fixture
def half_the_noise():
    return with_half_the_noise


def made_up_vectors(count: int, dimension: int, seed: int = 7) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)


@pytest.fixture
def vectors():
    return made_up_vectors
