"""From a 64-byte seed to c1, the uniform polynomial that the seed stands for. Public on both sides; no SEAL.

SEAL (4.3, ``rlwe.cpp``, sample_poly_uniform) takes the first N 64-bit words of the seed's stream (``blake2xb``)
modulo q. A word at or above the limit 2^64 - 1 - ((2^64 - 1) mod q) - 1 would make small residues likelier: it is
redrawn, in the order of coefficients, from the words that follow the first N, as often as it takes. With 29 bits that
happens to one polynomial in 2^24, so it has a slow path of its own, and tests with a seed for which it does happen.

Releases the interpreter lock: several threads may each expand a part of a query's seeds.
"""

from __future__ import annotations

from collections.abc import Iterator

import numba as nb
import numpy as np
import numpy.typing as npt

from unseen.errors import InvalidInput
from unseen.he.blake2xb import BUFFER_WORDS, SEED_WORDS, fill_stream, stream
from unseen.params import SEED_BYTES

UInt8Array = npt.NDArray[np.uint8]
UInt32Array = npt.NDArray[np.uint32]
UInt64Array = npt.NDArray[np.uint64]

MOST_MODULUS_BITS = 30
"""Four residues are summed below 2^32 before the last reduction."""

_ALL_ONES = (1 << 64) - 1


def expand_seeds(seeds: UInt8Array, ring_degree: int, modulus: int) -> UInt32Array:
    """Expand seeds (n, 64) to uniform polynomials (n, N) of residues below the modulus, which has at most 30 bits."""
    if modulus.bit_length() > MOST_MODULUS_BITS or seeds.ndim != 2 or seeds.shape[1] != SEED_BYTES:
        raise InvalidInput(
            f"got seeds {seeds.shape} and a modulus of {modulus.bit_length()} bits, expected (n, 64), 30"
        )
    keys = np.ascontiguousarray(seeds).view("<u8").astype(np.uint64, copy=False)
    residues = np.empty((len(keys), ring_degree), np.uint32)
    redraw = np.zeros(len(keys), np.bool_)
    _expand(keys, residues, redraw, np.uint64(modulus), np.uint64(rejection_limit(modulus)))
    for index in np.flatnonzero(redraw):
        residues[index] = uniform_words(keys[index], ring_degree, modulus) % np.uint64(modulus)
    return residues


def rejection_limit(modulus: int) -> int:
    """The least word that SEAL redraws for this modulus."""
    return _ALL_ONES - _ALL_ONES % modulus - 1


def uniform_words(key: UInt64Array, ring_degree: int, modulus: int) -> UInt64Array:
    """The N words that become one polynomial, after redrawing and before reduction: for a modulus of any size."""
    limit = np.uint64(rejection_limit(modulus))
    words = stream(key, 0, -(-ring_degree // BUFFER_WORDS))[:ring_degree].copy()
    more = _words_after(key, ring_degree)
    for index in np.flatnonzero(words >= limit):
        words[index] = next(word for word in more if word < limit)
    return words


def _words_after(key: UInt64Array, count: int) -> Iterator[np.uint64]:
    """The seed's stream without its first ``count`` words."""
    buffer, used = divmod(count, BUFFER_WORDS)
    while True:
        yield from stream(key, buffer, 1)[used:]
        buffer, used = buffer + 1, 0


@nb.njit(nogil=True, cache=True, error_model="numpy")
def _expand(keys, residues, redraw, modulus, limit):  # type: ignore[no-untyped-def]
    """Expand each key into a row of residues; mark the rows that hold a word at or above the limit."""
    degree = residues.shape[1]
    words = np.empty(-(-degree // BUFFER_WORDS) * BUFFER_WORDS, np.uint64)
    scratch = np.empty(2 * 8 * SEED_WORDS, np.uint64)
    for row in range(keys.shape[0]):
        fill_stream(keys[row], 0, words, scratch)
        redraw[row] = _reduce(words[:degree], residues[row], modulus) >= limit


@nb.njit(nogil=True, cache=True, error_model="numpy")
def _reduce(words, residues, modulus):  # type: ignore[no-untyped-def]
    """Reduce 64-bit words modulo q without a division (Shoup); returns the largest word."""
    low_half, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    weight = (np.uint64(1) << half) % modulus
    weight_quotient = (weight << half) // modulus
    one_quotient = (np.uint64(1) << half) // modulus
    largest = np.uint64(0)
    for i in range(words.size):
        word = words[i]
        largest = max(largest, word)
        high, low = word >> half, word & low_half
        high_part = high * weight - ((high * weight_quotient) >> half) * modulus
        low_part = low - ((low * one_quotient) >> half) * modulus
        residue = high_part + low_part
        residue = min(residue, residue - (modulus + modulus))
        residues[i] = min(residue, residue - modulus)
    return largest
