"""Metric differential privacy on the sphere: noise whose promise fades with distance. Not differential privacy.

The released point u has density proportional to exp(kappa <u, v>): von Mises and Fisher's distribution around the true
vector v. For two vectors v and w the likelihoods differ by at most exp(kappa |v - w|): kappa per unit of Euclidean
distance (Weggenmann and Kerschbaum, "Differential Privacy for Directional Data", CCS 2021). Vectors close together are
hard to tell apart; vectors far apart are told apart easily: between any two, epsilon is 2 kappa, and that is what an
event states and a ledger charges.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, sqrt
from typing import ClassVar

from unseen.dp.event import Event
from unseen.dp.mechanism import Float32Array, Float64Array, Mechanism, require_epsilon
from unseen.dp.sphere import Heights, points_at, to_grid

DIAMETER = 2.0
"""The largest Euclidean distance between two unit vectors."""
ARITHMETIC_EPSILON = 1e-6
"""Kept back from the worst-case epsilon for floating point, as in PrivUnit."""
TERMS = 10_000


@dataclass(frozen=True)
class MetricVonMisesFisher(Mechanism):
    """Metric differential privacy: ``epsilon_per_distance`` for each unit of distance between unit vectors."""

    name: ClassVar[str] = "metric von Mises-Fisher"
    version: ClassVar[int] = 1

    epsilon_per_distance: float

    def __post_init__(self) -> None:
        require_epsilon(DIAMETER * self.epsilon_per_distance)

    @property
    def kappa(self) -> float:
        """The concentration."""
        return self.epsilon_per_distance - ARITHMETIC_EPSILON / DIAMETER

    def event(self, dimension: int) -> Event:
        parameters = (("dimension", float(dimension)), ("kappa", self.kappa))
        return Event(self.name, self.version, DIAMETER * self.epsilon_per_distance, 0.0, parameters)

    def unbiasing_scale(self, dimension: int) -> float:
        return 1 / self.expected_cosine(dimension)

    def expected_cosine(self, dimension: int) -> float:
        return mean_cosine(self.kappa, dimension)

    def _noised(self, units: Float64Array) -> Float32Array:
        heights = Heights((units.shape[1] - 3) / 2, self.kappa, -1.0).sample(len(units))
        return to_grid(points_at(units, heights))


def mean_cosine(kappa: float, dimension: int) -> float:
    """E[<u, v>] = I_{d/2}(kappa) / I_{d/2 - 1}(kappa), by the continued fraction of the Bessel ratio (DLMF 10.33.1).

    r = 1 / (2 nu / kappa + 1 / (2 (nu + 1) / kappa + ...)) with nu = d/2, evaluated from a tail that no longer counts.
    """
    nu = dimension / 2
    terms = min(TERMS, int(4 * kappa) + 200)
    order = 2 * (nu + terms) / kappa
    ratio = 2 / (order + sqrt(order * order + 4)) if order < inf else 0.0
    for n in range(terms - 1, -1, -1):
        ratio = 1 / (2 * (nu + n) / kappa + ratio)
    return ratio
