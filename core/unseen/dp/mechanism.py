"""The interface of every noise mechanism: a unit vector goes in, a noised one and the event to be charged come out.

Runs on the device, which holds the true vectors. What comes out may be shown to whoever the guarantee is against; the
event says how much it tells. One release is one event, also when the same vector is released again. ``release`` does
not charge a ledger: ``unseen.dp.charged`` does both, in the order that a crash cannot turn against the ledger.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt

from unseen.dp.event import Event
from unseen.errors import InvalidConfiguration, InvalidVector

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]

SMALLEST_DIMENSION = 4
"""Below it the densities that are sampled lose the shape that the samplers rely on."""
LARGEST_DIMENSION = 4096
"""The arithmetic's share of epsilon (docs/differential-privacy.md) is argued up to here."""
SMALLEST_EPSILON = 0.01
LARGEST_EPSILON = 2048.0
"""Beyond it nothing is protected; the arithmetic's argument ends there too."""
ROWS_AT_ONCE = 1024
"""Batches are worked through in parts, so that memory stays a few megabytes."""


class Mechanism(ABC):
    """What every mechanism can do. Implementations are frozen: their parameters are public, their noise is not kept."""

    @abstractmethod
    def event(self, dimension: int) -> Event:
        """What one release of a vector of this dimension costs."""

    @abstractmethod
    def unbiasing_scale(self, dimension: int) -> float:
        """What a released vector is to be multiplied with so that its mean is the true unit vector."""

    @abstractmethod
    def expected_cosine(self, dimension: int) -> float:
        """About how close a released vector points to the true one: its expected cosine."""

    @abstractmethod
    def _noised(self, units: Float64Array) -> Float32Array:
        """Noise unit vectors (n, d), each with draws of its own."""

    def release(self, vector: Float32Array) -> tuple[Float32Array, Event]:
        """Noise one vector (d,) of any length; only its direction counts. Raises InvalidVector."""
        if np.ndim(vector) != 1:
            raise InvalidVector(f"got an array of shape {np.shape(vector)}, expected one vector (d,)")
        released, event = self.release_batch(np.asarray(vector)[None])
        return released[0], event

    def release_batch(self, vectors: Float32Array) -> tuple[Float32Array, Event]:
        """Noise vectors (n, d), independently; the event is that of each row. Raises InvalidVector."""
        require_vectors(vectors)
        event = self.event(vectors.shape[1])
        released = np.empty(vectors.shape, np.float32)
        for start in range(0, len(vectors), ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            released[part] = self._noised(unit_length(vectors[part]))
        return released, event


def require_vectors(vectors: Float32Array) -> None:
    """Refuse what cannot be released: raises InvalidVector. Called before anything is charged."""
    if vectors.ndim != 2 or not SMALLEST_DIMENSION <= vectors.shape[1] <= LARGEST_DIMENSION:
        raise InvalidVector(
            f"got an array of shape {vectors.shape}, expected vectors (n, d) with "
            f"{SMALLEST_DIMENSION} <= d <= {LARGEST_DIMENSION}"
        )
    for start in range(0, len(vectors), ROWS_AT_ONCE):
        lengths = _lengths(vectors[start : start + ROWS_AT_ONCE])
        for index in np.flatnonzero(~np.isfinite(lengths) | (lengths == 0))[:1]:
            raise InvalidVector(f"vector {start + index} is zero or not finite: leave it out")


def unit_length(vectors: Float32Array) -> Float64Array:
    """Divide each row by its length."""
    return np.asarray(vectors.astype(np.float64) / _lengths(vectors)[:, None], dtype=np.float64)


def _lengths(vectors: Float32Array) -> Float64Array:
    wide = vectors.astype(np.float64)
    return np.asarray(np.sqrt(np.einsum("nd,nd->n", wide, wide)), dtype=np.float64)


def require_epsilon(epsilon: float) -> None:
    """Raises InvalidConfiguration for an epsilon that no mechanism here is made for."""
    if not SMALLEST_EPSILON <= epsilon <= LARGEST_EPSILON:
        raise InvalidConfiguration(
            f"got epsilon {epsilon}, expected {SMALLEST_EPSILON} to {LARGEST_EPSILON:g}: docs/differential-privacy.md"
        )
