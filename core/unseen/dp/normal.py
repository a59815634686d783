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

import numba as nb
import numpy as np
import numpy.typing as npt

from unseen import entropy

Int64Array = npt.NDArray[np.int64]
UInt64Array = npt.NDArray[np.uint64]
Float64Array = npt.NDArray[np.float64]

WORDS_PER_DRAW = 14
"""A little more than a normal deviate needs on average."""
HALF = np.uint64(1 << 63)
ALL = np.uint64((1 << 64) - 1)
EXP_MINUS_HALF = np.uint64(11188515852577165299)
EXP_MINUS_ONE = np.uint64(6786177901268885274)
"""exp(-1/2) and exp(-1) in units of 2^-64."""
LARGEST_BITS = 24
"""``rounded_normals`` keeps k + x to this many bits behind the point: far inside the 64 that are drawn."""


def normals(shape: tuple[int, ...]) -> Float64Array:
    """Standard normal deviates, each the nearest float to the one that was drawn."""
    whole, fraction = _draw(_fill_normals, int(np.prod(shape)))
    return _signed(whole, _magnitude(whole, fraction)).reshape(shape)


def rounded_normals(shape: tuple[int, ...], bits: int) -> Int64Array:
    """round(2^bits * Z) for standard normal deviates Z: integers, exactly distributed as the rounded real ones."""
    if not 0 <= bits <= LARGEST_BITS:
        raise ValueError(f"got {bits} bits, expected 0 to {LARGEST_BITS}")
    whole, fraction = _draw(_fill_normals, int(np.prod(shape)))
    twice = (fraction >> np.uint64(63 - bits)).astype(np.int64)
    size = (np.where(whole < 0, ~whole, whole) << bits) + ((twice + 1) >> 1)
    return np.where(whole < 0, -size, size).reshape(shape)


def exponentials(count: int) -> Float64Array:
    """Exponential deviates of mean one."""
    whole, fraction = _draw(_fill_exponentials, count)
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


@nb.njit(nogil=True, cache=True)
def _fill_normals(words, whole, fraction):  # type: ignore[no-untyped-def]
    """-> deviates finished, words they used."""
    state = np.zeros(2, np.int64)  # next word; whether the words ran out
    used = 0
    for i in range(len(whole)):
        k, x, negative = _normal(words, state)
        if state[1]:
            return i, used
        whole[i] = ~k if negative else k
        fraction[i] = x
        used = state[0]
    return len(whole), used


@nb.njit(nogil=True, cache=True)
def _fill_exponentials(words, whole, fraction):  # type: ignore[no-untyped-def]
    """-> deviates finished, words they used."""
    state = np.zeros(2, np.int64)
    used = 0
    for i in range(len(whole)):
        k = np.int64(0)
        while _one(words, state):
            k += 1
        x = _next(words, state)
        while not _even_run(words, state, x) and not state[1]:
            x = _next(words, state)
        if state[1]:
            return i, used
        whole[i] = k
        fraction[i] = x
        used = state[0]
    return len(whole), used


@nb.njit(nogil=True, cache=True)
def _normal(words, state):  # type: ignore[no-untyped-def]
    """Algorithm N: k with probability exp(-k^2/2) up to a constant, then x, then the sign."""
    while True:
        k = np.int64(0)
        while _half(words, state):
            k += 1
        kept = True
        for _ in range(k * (k - 1)):
            if not _half(words, state):
                kept = False
                break
        x = np.uint64(0)
        if kept:
            x = _next(words, state)
            for _ in range(k + 1):
                if not _below(words, state, k, x):
                    kept = False
                    break
        if kept or state[1]:
            return k, x, _next(words, state) >= HALF


@nb.njit(nogil=True, cache=True)
def _half(words, state):  # type: ignore[no-untyped-def]
    """True with probability exp(-1/2), rounded to 2^-64."""
    return _next(words, state) > ALL - EXP_MINUS_HALF


@nb.njit(nogil=True, cache=True)
def _one(words, state):  # type: ignore[no-untyped-def]
    """True with probability exp(-1), rounded to 2^-64."""
    return _next(words, state) > ALL - EXP_MINUS_ONE


@nb.njit(nogil=True, cache=True)
def _even_run(words, state, y):  # type: ignore[no-untyped-def]
    """True with probability exp(-y): the run y > z1 > z2 > ... ends after an even number (von Neumann, 1951)."""
    even = True
    while True:
        z = _next(words, state)
        if z >= y:
            return even
        y = z
        even = not even


@nb.njit(nogil=True, cache=True)
def _below(words, state, k, x):  # type: ignore[no-untyped-def]
    """Algorithm B: true with probability exp(-x (2k + x) / (2k + 2))."""
    y = x
    even = True
    while True:
        z = _next(words, state)
        if z >= y or not _part(words, state, k, x):
            return even
        y = z
        even = not even


@nb.njit(nogil=True, cache=True)
def _part(words, state, k, x):  # type: ignore[no-untyped-def]
    """True with probability (2k + x) / (2k + 2)."""
    sides = np.uint64(2 * k + 2)
    limit = np.uint64(1 << 32) // sides * sides
    roll = _next(words, state) >> np.uint64(32)
    while roll >= limit:
        roll = _next(words, state) >> np.uint64(32)
    side = roll % sides
    if side == sides - np.uint64(2):
        return _next(words, state) < x
    return side < sides - np.uint64(2)


@nb.njit(nogil=True, cache=True)
def _next(words, state):  # type: ignore[no-untyped-def]
    """The next word; zero, and a note, when there is none. Every loop above ends on zeros."""
    if state[0] >= len(words):
        state[1] = 1
        return np.uint64(0)
    word = words[state[0]]
    state[0] += 1
    return word
