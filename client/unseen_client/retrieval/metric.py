"""How rows are compared: cosine, dot, l2, l1. All by one inner product of what the server already knows: unit vectors.

For the device only; holds vectors while it runs. The server is not told which metric a collection has: it gets rows of
unit length with up to two numbers more than the vectors have. With M the length of the longest vector that the
collection takes (``longest``), u = x / M and t = |u|^2:

    metric   row sent, of unit length            inner product with              gives the score
    cosine   x / |x|                             v / |v|                         cosine
    dot      [ u ; sqrt(1 - t) ]                 M [ v ; 0 ]                     <v, x>
    l2       [ u ; t - 1 ; sqrt(t - t^2) ]       M^2 [ 2 v / M ; -1 ; 0 ]        -|v - x|^2, with -|v|^2 - M^2 added
    l1       as l2: the rows nearest by l2 are candidates, scored on the device  -sum |v_i - x_i|

The first augmentation is that of Bachrach et al. 2014 (Speeding Up the Xbox Recommender System Using a Euclidean
Transformation for Inner-Product Spaces, section 3), the second makes the length of (u, t - 1), which is at most 1, one.
More is better in every score, and all but l1's are linear in the row: a weighted sum of queries gives the weighted sum
of their scores.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from unseen.errors import InvalidInput, InvalidVector
from unseen_client.keys.keystore import LARGEST, METRICS, SHORTEST

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]

COSINE, DOT, L2, L1 = NAMES = METRICS
ROWS_AT_ONCE = 4096
"""Rows are worked through in float64 in runs of this many."""
LENGTH_SLACK = 1e-5
"""A vector that float32 made this much longer than the longest is shortened, not refused."""


@dataclass(frozen=True, eq=False)
class LinearQuery:
    """A query as the row is multiplied with it: score = <vector, row> + offset."""

    vector: Float64Array
    """(d + extra,)"""
    offset: float = 0.0


class Metric(Protocol):
    """One way to compare the vectors of a collection."""

    @property
    def name(self) -> str:
        """One of NAMES."""

    @property
    def longest(self) -> float:
        """M: the length of the longest vector that the collection takes."""

    @property
    def extra(self) -> int:
        """How many numbers a row has more than a vector."""

    @property
    def on_device_only(self) -> bool:
        """Whether the server's scores, l2's, choose candidates and no more."""

    def rows(self, vectors: npt.NDArray[np.floating], first: int = 0) -> Float64Array:
        """The rows (n, d + extra), each of unit length, of vectors (n, d).

        ``first`` is the number of the first one, for the message of InvalidVector.
        """

    def query(self, vector: npt.NDArray[np.floating]) -> LinearQuery:
        """The query of a vector (d,); raises InvalidVector."""

    def scores(self, vectors: Float64Array, point: npt.NDArray[np.floating]) -> Float64Array:
        """The scores (n,) of vectors (n, d) for a vector (d,), as they are without encryption."""


@dataclass(frozen=True)
class Cosine:
    """The angle alone: the length of vectors does not matter."""

    name: str = COSINE
    longest: float = 1.0
    extra: int = 0
    on_device_only: bool = False

    def rows(self, vectors: npt.NDArray[np.floating], first: int = 0) -> Float64Array:
        wide, squares = _measured(vectors, first)
        for at in np.flatnonzero(squares == 0)[:1]:
            raise _without_direction(first + int(at))
        return np.asarray(wide / np.sqrt(squares)[:, None], np.float64)

    def query(self, vector: npt.NDArray[np.floating]) -> LinearQuery:
        return LinearQuery(self.rows(vector[None])[0])

    def scores(self, vectors: Float64Array, point: npt.NDArray[np.floating]) -> Float64Array:
        return np.asarray(self.rows(vectors) @ self.rows(point[None])[0], np.float64)


@dataclass(frozen=True)
class Dot:
    """The inner product: longer vectors score higher."""

    longest: float = 1.0
    name: str = DOT
    extra: int = 1
    on_device_only: bool = False

    def rows(self, vectors: npt.NDArray[np.floating], first: int = 0) -> Float64Array:
        scaled, squares = _scaled(vectors, self.longest, first)
        return np.hstack([scaled, np.sqrt(1 - squares)[:, None]])

    def query(self, vector: npt.NDArray[np.floating]) -> LinearQuery:
        wide, _ = _measured(vector[None])
        return LinearQuery(self.longest * np.append(wide[0], 0.0))

    def scores(self, vectors: Float64Array, point: npt.NDArray[np.floating]) -> Float64Array:
        return np.asarray(vectors @ point.astype(np.float64), np.float64)


@dataclass(frozen=True)
class Euclidean:
    """Minus the squared distance."""

    longest: float = 1.0
    name: str = L2
    extra: int = 2
    on_device_only: bool = False

    def rows(self, vectors: npt.NDArray[np.floating], first: int = 0) -> Float64Array:
        scaled, squares = _scaled(vectors, self.longest, first)
        return np.hstack([scaled, (squares - 1)[:, None], np.sqrt(squares * (1 - squares))[:, None]])

    def query(self, vector: npt.NDArray[np.floating]) -> LinearQuery:
        wide, squares = _measured(vector[None])
        most = self.longest**2
        return LinearQuery(np.concatenate([2 * self.longest * wide[0], [-most, 0.0]]), -float(squares[0]) - most)

    def scores(self, vectors: Float64Array, point: npt.NDArray[np.floating]) -> Float64Array:
        return np.asarray(-np.square(vectors - point).sum(axis=1), np.float64)


@dataclass(frozen=True)
class Taxicab(Euclidean):
    """Minus the sum of the differences of all numbers; the nearest by l2 are the candidates."""

    name: str = L1
    on_device_only: bool = True

    def scores(self, vectors: Float64Array, point: npt.NDArray[np.floating]) -> Float64Array:
        return np.asarray(-np.abs(vectors - point).sum(axis=1), np.float64)


def metric_of(name: str, longest: float = 1.0) -> Metric:
    """A metric by its name; raises InvalidInput for one that there is not, or a length that is none."""
    if name not in NAMES:
        raise InvalidInput(f"no metric is named {name[:20]!r}; give one of {', '.join(NAMES)}")
    if not SHORTEST <= longest <= LARGEST:
        raise InvalidInput(
            f"got longest={longest:g}; give the length of the longest vector that will be enrolled, {SHORTEST:g} to "
            f"{LARGEST:g}"
        )
    if name == COSINE:
        return Cosine()
    if name == DOT:
        return Dot(longest)
    return Euclidean(longest) if name == L2 else Taxicab(longest)


def comparable(metric: Metric, vectors: Float32Array) -> Float32Array:
    """Rows (n, d + extra) as they are enrolled; raises InvalidVector, with its number, before any is sent.

    For cosine the vectors as they came: a ledger of noise knows its rows by them.
    """
    rows = np.empty((len(vectors), vectors.shape[1] + metric.extra), np.float32)
    for start in range(0, len(vectors), ROWS_AT_ONCE):
        rows[start : start + ROWS_AT_ONCE] = metric.rows(vectors[start : start + ROWS_AT_ONCE], first=start)
    return vectors if metric.name == COSINE else rows


def kept(metric: Metric, rows: npt.NDArray[np.floating]) -> Float32Array:
    """What records keep of rows (n, d + extra) as they are sent: (n, d), at most of unit length."""
    return np.asarray(rows[:, : rows.shape[1] - metric.extra], np.float32)


def in_own_scale(metric: Metric, vector: Float32Array) -> Float32Array:
    """A vector as records keep it, as long as its owner gave it; for cosine it stays at unit length."""
    return vector if metric.name == COSINE else np.asarray(vector * metric.longest, np.float32)


def _scaled(vectors: npt.NDArray[np.floating], longest: float, first: int) -> tuple[Float64Array, Float64Array]:
    """Vectors divided by the longest length, and the squares of their lengths, at most 1."""
    wide, squares = _measured(vectors, first)
    lengths = np.sqrt(squares) / longest
    for at in np.flatnonzero(lengths > 1 + LENGTH_SLACK)[:1]:
        raise InvalidVector(
            f"vector {first + at} has length {lengths[at] * longest:.6g}, the collection takes up to {longest:.6g}; "
            "nothing was sent. Scale your vectors, or create a collection with a larger longest="
        )
    scaled = wide / (longest * np.maximum(lengths, 1.0))[:, None]
    return scaled, np.minimum(np.einsum("nd,nd->n", scaled, scaled), 1.0)


def _measured(vectors: npt.NDArray[np.floating], first: int = 0) -> tuple[Float64Array, Float64Array]:
    """Vectors in float64 with the squares of their lengths; raises InvalidVector for one that is not finite."""
    wide = vectors.astype(np.float64)
    squares = np.einsum("nd,nd->n", wide, wide)
    for at in np.flatnonzero(~np.isfinite(squares))[:1]:
        raise _without_direction(first + int(at))
    return wide, squares


def _without_direction(number: int) -> InvalidVector:
    return InvalidVector(f"vector {number} is zero or not finite: leave it out; nothing was sent")
