"""The classifier of dumps finds what two kinds of dump share, and nothing where they share nothing."""

from __future__ import annotations

import numpy as np

from bench.owner_dump import BIN_BITS, Guessed, guesses, unit_vectors, words_of
from unseen.he.mask import MaskSource
from unseen.he.owner.layout import Layout
from unseen.he.owner.message import read_ciphertexts
from unseen.he.owner.secret import OwnerKey
from unseen.he.owner.segment import Segment
from unseen.he.quantise import quantise_query, quantise_rows
from unseen.he.scan import ScanIndex
from unseen.params import DEFAULT, OWNER_DEFAULT

FIRST = Layout.of(OWNER_DEFAULT, 64, 4)
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


def test_what_an_index_holds_tells_sealed_rows_and_nothing_of_encrypted_ones() -> None:
    """A short sample, in one process: blocks as they come, as they lie in memory, and queries, made anew each time."""
    made = [unit_vectors(FIRST.whole.rows_per_block, 64, seed) for seed in (1, 2)]
    first, second = ([np.flatnonzero(words_of([sealed_segment(rows)], 1)) for _ in range(3)] for rows in made)
    assert guesses(first, second, np.random.default_rng(1)).rate == 1
    with OwnerKey.generate(OWNER_DEFAULT) as key:
        encrypted = [np.unique(encrypted_words(key, rows)) for rows in made for _ in range(4)]
    every = np.concatenate(encrypted)
    assert len(every) > 100_000
    assert len(np.unique(every)) == len(every), "no eight bytes of one encryption stand in another"


def sealed_segment(vectors: np.ndarray) -> bytes:
    masks = MaskSource(DEFAULT)
    index = ScanIndex(DEFAULT, vectors.shape[1], FIRST.whole.factor, masks)
    index.put(np.arange(len(vectors)), quantise_rows(DEFAULT, vectors))
    masks.close()
    return b"".join(segment._residues.tobytes() for segment in index._segments)


def encrypted_words(key: OwnerKey, vectors: np.ndarray) -> np.ndarray:
    """Of a block and a query; the room of the three blocks that a segment has beside it is zero."""
    (block,) = key.encrypt_rows(FIRST.whole, quantise_rows(OWNER_DEFAULT, vectors))
    query = key.encrypt_query(FIRST.whole, quantise_query(OWNER_DEFAULT, vectors[0]))
    segment = Segment(OWNER_DEFAULT, FIRST.whole)
    segment.write(0, read_ciphertexts(OWNER_DEFAULT, FIRST.whole, block))
    words = np.frombuffer(block + query + segment._residues.tobytes(), np.uint64)
    return words[words != 0]
