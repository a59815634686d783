"""A query on its way to the kernel: c1 expanded, or the whole query derived for side blocks, then cut into digits.

Server side, public arithmetic on ciphertexts.

A side block holds whole rows in one polynomial each (k' at least d, so one chunk): a single row is one ciphertext. Its
query is Q'(X) = sum_j X^(j k) Q_j(X), which a server computes from the chunks Q_j of the packed query, so a side block
costs no upload. In transformed form X^k is a number for each coefficient, w = psi^(k (2 i + 1)) with i the place's
bit-reversed number, and Horner's rule needs one product per chunk. The errors of all chunks add up in Q'.
"""

from __future__ import annotations

from functools import cache

import numba as nb
import numpy as np
import numpy.typing as npt

from unseen.he.lanes import LANES
from unseen.he.owner.compiled_uniform import expand_chunks, uniform_residues
from unseen.he.owner.kernel import DIGIT_BITS, DIGITS, PAIR, QUERY_LINES
from unseen.he.owner.message import Ciphertexts
from unseen.he.packing import Packing
from unseen.params import OwnerParameterSet

Int16Array = npt.NDArray[np.int16]
UInt16Array = npt.NDArray[np.uint16]
UInt64Array = npt.NDArray[np.uint64]


def empty_digits(parameters: OwnerParameterSet, packing: Packing) -> Int16Array:
    """Room for a query: (primes, tiles, pairs, 4, 16, 2), zero where an odd number of chunks leaves a gap."""
    tiles, pairs = parameters.ring_degree // LANES, -(-packing.chunks // PAIR)
    return np.zeros((len(parameters.moduli), tiles, pairs, QUERY_LINES, LANES, PAIR), np.int16)


def whole_query(parameters: OwnerParameterSet, packing: Packing, query: Ciphertexts) -> tuple[UInt16Array, UInt16Array]:
    """c0 and c1 of Q' for a query of this packing: (1, primes, N) each, transformed residues."""
    c1 = uniform_residues(query.seed, packing.chunks, parameters.ring_degree, parameters.moduli)
    steps = np.stack([_step(parameters, number, packing.factor) for number in range(len(parameters.moduli))])
    moduli = np.array(parameters.moduli, np.uint64)
    return _horner(query.c0, steps, moduli), _horner(c1, steps, moduli)


@cache
def _step(parameters: OwnerParameterSet, number: int, factor: int) -> UInt64Array:
    """X^k in transformed form: (N,), bit-reversed."""
    degree, modulus, psi = parameters.ring_degree, parameters.moduli[number], parameters.roots[number]
    bits = degree.bit_length() - 1
    places = (int(f"{i:0{bits}b}"[::-1], 2) for i in range(degree))
    return np.array([pow(psi, factor * (2 * place + 1), modulus) for place in places], np.uint64)


@nb.njit(nogil=True, cache=True, error_model="numpy")
def _horner(chunks, steps, moduli):  # type: ignore[no-untyped-def]
    """sum_j step^j chunk_j: (chunks, primes, N) -> (1, primes, N)."""
    total = np.zeros((1, chunks.shape[1], chunks.shape[2]), np.uint16)
    for number in range(chunks.shape[1]):
        p = moduli[number]
        for n in range(chunks.shape[2]):
            value = np.uint64(0)
            for chunk in range(chunks.shape[0] - 1, -1, -1):
                value = (value * steps[number, n] + np.uint64(chunks[chunk, number, n])) % p
            total[0, number, n] = value
    return total


@nb.njit(nogil=True, cache=True, error_model="numpy")
def expand_and_cut(state, c0, first, moduli, digits):  # type: ignore[no-untyped-def]
    """Expand c1 of the chunks from ``first`` on, and cut them and their c0 (chunks, primes, N) into digits."""
    c1 = np.empty((c0.shape[0], c0.shape[2]), np.uint16)
    for number in range(len(moduli)):
        expand_chunks(state, np.uint32(first), np.uint32(number), np.uint64(moduli[number]), c1)
        cut(c0[:, number], 0, first, moduli[number], digits[number])
        cut(c1, 1, first, moduli[number], digits[number])


@nb.njit(nogil=True, cache=True, error_model="numpy")
def cut(residues, polynomial, first, p, digits):  # type: ignore[no-untyped-def]
    """Cut residues (chunks, N) of one polynomial and prime into the digits of the chunks from ``first`` on."""
    half = np.int64(1) << np.int64(DIGIT_BITS - 1)
    line = DIGITS * polynomial
    for tile in range(digits.shape[0]):
        for chunk in range(residues.shape[0]):
            pair, place = (first + chunk) // PAIR, (first + chunk) % PAIR
            for lane in range(LANES):
                value = np.int64(residues[chunk, tile * LANES + lane])
                value -= p if value > p // 2 else 0
                low = ((value + half) & (2 * half - 1)) - half
                digits[tile, pair, line, lane, place] = low
                digits[tile, pair, line + 1, lane, place] = (value - low) >> DIGIT_BITS
