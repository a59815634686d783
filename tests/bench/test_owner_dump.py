"""The classifier of dumps finds what two kinds of dump share, and nothing where they share nothing."""

from __future__ import annotations

import numpy as np

from bench.owner_dump import Guessed, Order, guesses, orders, words_of
from bench.vectors import unit_vectors
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


def dumps(order: Order, random: np.random.Generator, shared: np.ndarray) -> list[np.ndarray]:
    """Noise, and of each collection the words that all its dumps share."""
    made = [which for pair in order for which in pair]
    return [np.union1d(random.integers(0, 1 << 63, NOISE, np.uint64), shared[which]) for which in made]


def told(shared: np.ndarray, seed: int) -> Guessed:
    random = np.random.default_rng(seed)
    order = orders(PAIRS, random)
    return guesses(dumps(order, random, shared), order, random)


def test_dumps_that_share_words_are_told_apart_and_others_are_not() -> None:
    shared = np.random.default_rng(1).integers(0, 1 << 63, (2, SHARED), np.uint64)
    different = told(shared, 1)
    assert different.right == different.of == 2 * PAIRS
    assert different.words == 2 * SHARED
    assert different.chance < 0.01
    alike = told(shared[[0, 0]], 1)
    assert alike.words == 0
    assert alike.chance > 0.01


def test_one_word_that_a_collection_shares_is_enough() -> None:
    one = np.random.default_rng(2).integers(0, 1 << 63, (2, 1), np.uint64)
    assert told(one, 2).right == 2 * PAIRS


def test_what_follows_time_alone_is_within_chance() -> None:
    """Every dump shares words with the next three, so that guesses hang together; how many are right says so."""
    chances = []
    for seed in range(20):
        random = np.random.default_rng(seed)
        order = orders(8, random)
        drift = np.arange(1, 20, dtype=np.uint64)
        chances.append(guesses([drift[at : at + 4] for at in range(16)], order, random).chance)
    assert sum(chance <= 0.05 for chance in chances) <= 4  # more than four of twenty: once in 300 times


def test_the_order_of_making_is_nothing_to_learn_from() -> None:
    """In each half as many pairs begin with the one as with the other."""
    order = orders(20, np.random.default_rng(1))
    assert [sorted(one) for one in order] == [[0, 1]] * 20
    assert [sum(which for which, _ in order[half::2]) for half in range(2)] == [5, 5]


def test_a_word_is_found_at_every_offset_that_is_looked_at() -> None:
    word = bytes(range(1, 9))
    (wanted,) = np.frombuffer(word, np.uint64)
    assert words_of([word, word], 1).tolist() == [wanted]
    for offset in range(8):
        assert wanted in words_of([bytes(offset) + word], 8)
        assert (wanted in words_of([bytes(offset) + word], 1)) == (offset == 0)
    assert not len(words_of([b"", b"short", bytes(64)], 8))


def test_what_an_index_holds_tells_sealed_rows_and_nothing_of_encrypted_ones() -> None:
    """A short sample, in one process: blocks as they come, as they lie in memory, and queries, made anew each time."""
    made = [unit_vectors(FIRST.whole.rows_per_block, 64, seed) for seed in (1, 2)]
    order, random = [(0, 1), (1, 0), (1, 0), (0, 1)], np.random.default_rng(1)
    sealed = [words_of([sealed_segment(made[which])], 1) for pair in order for which in pair]
    assert guesses(sealed, order, random).right == len(sealed)
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
