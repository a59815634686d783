"""Between real vectors and the small integers that the scheme multiplies. Holds vectors while it runs, keeps nothing.

A stored row is round(S * x), a query is round(B * x), both for x of unit length; their inner product divided by
B * S is the cosine. B * S is a little below t/2, so a row longer than S could wrap a score around: rows have a cap on
their integer norm, which the device keeps to and the server checks.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from unseen.errors import InvalidVector

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
Int16Array = npt.NDArray[np.int16]
Int64Array = npt.NDArray[np.int64]


class Scales(Protocol):
    """What quantising needs to know of a parameter set, of either kind."""

    @property
    def row_scale(self) -> int: ...
    @property
    def query_scale(self) -> float: ...
    @property
    def row_norm_cap(self) -> float: ...


ROWS_AT_ONCE = 4096
"""Rows are worked through in float64 in runs of this many, so that a large batch does not take thrice its memory."""

LARGEST_STEP = 0.999
"""Each try at a row whose rounding passed the cap shrinks it at least this much, so that the tries end."""


def quantise_rows(parameters: Scales, vectors: Float32Array) -> Int16Array:
    """Make rows for the index: (n, d) float32 of any length -> (n, d) int16 within the norm cap.

    Raises InvalidVector for a row that is zero, infinite or not a number.
    """
    _require_matrix(vectors)
    rows = np.empty(vectors.shape, np.int16)
    for start in range(0, len(vectors), ROWS_AT_ONCE):
        unit = _unit_length(vectors[start : start + ROWS_AT_ONCE], first=start)
        rows[start : start + ROWS_AT_ONCE] = _round_within_cap(parameters, unit)
    return rows


def quantise_query(parameters: Scales, vector: Float32Array) -> Int64Array:
    """Make a query: (d,) float32 of any length -> (d,) int64. Raises InvalidVector like ``quantise_rows``."""
    if vector.ndim != 1:
        raise InvalidVector(f"got a query of shape {vector.shape}, expected one vector (d,)")
    scaled = _unit_length(vector[None], first=0)[0] * parameters.query_scale
    return np.asarray(np.rint(scaled), dtype=np.int64)


def check_rows(parameters: Scales, rows: Int16Array) -> None:
    """Refuse rows (n, d) whose integer norm passes the cap or that are all zero: raises InvalidVector."""
    if rows.ndim != 2 or rows.dtype != np.int16:
        raise InvalidVector(f"got {rows.dtype} rows of shape {rows.shape}, expected int16 (n, d)")
    squares = np.einsum("nd,nd->n", rows, rows, dtype=np.int64)
    for index in np.flatnonzero((squares == 0) | (squares > parameters.row_norm_cap**2))[:1]:
        raise InvalidVector(
            f"row {index} has integer norm {squares[index] ** 0.5:.1f}, expected more than 0 and at most"
            f" {parameters.row_norm_cap:.1f}: quantise with the collection's parameter set"
        )


def to_cosines(parameters: Scales, raw: Int64Array) -> Float32Array:
    """Decrypted integers, of any shape, -> cosines as float32."""
    return (raw / (parameters.query_scale * parameters.row_scale)).astype(np.float32)


def _require_matrix(vectors: Float32Array) -> None:
    if vectors.ndim != 2:
        raise InvalidVector(f"got an array of shape {vectors.shape}, expected vectors (n, d)")


def _unit_length(vectors: Float32Array, first: int) -> Float64Array:
    """Divide each row by its length; ``first`` is the number of the first row, for the message."""
    wide = vectors.astype(np.float64)
    lengths = np.sqrt(np.einsum("nd,nd->n", wide, wide))
    for index in np.flatnonzero(~np.isfinite(lengths) | (lengths == 0))[:1]:
        raise InvalidVector(f"vector {first + index} is zero or not finite: leave it out")
    return np.asarray(wide / lengths[:, None], dtype=np.float64)


def _round_within_cap(parameters: Scales, unit: Float64Array) -> Int16Array:
    """Scale by S and round; shrink the few rows whose rounding alone carries them over the cap."""
    scaled = unit * parameters.row_scale
    rounded = np.rint(scaled)
    cap = parameters.row_norm_cap
    while True:
        lengths = np.sqrt(np.einsum("nd,nd->n", rounded, rounded))
        over = lengths > cap
        if not over.any():
            return rounded.astype(np.int16)
        scaled[over] *= np.minimum(cap / lengths[over], LARGEST_STEP)[:, None]
        rounded[over] = np.rint(scaled[over])
