"""The number-theoretic transform of the device: two matrix products, exact in float64, no compiler needed.

Public arithmetic; whoever holds the polynomials may hold this. Running time does not depend on the values.

With psi of order 2N, the transform of a is a(psi^(2j+1)) for j = 0 .. N-1. Bailey's four-step split, N = R * C: write
n = C*u + v and j = y + R*z, then

    a(psi^(2j+1)) = sum_v  psi^v w^(v*y)  [ sum_u a_(C*u+v) psi^(C*u) w^(C*u*y) ]  w^(R*v*z)        w = psi^2

The inner sum is a product with an R x R matrix, the outer one with a C x C matrix. Centred residues are below 2^15, so
sums of at most 64 products stay below 2^36: float64 has them exactly. Results stand in bit-reversed order of j, which
is the order of ``unseen.he.ring`` and of the wire (tests hold the two against each other).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from unseen.errors import InvalidInput

MOST_MODULUS_BITS = 16
AT_ONCE = 4
"""Polynomials transformed together: their 64 KiB stay in the cache. Sixty-four at once took many times longer each."""

Float64Array = npt.NDArray[np.float64]
IntegerArray = npt.NDArray[np.integer]
Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Transform:
    """The matrices of one ring Z_p[X]/(X^N + 1)."""

    degree: int
    modulus: int
    inner: Float64Array
    """(R, R): psi^(C*u) w^(C*u*y) at [y, u], centred."""
    twiddles: Float64Array
    """(R, C): psi^v w^(v*y) at [y, v], centred."""
    outer: Float64Array
    """(C, C): w^(R*v*z) at [v, z], centred."""
    order: Int64Array
    """(N,): where the value of bit-reversed place i stands in [y, z]."""

    def forward(self, polynomials: IntegerArray) -> Float64Array:
        """Transform integer polynomials (n, N) below 2^31 -> centred residues (n, N), bit-reversed."""
        transformed = np.empty(polynomials.shape, np.float64)
        rows, columns = self.twiddles.shape
        for first in range(0, len(polynomials), AT_ONCE):
            part = polynomials[first : first + AT_ONCE].astype(np.float64).reshape(-1, rows, columns)
            inner = self.centred(np.matmul(self.inner, self.centred(part)))
            outer = np.matmul(self.centred(inner * self.twiddles).reshape(-1, columns), self.outer)
            transformed[first : first + AT_ONCE] = self.centred(outer).reshape(-1, self.degree)[:, self.order]
        return transformed

    def centred(self, values: Float64Array) -> Float64Array:
        """Bring integers below 2^52 to the residue nearest to zero."""
        return np.asarray(values - np.rint(values * (1.0 / self.modulus)) * self.modulus, np.float64)

    def residues(self, centred: Float64Array) -> npt.NDArray[np.uint16]:
        """Centred residues -> residues below p, as the wire has them."""
        return np.where(centred < 0, centred + self.modulus, centred).astype(np.uint16)


@cache
def transform(degree: int, modulus: int, psi: int) -> Transform:
    """Make the matrices for N (a power of two), a prime p = 1 mod 2N below 2^16 and psi of order 2N modulo p."""
    if modulus.bit_length() > MOST_MODULUS_BITS or pow(psi, degree, modulus) != modulus - 1:
        raise InvalidInput(
            f"got modulus {modulus} and root {psi}, expected a prime below 2^16 and an element of order 2N"
        )
    bits = degree.bit_length() - 1
    rows = 1 << ((bits + 1) // 2)
    columns = degree // rows
    powers = np.array([pow(psi, n, modulus) for n in range(2 * degree)], np.int64)
    y, u, v, z = np.arange(rows)[:, None], np.arange(rows), np.arange(columns), np.arange(columns)

    def matrix(exponents: Int64Array) -> Float64Array:
        values = powers[exponents % (2 * degree)]
        return np.where(values > modulus // 2, values - modulus, values).astype(np.float64)

    reversed_ = np.array([int(f"{i:0{bits}b}"[::-1], 2) for i in range(degree)], np.int64)
    return Transform(
        degree,
        modulus,
        inner=matrix(columns * u + 2 * columns * u * y),
        twiddles=matrix(v + 2 * v * y),
        outer=matrix(2 * rows * v[:, None] * z),
        order=reversed_ % rows * columns + reversed_ // rows,
    )
