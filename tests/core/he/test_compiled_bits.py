"""Promises of ``unseen.he.compiled_bits``: the same bytes and the same integers as the plain twin."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from unseen.he import bits, compiled_bits


@settings(deadline=None)
@given(st.integers(1, 32), st.integers(1, 5), st.integers(1, 200), st.integers(0, 2**32 - 1))
def test_compiled_and_plain_packing_agree(width: int, rows: int, count: int, seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, 1 << width, (rows, count)).astype(np.uint32)
    packed = bits.pack_bits(values, width)
    assert (compiled_bits.unpack_bits(packed, width, count) == values).all()
    out = np.zeros((rows, packed.shape[1] + 3), np.uint8)
    for row in range(rows):
        assert compiled_bits.pack_bits(values[row], width, out[row], 3) == out.shape[1]
    assert (out[:, 3:] == packed).all()
