"""The innermost loops of ``normal``: words of the keystream in, deviates out. Compiled by numba when first called.

Runs on the device, on secret words; keeps nothing. In a file of its own because numba is only needed where noise is
drawn: a device that reads events, ledgers and records does without it.
"""

from __future__ import annotations

import numba as nb
import numpy as np

HALF = np.uint64(1 << 63)
ALL = np.uint64((1 << 64) - 1)
EXP_MINUS_HALF = np.uint64(11188515852577165299)
EXP_MINUS_ONE = np.uint64(6786177901268885274)
"""exp(-1/2) and exp(-1) in units of 2^-64."""


@nb.njit(nogil=True, cache=True)
def fill_normals(words, whole, fraction):  # type: ignore[no-untyped-def]
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
def fill_exponentials(words, whole, fraction):  # type: ignore[no-untyped-def]
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
