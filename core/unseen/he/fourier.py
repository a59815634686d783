"""Exact products in Z[X]/(X^N + 1) by floating-point Fourier transforms, for factors small enough. Public arithmetic.

A reply's c1 has 17 or 18 bits and a key's coefficients are -1, 0 or 1, so every coefficient of their product is below
2^29 and a float64 transform finds it to within 2^-18: rounding gives the exact integer, many times faster than a
number-theoretic transform in numpy, and without the interpreter lock.

X^N + 1 = (X^(N/2) - i)(X^(N/2) + i): a real polynomial a is known from a mod (X^(N/2) - i), the N/2 complex numbers
a_j + i * a_(j + N/2). Multiplying number j by exp(i * pi * j / N) turns the modulus into X^(N/2) - 1, where the
transform of length N/2 multiplies point by point.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from unseen.errors import InvalidInput

ComplexArray = npt.NDArray[np.complex128]
Int64Array = npt.NDArray[np.int64]
IntegerArray = npt.NDArray[np.integer]

MOST_PRODUCT_BITS = 36
"""Error of a transform is below 2^-53 * 2 log2(N) * (the largest coefficient a product could have): a 2^-12 at 2^36."""


def transform(polynomials: IntegerArray) -> ComplexArray:
    """Polynomials (n, N) -> their transforms (n, N/2), for ``multiply``."""
    half = polynomials.shape[1] // 2
    folded = np.empty((len(polynomials), half), np.complex128)
    folded.real = polynomials[:, :half]
    folded.imag = polynomials[:, half:]
    folded *= _twist(half)
    return np.fft.fft(folded)


def multiply(polynomials: IntegerArray, transformed: ComplexArray, product_bits: int) -> Int64Array:
    """Products (n, N) of polynomials (n, N) with one polynomial, given as its transform (N/2,).

    The caller states with ``product_bits`` that N * max|a| * max|b| < 2^product_bits; raises InvalidInput over 36.
    """
    if product_bits > MOST_PRODUCT_BITS:
        raise InvalidInput(f"got products of {product_bits} bits, expected at most {MOST_PRODUCT_BITS} to stay exact")
    half = transformed.shape[0]
    folded = np.fft.ifft(transform(polynomials) * transformed)
    folded *= _twist(half).conj()
    products = np.empty((len(polynomials), 2 * half), np.int64)
    products[:, :half] = np.rint(folded.real)
    products[:, half:] = np.rint(folded.imag)
    return products


@lru_cache(maxsize=8)
def _twist(half: int) -> ComplexArray:
    return np.asarray(np.exp(1j * np.pi * np.arange(half) / (2 * half)), dtype=np.complex128)
