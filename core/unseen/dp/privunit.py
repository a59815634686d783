"""PrivUnit: noise on the unit sphere with a pure, exact epsilon. The mechanism of choice where vectors are released.

With probability p the released point is uniform on the cap {u : <u, v> >= gamma} around the true vector v, else on the
rest of the sphere (Bhowmick, Duchi, Freudiger, Kapoor and Rogers, 2018, algorithm 1). Of all pure mechanisms for unit
vectors it is the most accurate, once gamma and p are chosen together (Asi, Feldman and Talwar, 2022, arXiv 2205.02466).

    q = P[<u, v> >= gamma] for uniform u = I_{1 - gamma^2}((d-1)/2, 1/2) / 2
    epsilon = log( p/q : (1-p)/(1-q) ) = log_odds(p) + log((1-q)/q)          exactly, for any two vectors
    E[u] = m v,  m = A (p/q - (1-p)/(1-q))
    A = E[<u, v> 1{<u, v> >= gamma}] = (1 - gamma^2)^((d-1)/2) / ((d-1) B(1/2, (d-1)/2))
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import exp, log, log1p
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from unseen.dp.event import Event
from unseen.dp.mechanism import Float32Array, Float64Array, Mechanism, require_epsilon
from unseen.dp.normal import exponentials
from unseen.dp.special_functions import log1mexp, log_beta, log_incomplete_beta, softplus
from unseen.dp.sphere import Heights, directions, points_at, to_grid

ARITHMETIC_EPSILON = 1e-6
"""Kept back from epsilon for what floating point may add before released points are rounded (2^-25 at most)."""
GRID = 256
"""Heights of the cap that are tried before the best one is refined."""
GOLDEN = 0.6180339887498949


@dataclass(frozen=True)
class Cap:
    """The numbers of PrivUnit for one dimension."""

    dimension: int
    gamma: float
    """The cap's height: 0 is a half sphere."""
    log_odds: float
    """log(p / (1 - p))."""

    @property
    def probability(self) -> float:
        """p."""
        return exp(-softplus(-self.log_odds))

    @property
    def log_measure(self) -> float:
        """log q: the part of the sphere that the cap is."""
        if self.gamma == 0:
            return -log(2)
        d, square = self.dimension, self.gamma**2
        return log_incomplete_beta(log1p(-square), log(square), (d - 1) / 2, 0.5) - log(2)

    @property
    def epsilon(self) -> float:
        """The exact epsilon."""
        return self.log_odds + log1mexp(self.log_measure) - self.log_measure

    @property
    def mean(self) -> float:
        """m: the expected cosine of a released point with the true one."""
        d, log_q = self.dimension, self.log_measure
        log_a = (d - 1) / 2 * log1p(-(self.gamma**2)) - log(d - 1) - log_beta(0.5, (d - 1) / 2)
        inside = exp(log_a - softplus(-self.log_odds) - log_q)
        return inside - exp(log_a - softplus(self.log_odds) - log1mexp(log_q))


@lru_cache(maxsize=64)
def best_cap(epsilon: float, dimension: int) -> Cap:
    """The cap with the largest mean among those with this exact epsilon."""

    def cap(gamma: float) -> Cap:
        half_open = Cap(dimension, gamma, 0.0)
        return Cap(dimension, gamma, epsilon - half_open.epsilon)

    tried = [step / GRID for step in range(GRID)]
    best = max(tried, key=lambda gamma: cap(gamma).mean)
    low, high = max(0.0, best - 1 / GRID), min(best + 1 / GRID, 1 - 1e-9)
    while high - low > 1e-9:
        first, second = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
        low, high = (low, second) if cap(first).mean > cap(second).mean else (first, high)
    return cap((low + high) / 2)


@dataclass(frozen=True)
class PrivUnit(Mechanism):
    """Pure epsilon-local differential privacy for one released vector."""

    name: ClassVar[str] = "privunit"
    version: ClassVar[int] = 1

    epsilon: float

    def __post_init__(self) -> None:
        require_epsilon(self.epsilon)

    def cap(self, dimension: int) -> Cap:
        """The cap used for vectors of this dimension."""
        return best_cap(self.epsilon - ARITHMETIC_EPSILON, dimension)

    def event(self, dimension: int) -> Event:
        cap = self.cap(dimension)
        parameters = (("dimension", float(dimension)), ("gamma", cap.gamma), ("log_odds", cap.log_odds))
        return Event(self.name, self.version, self.epsilon, 0.0, parameters)

    def unbiasing_scale(self, dimension: int) -> float:
        return 1 / self.cap(dimension).mean

    def expected_cosine(self, dimension: int) -> float:
        return self.cap(dimension).mean

    def _noised(self, units: Float64Array) -> Float32Array:
        cap = self.cap(units.shape[1])
        inside = _coins(cap.log_odds, len(units))
        points = np.empty_like(units)
        heights = Heights((cap.dimension - 3) / 2, 0.0, cap.gamma).sample(int(inside.sum()))
        points[inside] = points_at(units[inside], heights)
        points[~inside] = _below(units[~inside], cap.gamma)
        return to_grid(points)


def _coins(log_odds: float, count: int) -> npt.NDArray[np.bool_]:
    """True with these log-odds. The rare side keeps its probability, however rare: an exponential has no largest."""
    rare = exponentials(count) > softplus(abs(log_odds))
    return rare if log_odds < 0 else ~rare


def _below(units: Float64Array, gamma: float) -> Float64Array:
    """A uniform point below the cap of each vector: drawn from the whole sphere until it is one, twice at most
    on average."""
    points = directions(len(units), units.shape[1])
    while (again := np.flatnonzero(np.einsum("nd,nd->n", points, units) >= gamma)).size:
        points[again] = directions(len(again), units.shape[1])
    return points
