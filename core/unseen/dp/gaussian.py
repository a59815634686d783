"""Gaussian noise on a quantised vector, calibrated exactly (Balle and Wang, 2018) and sampled exactly.

Weaker than PrivUnit at the same epsilon (docs/differential-privacy.md has the table), but its releases compose better
than their sum, and it is what most people mean by noise.

Floating point would betray the vector (Mironov, CCS 2012), so noise is added to integers: the vector is rounded to a
grid, its integer norm is cut to the norm of a unit vector, and each coordinate gets round(2^20 Z) grid steps with Z
exactly normal. An integer plus a rounded normal deviate is the rounded sum of both, so what is released is the output
of the real-valued Gaussian mechanism, rounded: no weaker than its (epsilon, delta), also in zCDP.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import sqrt
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from unseen.dp.analytic_gaussian import gaussian_deviation
from unseen.dp.event import Event
from unseen.dp.mechanism import Float32Array, Float64Array, Mechanism, require_epsilon
from unseen.dp.normal import rounded_normals
from unseen.errors import InvalidConfiguration

SENSITIVITY = 2.0
"""Two unit vectors are at most this far apart: any one may replace any other."""
DEVIATION_BITS = 20
"""The noise has standard deviation 2^20 grid steps; its steps vanish beside it."""
DEFAULT_DELTA = 1e-6
LARGEST_DELTA = 1e-3
SMALLEST_DELTA = 1e-15
ARITHMETIC_EPSILON = 1e-6
"""Kept back from epsilon: 64-bit ties of the sampler are worth 2^-38 of it at most."""
SHRINK = 1 - 2.0**-12


@lru_cache(maxsize=64)
def deviation(epsilon: float, delta: float) -> float:
    """The noise per coordinate beside a unit vector: its standard deviation."""
    return gaussian_deviation(epsilon, delta, SENSITIVITY)


@dataclass(frozen=True)
class Gaussian(Mechanism):
    """(epsilon, delta)-local differential privacy for one released vector."""

    name: ClassVar[str] = "gaussian"
    version: ClassVar[int] = 1

    epsilon: float
    delta: float = DEFAULT_DELTA

    def __post_init__(self) -> None:
        require_epsilon(self.epsilon)
        if not SMALLEST_DELTA <= self.delta <= LARGEST_DELTA:
            raise InvalidConfiguration(f"got delta {self.delta}, expected {SMALLEST_DELTA} to {LARGEST_DELTA}")

    @property
    def deviation(self) -> float:
        """Standard deviation of the noise on each coordinate of a unit vector."""
        return deviation(self.epsilon - ARITHMETIC_EPSILON, self.delta)

    def event(self, dimension: int) -> Event:
        parameters = (("deviation", self.deviation), ("dimension", float(dimension)), ("sensitivity", SENSITIVITY))
        return Event(self.name, self.version, self.epsilon, self.delta, parameters)

    def unbiasing_scale(self, dimension: int) -> float:
        return 1.0

    def expected_cosine(self, dimension: int) -> float:
        return 1 / sqrt(1 + dimension * self.deviation**2)

    def _noised(self, units: Float64Array) -> Float32Array:
        step = self.deviation / 2**DEVIATION_BITS
        steps = within_unit_ball(units, self.deviation) + rounded_normals(units.shape, DEVIATION_BITS)
        return np.asarray(steps * step, dtype=np.float32)


def within_unit_ball(units: Float64Array, deviation: float) -> npt.NDArray[np.int64]:
    """Round vectors (n, d) of length 1 at most to a grid of 2^-20 noise deviations.

    A row whose exact integer norm would pass that of a unit vector is shrunk until it does not.
    """
    one = 2**DEVIATION_BITS / Fraction(deviation)
    largest_square = int(one * one)
    scaled = units * float(one)
    rounded = np.rint(scaled).astype(np.int64)
    while (over := np.flatnonzero(np.einsum("nd,nd->n", rounded, rounded) > largest_square)).size:
        scaled[over] *= SHRINK
        rounded[over] = np.rint(scaled[over]).astype(np.int64)
    return rounded
