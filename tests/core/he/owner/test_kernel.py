"""Promises of ``unseen.he.owner.kernel``: exact sums modulo p, however many chunks and however large the residues."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unseen.he.owner.digits import cut
from unseen.he.owner.kernel import MOST_PAIRS, PRODUCTS, QUAD, multiply_accumulate
from unseen.params import N2048_Q31_OWNER as OWNER


def summed(query: np.ndarray, rows: np.ndarray, p: int) -> np.ndarray:
    """query (chunks, 2, N) and rows (chunks, 4, 2, N), centred -> (4, 3, N), as the kernel gives them."""
    chunks, _, degree = query.shape
    tiles, pairs = degree // 16, -(-chunks // 2)
    digits = np.zeros((tiles, pairs, 4, 16, 2), np.int16)
    for polynomial in (0, 1):
        cut((query[:, polynomial] % p).astype(np.uint16), polynomial, 0, p, digits)
    padded = np.zeros((2 * pairs, 4, 2, degree), np.int16)
    padded[:chunks] = rows
    segment = np.ascontiguousarray(padded.reshape(pairs, 2, 4, 2, tiles, 16).transpose(4, 0, 2, 3, 5, 1))
    lanes = np.full((degree, 16), 7, np.uint32)
    multiply_accumulate(digits, np.uint64(segment.ctypes.data), np.int32(p), lanes)
    assert (lanes[:, QUAD * PRODUCTS :] == 7).all()
    return lanes[:, : QUAD * PRODUCTS].T.reshape(QUAD, PRODUCTS, degree)


def plainly_summed(query: np.ndarray, rows: np.ndarray, p: int) -> np.ndarray:
    a, b = query.astype(np.int64)[:, None], rows.astype(np.int64)
    middle = a[:, :, 0] * b[:, :, 1] + a[:, :, 1] * b[:, :, 0]
    sums = [(a[:, :, 0] * b[:, :, 0]).sum(axis=0), middle.sum(axis=0), (a[:, :, 1] * b[:, :, 1]).sum(axis=0)]
    return np.stack(sums, axis=1) % p


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 600), st.integers(1, 3), st.sampled_from(OWNER.moduli), st.integers(0, 2**32 - 1))
def test_sums_agree_with_plain_integers(chunks: int, tiles: int, p: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    query = random.integers(-(p // 2), p // 2 + 1, (chunks, 2, 16 * tiles))
    rows = random.integers(-(p // 2), p // 2 + 1, (chunks, 4, 2, 16 * tiles))
    assert (summed(query, rows, p) == plainly_summed(query, rows, p)).all()


@pytest.mark.parametrize("p", OWNER.moduli)
@pytest.mark.parametrize("chunks", [1, 2 * MOST_PAIRS - 1, 2 * MOST_PAIRS, 2 * MOST_PAIRS + 1, 4096])
def test_largest_sums_never_overflow(p: int, chunks: int) -> None:
    """The largest residues, and those whose digits are largest: 127 and -128 in the low one."""
    for left in (p // 2, -(p // 2), 119 * 256 + 127, -120 * 256 - 128, 128, -129):
        if abs(left) > p // 2:
            continue
        for right in (p // 2, -(p // 2)):
            query = np.full((chunks, 2, 16), left)
            rows = np.full((chunks, 4, 2, 16), right)
            assert (summed(query, rows, p) == plainly_summed(query, rows, p)).all()


def test_the_longest_sum_of_digits_fits_signed_32_bits() -> None:
    largest = max(OWNER.moduli) // 2
    assert MOST_PAIRS * 2 * 2 * 128 * largest + largest + 1024 < 2**31
    assert -(-largest // 256) <= 127, "the high digit fits"


@pytest.mark.parametrize("p", OWNER.moduli)
def test_digits_make_up_every_residue_there_is(p: int) -> None:
    values = np.arange(p)
    padded = np.zeros(-(-p // 16) * 16, np.uint16)
    padded[:p] = values
    digits = np.zeros((len(padded) // 16, 1, 4, 16, 2), np.int16)
    cut(padded[None], 0, 0, p, digits)
    low, high = (digits[:, 0, line, :, 0].reshape(-1)[:p].astype(np.int64) for line in (0, 1))
    assert ((256 * high + low - values) % p == 0).all()
    assert np.abs(256 * high + low).max() <= p // 2
    for digit in (low, high):
        assert -128 <= digit.min() <= digit.max() <= 127
