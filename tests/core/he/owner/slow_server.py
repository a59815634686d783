"""The owner-encrypted scan in schoolbook arithmetic: shares no ring, kernel, segment or reply with the real one."""

from __future__ import annotations

from functools import cache

import numpy as np

from unseen.he.owner.message import SwitchedBlocks, read_ciphertexts, write_reply_blocks
from unseen.he.owner.uniform import uniform_residues
from unseen.he.packing import Packing
from unseen.params import OwnerParameterSet


def negacyclic(a: np.ndarray, b: np.ndarray, modulus: int) -> np.ndarray:
    """Schoolbook product mod (X^N + 1, p); exact while N * max|a| * max|b| < 2^63."""
    whole = np.convolve(a.astype(np.int64), b.astype(np.int64))
    low = whole[: len(a)].copy()
    low[: len(a) - 1] -= whole[len(a) :]
    return low % modulus


@cache
def inverse_matrix(degree: int, modulus: int, psi: int) -> np.ndarray:
    """Entry [i, n] is psi^-(2 bitrev(i) + 1) n / N, centred, so that values @ matrix are the coefficients."""
    bits = degree.bit_length() - 1
    inverse = pow(psi, -1, modulus)
    powers = np.array([pow(inverse, e, modulus) for e in range(2 * degree)], np.int64)
    places = np.array([int(f"{i:0{bits}b}"[::-1], 2) for i in range(degree)], np.int64)
    entries = powers[np.outer(2 * places + 1, np.arange(degree)) % (2 * degree)]
    return (entries * pow(degree, -1, modulus) % modulus - modulus // 2).astype(np.float64)


def coefficients(values: np.ndarray, modulus: int, psi: int) -> np.ndarray:
    """Transformed residues (n, N) -> coefficients (n, N), in float64 that stays below 2^45."""
    matrix = inverse_matrix(values.shape[1], modulus, psi)
    shifted = values.astype(np.float64).sum(axis=1, keepdims=True) * (modulus // 2)
    return ((values.astype(np.float64) @ matrix + shifted) % modulus).astype(np.int64)


def opened(parameters: OwnerParameterSet, packing: Packing, data: bytes) -> np.ndarray:
    """Coefficients of a query's or block's ciphertexts: (primes, chunks, 2, N)."""
    read = read_ciphertexts(parameters, packing, data)
    c1 = uniform_residues(read.seed, packing.chunks, parameters.ring_degree, parameters.moduli)
    found = np.empty((len(parameters.moduli), packing.chunks, 2, parameters.ring_degree), np.int64)
    for number, (modulus, psi) in enumerate(zip(parameters.moduli, parameters.roots, strict=True)):
        found[number, :, 0] = coefficients(read.c0[:, number], modulus, psi)
        found[number, :, 1] = coefficients(c1[:, number], modulus, psi)
    return found


def joined(parameters: OwnerParameterSet, residues: np.ndarray) -> np.ndarray:
    """Residues modulo both primes (2, ..., N) -> values below q."""
    first, second = parameters.moduli
    lift = (residues[1] - residues[0]) * pow(first, -1, second) % second
    return residues[0] + first * lift


def products(parameters: OwnerParameterSet, query: np.ndarray, block: np.ndarray) -> np.ndarray:
    """The three polynomials of the sum of products of opened ciphertexts: (3, N), below q."""
    sums = np.zeros((2, 3, parameters.ring_degree), np.int64)
    for number, modulus in enumerate(parameters.moduli):
        for a, b in zip(query[number], block[number], strict=True):
            sums[number, 0] += negacyclic(a[0], b[0], modulus)
            sums[number, 1] += negacyclic(a[0], b[1], modulus) + negacyclic(a[1], b[0], modulus)
            sums[number, 2] += negacyclic(a[1], b[1], modulus)
        sums[number] %= modulus
    return joined(parameters, sums)


def switched(parameters: OwnerParameterSet, values: np.ndarray, bits: int) -> np.ndarray:
    q = parameters.modulus
    return (((values << bits) + q // 2) // q % (1 << bits)).astype(np.uint32)


def slow_answer(parameters: OwnerParameterSet, packing: Packing, query: bytes, blocks: list[bytes]) -> bytes:
    """What a server answers, block by block."""
    asked = opened(parameters, packing, query)
    reply = b""
    for block in blocks:
        sums = products(parameters, asked, opened(parameters, packing, block))
        reply += write_reply_blocks(
            parameters,
            packing,
            SwitchedBlocks(
                switched(parameters, sums[:1, packing.score_coefficients()], parameters.reply_c0_bits),
                switched(parameters, sums[1:2], parameters.reply_c1_bits),
                switched(parameters, sums[2:], parameters.reply_c2_bits),
            ),
        )
    return reply
