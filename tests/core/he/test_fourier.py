"""Promises of ``unseen.he.fourier``: the exact integers that schoolbook multiplication gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unseen.errors import InvalidInput
from unseen.he.fourier import multiply, transform


def slow_product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Schoolbook: X^N = -1."""
    degree = len(a)
    whole = np.convolve(a.astype(object), b.astype(object))
    low, high = whole[:degree].copy(), whole[degree:]
    low[: len(high)] -= high
    return low.astype(np.int64)


def test_known_answer() -> None:
    """(1 + 2X)(3 + X^3) = 3 + 6X + X^3 + 2X^4 = 1 + 6X + X^3, since X^4 = -1."""
    a, b = np.array([[1, 2, 0, 0]]), np.array([[3, 0, 0, 1]])
    assert multiply(a, transform(b)[0], 10).tolist() == [[1, 6, 0, 1]]


@given(bit=st.integers(1, 8), count=st.integers(1, 3), seed=st.integers(0, 999))
@settings(max_examples=60, deadline=None)
def test_agrees_with_schoolbook(bit, count, seed) -> None:
    rng = np.random.default_rng(seed)
    degree = 1 << bit
    many = rng.integers(0, 1 << 18, (count, degree))
    one = rng.integers(-1, 2, degree)
    products = multiply(many, transform(one[None])[0], 18 + bit)
    for a, product in zip(many, products, strict=True):
        assert (slow_product(a, one) == product).all()


@pytest.mark.parametrize("bits", [17, 18, 25])
def test_the_largest_products_at_full_degree_are_exact(bits) -> None:
    rng = np.random.default_rng(bits)
    largest = np.full(2048, (1 << bits) - 1)
    for one in (np.ones(2048, np.int64), -np.ones(2048, np.int64), rng.choice([-1, 1], 2048)):
        product = multiply(largest[None], transform(one[None])[0], bits + 11)[0]
        signs = np.cumsum(one) - (np.sum(one) - np.cumsum(one))
        assert (product == ((1 << bits) - 1) * signs).all()


def test_products_too_large_to_be_exact_are_refused() -> None:
    with pytest.raises(InvalidInput):
        multiply(np.zeros((1, 8), np.int64), np.zeros(4, np.complex128), 37)
