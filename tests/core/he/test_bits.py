"""Promises of ``unseen.he.bits``: fixed width, little-endian bit order, nothing lost."""

from __future__ import annotations

import hashlib

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from unseen.he.bits import pack_bits, packed_bytes, unpack_bits


def slow_pack(row: list[int], width: int) -> bytes:
    """The definition: one large integer, value i at bit i * width."""
    whole = sum(value << (position * width) for position, value in enumerate(row))
    return whole.to_bytes(-(-len(row) * width // 8), "little")


def test_known_answer() -> None:
    packed = pack_bits(np.array([[1, 2, 3]], np.uint32), 3)
    assert packed.tobytes() == bytes([0b11_010_001, 0b0])
    assert pack_bits(np.array([[0x1ABCD, 0x12345]], np.uint32), 17).tobytes() == bytes.fromhex("cdab8b460200")[:5]


@given(
    width=st.integers(1, 32),
    count=st.integers(1, 70),
    rows=st.integers(1, 3),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=200, deadline=None)
def test_agrees_with_one_large_integer_and_comes_back(width, count, rows, seed) -> None:
    values = np.random.default_rng(seed).integers(0, 1 << width, (rows, count), np.uint64).astype(np.uint32)
    packed = pack_bits(values, width)
    assert packed.dtype == np.uint8
    assert packed.shape == (rows, packed_bytes(width, count))
    for row, data in zip(values.tolist(), packed, strict=True):
        assert data.tobytes() == slow_pack(row, width)
    assert (unpack_bits(packed, width, count) == values).all()


@given(width=st.integers(1, 32), position=st.integers(0, 99))
@settings(max_examples=100, deadline=None)
def test_a_value_touches_its_own_bits_only(width, position) -> None:
    values = np.zeros((1, 100), np.uint32)
    values[0, position] = (1 << width) - 1
    whole = int.from_bytes(pack_bits(values, width).tobytes(), "little")
    assert whole == ((1 << width) - 1) << (position * width)


def test_no_rows_are_fine() -> None:
    assert pack_bits(np.zeros((0, 64), np.uint32), 17).shape == (0, 136)
    assert unpack_bits(np.zeros((0, 136), np.uint8), 17, 64).shape == (0, 64)


def test_tripwire() -> None:
    values = (np.arange(3 * 2048, dtype=np.uint32) * np.uint32(2654435761)).reshape(3, 2048)
    digest = hashlib.sha256()
    for width in (12, 13, 17, 18, 25, 27, 29):
        digest.update(pack_bits(values & np.uint32((1 << width) - 1), width).tobytes())
    assert digest.hexdigest() == "bc12d6330b48cfbe5cbc76b2880a0c131af4254899441bc186f166fb7016d59c"
