"""Exact normal and exponential deviates from the keystream, by comparing integers only: no logarithm, no cosine.

A deviate is secret until the vector it is added to is released; nothing is kept. Algorithms N and B of Karney,
"Sampling exactly from the normal distribution" (ACM TOMS 42:3, 2016), and von Neumann's for the exponential. A uniform
deviate is compared through its first 64 bits; ties count as "not less".

Why not the usual formulas: Box and Muller on 53-bit uniforms cannot pass 8.6 standard deviations and leave gaps that
depend on the platform's logarithm. Here every value up to the 64th bit has its true probability, within a relative
error of 2^-50, however far out it lies: a promise of exp(epsilon) needs that of outcomes rarer than exp(-epsilon).

How long a draw takes depends on the draw, not on the vector.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np
import numpy.typing as npt

from unseen import entropy
from unseen.errors import InvalidConfiguration

Int64Array = npt.NDArray[np.int64]
UInt64Array = npt.NDArray[np.uint64]
Float64Array = npt.NDArray[np.float64]

WORDS_PER_DRAW = 14
"""A little more than a normal deviate needs on average."""
LARGEST_BITS = 24
"""``rounded_normals`` keeps k + x to this many bits behind the point: far inside the 64 that are drawn."""


def normals(shape: tuple[int, ...]) -> Float64Array:
    """Standard normal deviates, each the nearest float to the one that was drawn."""
    whole, fraction = _draw(compiled().fill_normals, int(np.prod(shape)))
    return _signed(whole, _magnitude(whole, fraction)).reshape(shape)


def rounded_normals(shape: tuple[int, ...], bits: int) -> Int64Array:
    """round(2^bits * Z) for standard normal deviates Z: integers, exactly distributed as the rounded real ones."""
    if not 0 <= bits <= LARGEST_BITS:
        raise ValueError(f"got {bits} bits, expected 0 to {LARGEST_BITS}")
    whole, fraction = _draw(compiled().fill_normals, int(np.prod(shape)))
    twice = (fraction >> np.uint64(63 - bits)).astype(np.int64)
    size = (np.where(whole < 0, ~whole, whole) << bits) + ((twice + 1) >> 1)
    return np.where(whole < 0, -size, size).reshape(shape)


def exponentials(count: int) -> Float64Array:
    """Exponential deviates of mean one."""
    whole, fraction = _draw(compiled().fill_exponentials, count)
    return _magnitude(whole, fraction)


def uniforms(count: int) -> Float64Array:
    """Uniform in (0, 1), 53 bits: for choices whose rare side does not matter."""
    words = np.frombuffer(entropy.keystream(8 * count), np.uint64)
    return (np.asarray(words >> np.uint64(11), np.float64) + 0.5) * 2.0**-53


def _magnitude(whole: Int64Array, fraction: UInt64Array) -> Float64Array:
    return np.where(whole < 0, ~whole, whole) + (fraction.astype(np.float64) + 0.5) * 2.0**-64


def _signed(whole: Int64Array, magnitude: Float64Array) -> Float64Array:
    return np.where(whole < 0, -magnitude, magnitude)


Fill = Callable[[UInt64Array, Int64Array, UInt64Array], tuple[int, int]]


def _draw(fill: Fill, count: int) -> tuple[Int64Array, UInt64Array]:
    """``count`` deviates as k (or ~k, which says minus) and the 64 bits behind the point.

    A deviate for which the words ran out is begun again with the same words and more behind them: to drop them would
    prefer deviates that need few.
    """
    whole, fraction = np.empty(count, np.int64), np.empty(count, np.uint64)
    words, done = np.zeros(0, np.uint64), 0
    while done < count:
        fresh = np.frombuffer(entropy.keystream(8 * WORDS_PER_DRAW * (count - done + 8)), np.uint64)
        words = np.concatenate([words, fresh])
        finished, used = fill(words, whole[done:], fraction[done:])
        words, done = words[used:], done + finished
    return whole, fraction


def compiled() -> ModuleType:
    """The compiled loops; raises InvalidConfiguration where numba is not installed."""
    try:
        from unseen.dp import compiled_normal
    except ModuleNotFoundError as missing:
        raise InvalidConfiguration(
            f'drawing noise needs the package {missing.name}, which is not here; run: pip install "unseen[noise]"'
        ) from missing
    return compiled_normal
