"""Negacyclic number-theoretic transforms in R_q = Z_q[X]/(X^N + 1), sixteen polynomials side by side.

Public arithmetic; whoever holds the polynomials may hold this. Running time does not depend on the values.

Cooley-Tukey forward and Gentleman-Sande inverse with bit-reversed roots (Longa and Naehrig, 2016, algorithms 1 and
2), Shoup's multiplication with 32-bit quotients (Harvey, 2014, section 3), so no division: values stay below 4q
inside, which needs q < 2^30. Lane l of coefficient n stands at ``[group, n, l]``: every butterfly is one
vector instruction over the lanes. After the first stages a sub-transform of 16 KB stays in the first-level cache.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numba as nb
import numpy as np
import numpy.typing as npt

from unseen.he.lanes import LINE_BYTES, butterflies_forward, butterflies_inverse, reduce_fully, scale

LINE = np.uint64(LINE_BYTES)
CACHED = np.uint64(256)
"""Lines of a sub-transform that is finished before the next one starts: 256 * 64 bytes = 16 KB."""
MOST_MODULUS_BITS = 29

UInt32Array = npt.NDArray[np.uint32]


@dataclass(frozen=True)
class Ring:
    """The tables of one ring: powers of psi in bit-reversed order, each with its Shoup quotient."""

    degree: int
    modulus: int
    roots: UInt32Array
    """(N, 2): psi^bitrev(i), floor(2^32 * root / q)."""
    inverse_roots: UInt32Array
    """(N, 2): the same for psi^-1; entry 0 holds 1/N."""

    def forward(self, lanes: UInt32Array) -> None:
        """Transform (groups, N, 16) residues below q in place; the result is below q, in bit-reversed order."""
        forward(lanes, self.roots, np.uint32(self.modulus))

    def inverse(self, lanes: UInt32Array) -> None:
        """Undo ``forward`` in place."""
        inverse(lanes, self.inverse_roots, np.uint32(self.modulus))


@functools.cache
def ring(degree: int, modulus: int) -> Ring:
    """The ring of this degree (a power of two) and modulus (a prime, 1 mod 2N, at most 29 bits)."""
    if modulus.bit_length() > MOST_MODULUS_BITS or (modulus - 1) % (2 * degree):
        raise ValueError(
            f"got modulus {modulus}, expected a prime of at most {MOST_MODULUS_BITS} bits, 1 mod {2 * degree}"
        )
    psi = _primitive_root(degree, modulus)
    roots = _powers(psi, degree, modulus)
    inverse_roots = _powers(pow(psi, -1, modulus), degree, modulus)
    inverse_roots[0] = pow(degree, -1, modulus)
    return Ring(degree, modulus, _with_quotients(roots, modulus), _with_quotients(inverse_roots, modulus))


def _primitive_root(degree: int, modulus: int) -> int:
    """The first power of a small base whose order is exactly 2N."""
    for base in range(2, modulus):
        psi = pow(base, (modulus - 1) // (2 * degree), modulus)
        if pow(psi, degree, modulus) == modulus - 1:
            return psi
    raise ValueError(f"{modulus} has no root of order {2 * degree}")


def _powers(psi: int, degree: int, modulus: int) -> list[int]:
    bits = degree.bit_length() - 1
    return [pow(psi, int(f"{i:0{bits}b}"[::-1], 2), modulus) for i in range(degree)]


def _with_quotients(roots: list[int], modulus: int) -> UInt32Array:
    return np.array([(root, (root << 32) // modulus) for root in roots], np.uint32)


@nb.njit(nogil=True, cache=True, error_model="numpy")
def _forward_part(address, count, node, until, roots, q):  # type: ignore[no-untyped-def]
    """Cooley-Tukey stages of the sub-transform of ``count`` lines below tree node ``node``, down to size ``until``."""
    size, nodes = count, np.uint64(1)
    while size > until:
        half = size >> np.uint64(1)
        for i in range(nodes):
            at = node * nodes + i
            upper = address + i * size * LINE
            butterflies_forward(upper, upper + half * LINE, half, roots[at, 0], roots[at, 1], q)
        size = half
        nodes = nodes << np.uint64(1)


@nb.njit(nogil=True, cache=True, error_model="numpy")
def _inverse_part(address, count, node, start, inverse_roots, q):  # type: ignore[no-untyped-def]
    """Gentleman-Sande stages of the sub-transform of ``count`` lines, from size ``start`` up to the whole of it."""
    size = start
    while size < count:
        half = size
        size = size << np.uint64(1)
        nodes = count // size
        for i in range(nodes):
            at = node * nodes + i
            upper = address + i * size * LINE
            butterflies_inverse(upper, upper + half * LINE, half, inverse_roots[at, 0], inverse_roots[at, 1], q)


@nb.njit(nogil=True, cache=True, error_model="numpy")
def forward(lanes, roots, q):  # type: ignore[no-untyped-def]
    """Transform (groups, N, 16) in place; see ``Ring.forward``."""
    degree, one = np.uint64(lanes.shape[1]), np.uint64(1)
    cached = min(CACHED, degree)
    for group in range(lanes.shape[0]):
        address = np.uint64(lanes[group].ctypes.data)
        _forward_part(address, degree, one, cached, roots, q)
        for part in range(degree // cached):
            at = address + part * cached * LINE
            _forward_part(at, cached, degree // cached + part, one, roots, q)
            reduce_fully(at, cached, q)


@nb.njit(nogil=True, cache=True, error_model="numpy")
def inverse(lanes, inverse_roots, q):  # type: ignore[no-untyped-def]
    """Undo ``forward`` in place; see ``Ring.inverse``."""
    degree, one = np.uint64(lanes.shape[1]), np.uint64(1)
    cached = min(CACHED, degree)
    for group in range(lanes.shape[0]):
        address = np.uint64(lanes[group].ctypes.data)
        for part in range(degree // cached):
            _inverse_part(address + part * cached * LINE, cached, degree // cached + part, one, inverse_roots, q)
        _inverse_part(address, degree, one, cached, inverse_roots, q)
        scale(address, degree, inverse_roots[0, 0], inverse_roots[0, 1], q)
