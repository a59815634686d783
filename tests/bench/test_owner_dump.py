"""The classifier of dumps finds what two kinds of dump share, and nothing where they share nothing."""

from __future__ import annotations

import numpy as np

from bench.owner_dump import BIN_BITS, Guessed, guesses, words_of

NOISE, SHARED, PAIRS = 2000, 20, 20


def dumps(random: np.random.Generator, shared: np.ndarray) -> list[np.ndarray]:
    return [np.union1d(random.integers(0, 1 << BIN_BITS, NOISE), shared) for _ in range(PAIRS)]


def test_dumps_that_share_words_are_told_apart_and_others_are_not() -> None:
    random = np.random.default_rng(1)
    shared = random.integers(0, 1 << BIN_BITS, (2, SHARED))
    told = guesses(dumps(random, shared[0]), dumps(random, shared[1]), random)
    assert told.right == told.of == 2 * PAIRS
    low, high = guesses(dumps(random, shared[0]), dumps(random, shared[0]), random).interval
    assert low < 0.5 < high


def test_a_word_is_found_at_every_offset_that_is_looked_at() -> None:
    word = bytes(range(1, 9))
    (at,) = np.flatnonzero(words_of([word], 1))
    for offset in range(8):
        assert words_of([bytes(offset) + word], 8)[at]
        assert words_of([bytes(offset) + word], 1)[at] == (offset == 0)
    assert not words_of([b"", b"short", bytes(64)], 8).any()


def test_interval_holds_the_rate() -> None:
    low, high = Guessed(30, 60).interval
    assert low < 0.5 < high
    assert Guessed(60, 60).interval[0] > 0.9
