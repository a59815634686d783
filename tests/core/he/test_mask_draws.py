"""Promises of ``unseen.he.mask_draws``: every mask is what a plain reading of the same key stream gives."""

from __future__ import annotations

import math

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

from unseen.he.chacha20 import state_of
from unseen.he.mask_draws import draw_masks
from unseen.he.ring import ring
from unseen.params import DEFAULT

KEY = bytes(range(100, 132))
DEGREE, COINS, BOUND = 2048, DEFAULT.error_coins, DEFAULT.mask_bound


def pieces() -> np.ndarray:
    """The stream as ``cryptography`` has it, as the lines that ``fill_piece`` writes: (pieces, 16, 16)."""
    stream = Cipher(algorithms.ChaCha20(KEY, bytes(16)), None).encryptor().update(bytes(1 << 20))
    return np.frombuffer(stream, "<u4").reshape(-1, 16, 16).transpose(0, 2, 1)


def drawn(rows_per_block: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    u = np.zeros((2, DEGREE // 16, 8, 16), np.uint32)
    noise_c0, noise_c1 = np.zeros((2, 8, rows_per_block), np.int32), np.zeros((2, DEGREE, 8), np.int8)
    lanes, piece = np.zeros((1, DEGREE, 16), np.uint32), np.zeros((16, 16), np.uint32)
    the_ring = ring(DEGREE, DEFAULT.modulus)
    state, q = state_of(KEY), DEFAULT.modulus
    draw_masks(state, the_ring.roots, q, COINS, BOUND, DEFAULT.flood_std, lanes, piece, u, noise_c0, noise_c1)
    return u, noise_c0, noise_c1


def test_u_and_e2_agree_with_a_plain_reading_of_the_stream() -> None:
    u, _, e2 = drawn(1)
    lines = pieces()[: DEGREE // 8].reshape(DEGREE, 2, 16)
    low = (1 << COINS) - 1
    expected_u = np.zeros((1, DEGREE, 16), np.uint32)
    for n in range(DEGREE):
        for polynomial in range(16):
            first, second = (int(word) for word in lines[n, :, polynomial])
            bits = (first >> COINS) | (second >> COINS) << (32 - COINS)
            expected_u[0, n, polynomial] = (bits % (2 * BOUND) - BOUND) % DEFAULT.modulus
            value = (first & low).bit_count() - (second & low).bit_count()
            assert e2[polynomial // 8, n, polynomial % 8] == value
    ring(DEGREE, DEFAULT.modulus).forward(expected_u)
    together = u.transpose(1, 3, 0, 2).reshape(DEGREE, 16)
    assert (together == expected_u[0]).all()


@pytest.mark.parametrize("rows_per_block", [1, 3, 8, 100])
def test_flood_and_e1_agree_with_a_plain_reading_of_the_stream(rows_per_block: int) -> None:
    _, noise, _ = drawn(rows_per_block)
    count, low = noise.size, (1 << COINS) - 1
    words = np.ascontiguousarray(pieces()[DEGREE // 8 :]).view("<u8").reshape(-1, 2, 64)
    expected = []
    for at in range(count):
        flood_words, error_words = words[at // 64]
        first, second = (int(word) >> 11 for word in flood_words[at % 64 & ~1 : (at % 64 & ~1) + 2])
        radius = DEFAULT.flood_std * math.sqrt(-2 * math.log((first + 0.5) / 2**53))
        angle = 2 * math.pi * second / 2**53
        flood = radius * (math.sin(angle) if at % 2 else math.cos(angle))
        word = int(error_words[at % 64])
        expected.append(round(flood) + (word & low).bit_count() - ((word >> COINS) & low).bit_count())
    # The last digits of a logarithm are the library's affair: a value next to a half may round either way.
    assert np.abs(noise.reshape(-1) - np.array(expected)).max() <= 1
    assert (noise.reshape(-1) == np.array(expected)).mean() > 0.99


def test_one_key_gives_the_same_masks_again() -> None:
    first = drawn(4)
    again = drawn(4)
    assert all((one == other).all() for one, other in zip(first, again, strict=True))
