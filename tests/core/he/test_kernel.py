"""Promises of ``unseen.he.kernel``: exact sums modulo q, however many chunks and however large the residues."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unseen.he.kernel import multiply_accumulate
from unseen.he.lanes import MOST_TERMS

MODULUS = 536813569
HALF = MODULUS // 2


def summed(query: np.ndarray, segment: np.ndarray) -> np.ndarray:
    sums = np.zeros((len(query), 4, 2, 16), np.uint32)
    multiply_accumulate(query, np.uint64(segment.ctypes.data), np.int64(MODULUS), sums)
    return sums


def plainly_summed(query: np.ndarray, segment: np.ndarray) -> np.ndarray:
    products = query.astype(object)[:, :, None, :, :] * segment.astype(object)[:, :, :, None, :]
    return products.sum(axis=1) % MODULUS


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 300), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_sums_agree_with_python_integers(chunks: int, tiles: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    query = random.integers(-HALF, HALF + 1, (tiles, chunks, 2, 16)).astype(np.int32)
    rows = random.integers(-HALF, HALF + 1, (tiles, chunks, 4, 16)).astype(np.int32)
    assert (summed(query, rows) == plainly_summed(query, rows)).all()


@pytest.mark.parametrize("chunks", [1, MOST_TERMS - 1, MOST_TERMS, MOST_TERMS + 1, 4096])
@pytest.mark.parametrize(("left", "right"), [(HALF, HALF), (-HALF, HALF), (-HALF, -HALF), (0, HALF)])
def test_largest_residues_never_overflow(chunks: int, left: int, right: int) -> None:
    query = np.full((1, chunks, 2, 16), left, np.int32)
    rows = np.full((1, chunks, 4, 16), right, np.int32)
    assert (summed(query, rows) == left * right * chunks % MODULUS).all()


def test_longest_sum_fits_signed_64_bits_for_every_29_bit_modulus_in_use() -> None:
    assert MOST_TERMS * HALF**2 + MODULUS < 2**63
