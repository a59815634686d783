"""Vectors for benches: clustered like embeddings, from a fixed seed. Generated, so nobody's."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

ROWS_PER_CLUSTER = 50
SPREAD = 0.7
"""Deviation of a row from its cluster's centre, before normalising; centres are standard Gaussian."""
PART = 65_536


def clustered_vectors(count: int, dimension: int, seed: int) -> npt.NDArray[np.float32]:
    """Unit vectors (count, dimension) around count / 50 random centres."""
    random = np.random.default_rng(seed)
    centres = random.standard_normal((max(2, count // ROWS_PER_CLUSTER), dimension), np.float32)
    vectors = np.empty((count, dimension), np.float32)
    for first in range(0, count, PART):
        part = vectors[first : first + PART]
        part[:] = SPREAD * random.standard_normal(part.shape, np.float32)
        part += centres[random.integers(0, len(centres), len(part))]
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    return vectors


def unit_vectors(count: int, dimension: int, seed: int) -> npt.NDArray[np.float32]:
    """Unit vectors (count, dimension) in every direction alike."""
    drawn = np.random.default_rng(seed).normal(size=(count, dimension))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)
