"""From sums to reply bytes: transform back, join the two primes, switch the modulus, pack.

Server side; everything here is computed from ciphertexts. A reply hides nothing from the owner, who may know every row:
it has no mask and no flood, unlike the sealed index's.
"""

from __future__ import annotations

import numba as nb
import numpy as np
import numpy.typing as npt

from unseen.he.compiled_bits import pack_bits
from unseen.he.owner.kernel import PRODUCTS
from unseen.he.ring import inverse, ring
from unseen.params import OwnerParameterSet

UInt32Array = npt.NDArray[np.uint32]
UInt64Array = npt.NDArray[np.uint64]


def joining_roots(parameters: OwnerParameterSet) -> UInt32Array:
    """Inverse transform tables (primes, N, 2) whose last step also weights for the Chinese remainder theorem.

    What comes out modulo p is y = (q/p)^-1 r mod p for the residue r, so that v/q = sum of y/p modulo 1.
    """
    tables = []
    for modulus in parameters.moduli:
        table = ring(parameters.ring_degree, modulus).inverse_roots.copy()
        scale = pow(parameters.ring_degree, -1, modulus) * pow(parameters.modulus // modulus, -1, modulus) % modulus
        table[0] = scale, (scale << 32) // modulus
        tables.append(table)
    return np.stack(tables)


def fractions(parameters: OwnerParameterSet) -> UInt64Array:
    """round(2^64 / p) for each prime: what one unit of y is worth, counted in 2^-64 of q."""
    return np.array([((1 << 64) + modulus // 2) // modulus for modulus in parameters.moduli], np.uint64)


@nb.njit(nogil=True, cache=True, error_model="numpy")
def finish_blocks(lanes, other, roots, moduli, weights, bits, factor, out):  # type: ignore[no-untyped-def]
    """Write the reply blocks of up to four summed blocks.

    lanes    uint32 (1, N, 16): sums modulo the first prime as ``multiply_accumulate`` leaves them; overwritten
    other    the same modulo the second prime
    roots    ``joining_roots``
    weights  ``fractions``
    bits     of c2, c1 and c0
    factor   the packing factor k: c0 goes out at coefficients r*k + k-1
    out      uint8 (blocks, bytes of a reply block)
    """
    inverse(lanes, roots[0], np.uint32(moduli[0]))
    inverse(other, roots[1], np.uint32(moduli[1]))
    switched = np.empty(lanes.shape[1], np.uint32)
    for block in range(out.shape[0]):
        at = 0
        for run in range(PRODUCTS):
            lane = PRODUCTS * block + PRODUCTS - 1 - run
            step = factor if run == PRODUCTS - 1 else 1
            count = lanes.shape[1] // step
            _switch(lanes, other, lane, step, weights, np.uint64(bits[run]), switched[:count])
            at = pack_bits(switched[:count], bits[run], out[block], at)


@nb.njit(nogil=True, cache=True, error_model="numpy")
def _switch(lanes, other, lane, step, weights, bits, switched):  # type: ignore[no-untyped-def]
    """round(2^bits * v / q) modulo 2^bits for every ``step``-th coefficient, the last of each run of that many.

    v/q in 64 fractional bits is a sum that wraps around by itself; it is off by at most 2^-47, far below a step.
    """
    shift = np.uint64(64) - bits
    half = np.uint64(1) << (shift - np.uint64(1))
    for i in range(switched.size):
        n = i * step + step - 1
        part = np.uint64(lanes[0, n, lane]) * weights[0] + np.uint64(other[0, n, lane]) * weights[1]
        switched[i] = (part + half) >> shift
