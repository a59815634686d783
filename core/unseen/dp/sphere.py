"""Random points of the unit sphere around a given one, and the grid that released points are rounded to.

A point u at height t over v is t v + sqrt(1 - t^2) w with w uniform among the directions orthogonal to v. Draws are
secret until released; nothing is kept.

Released coordinates are multiples of a coarse power of two. The true vector goes through floating-point arithmetic
here, whose last bits would tell which vector it was (Mironov, CCS 2012); they lie 2^-39 of a grid step deep and are
rounded away. See docs/differential-privacy.md for what is argued about this and what is proven.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import ceil, inf, log1p, log2, sqrt

import numpy as np
import numpy.typing as npt

from unseen.dp.normal import exponentials, normals, uniforms
from unseen.dp.special_functions import smallest_true

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]

STEPS_PER_COORDINATE = 32
"""A typical coordinate, 1/sqrt(d), is at least this many grid steps: rounding costs 0.0001 of a cosine."""


def grid_step(dimension: int) -> float:
    """The grid that released points lie on: a power of two, so that float32 holds every multiple exactly."""
    return 2.0 ** -ceil(log2(STEPS_PER_COORDINATE * sqrt(dimension)))


def to_grid(points: Float64Array) -> Float32Array:
    """Round points (n, d) to the grid of their dimension."""
    step = grid_step(points.shape[1])
    return (np.rint(points / step) * step).astype(np.float32)


def directions(count: int, dimension: int) -> Float64Array:
    """Uniform points of the sphere: (count, dimension)."""
    return _unit(normals((count, dimension)))


def points_at(poles: Float64Array, heights: Float64Array) -> Float64Array:
    """A uniform point at each height (n,) over each unit vector (n, d)."""
    across = normals(poles.shape)
    for _ in range(2):  # once more removes what rounding left along the pole
        across -= _dot(across, poles)[:, None] * poles
    return heights[:, None] * poles + np.sqrt((1 - heights) * (1 + heights))[:, None] * _unit(across)


@dataclass(frozen=True)
class Heights:
    """A log-concave density of heights: proportional to exp(tilt t) (1 - t^2)^power on low <= t < 1.

    The height of a uniform point of the sphere in d dimensions has power (d - 3)/2 and no tilt. Sampled by rejection
    from a flat top with an exponential tail on each side, tangent where the density has fallen to 1/e (Devroye, 1986,
    chapter VII.2); the tails have no end, so the rarest heights are reached.
    """

    power: float
    tilt: float
    low: float

    @cached_property
    def mode(self) -> float:
        """Where the density is highest."""
        s = self.power
        top = self.tilt / (s + sqrt(s * s + self.tilt * self.tilt)) if self.tilt else 0.0
        return max(self.low, top)

    def log_density(self, heights: Float64Array) -> Float64Array:
        """log of the density over its highest value; minus infinity outside."""
        inside = (heights >= self.low) & (np.abs(heights) < 1)
        t = np.where(inside, heights, self.mode)
        value = self.tilt * (t - self.mode) + self.power * (np.log1p(-t * t) - log1p(-(self.mode**2)))
        return np.where(inside, value, -inf)

    def sample(self, count: int) -> Float64Array:
        """``count`` independent heights."""
        kept = np.zeros(0)
        while len(kept) < count:
            proposed, envelope = self._propose(2 * (count - len(kept)) + 8)
            kept = np.concatenate([kept, proposed[exponentials(len(proposed)) > envelope - self.log_density(proposed)]])
        return kept[:count]

    def _propose(self, count: int) -> tuple[Float64Array, Float64Array]:
        """Draws from the envelope, and its logarithm there."""
        left, left_rate, right, right_rate = self._envelope
        masses = np.array([1 / left_rate, right - left, 1 / right_rate])
        along = uniforms(count) * masses.sum()
        tail = exponentials(count)
        is_left, is_right = along < masses[0], along >= masses[0] + masses[1]
        flat = left + (right - left) * uniforms(count)
        proposed = np.where(is_left, left - tail / left_rate, np.where(is_right, right + tail / right_rate, flat))
        return proposed, np.where(is_left | is_right, -tail, 0.0)

    @cached_property
    def _envelope(self) -> tuple[float, float, float, float]:
        """Ends of the flat top, and the rate at which each tail falls; a rate of infinity means no tail."""
        right, right_rate = self._tangent(1.0)
        if self._at(self.low) >= -1:
            return self.low, inf, right, right_rate
        left, left_rate = self._tangent(self.low)
        return left, left_rate, right, right_rate

    def _tangent(self, end: float) -> tuple[float, float]:
        """Where the tangent at one e-fold below the mode, on this side, meets the top; its rate."""
        far = smallest_true(lambda part: self._at(self.mode + part * (end - self.mode)) < -1, 0.0, 1.0)
        at = self.mode + far * (end - self.mode)
        rate = abs(self.tilt - 2 * self.power * at / ((1 - at) * (1 + at)))
        meets = at - (1 + self._at(at)) / rate * (1 if end > self.mode else -1)
        return meets - (1 if end > self.mode else -1) / rate, rate

    def _at(self, height: float) -> float:
        return float(self.log_density(np.array([height]))[0])


def _unit(vectors: Float64Array) -> Float64Array:
    return np.asarray(vectors / np.sqrt(_dot(vectors, vectors))[:, None], dtype=np.float64)


def _dot(left: Float64Array, right: Float64Array) -> Float64Array:
    return np.asarray(np.einsum("nd,nd->n", left, right), dtype=np.float64)
