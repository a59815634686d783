"""Promises of ``unseen.he.owner.segment``: a block holds what was written last, and nothing of what was before."""

from __future__ import annotations

import numpy as np
import pytest

from unseen.he.owner.message import Ciphertexts
from unseen.he.owner.segment import Segment
from unseen.he.owner.uniform import uniform_residues
from unseen.he.packing import Packing
from unseen.params import N2048_Q31_OWNER as OWNER


def some_ciphertexts(packing: Packing, seed: int) -> Ciphertexts:
    random = np.random.default_rng(seed)
    shape = (packing.chunks, OWNER.ring_degree)
    c0 = np.stack([random.integers(0, modulus, shape) for modulus in OWNER.moduli], axis=1)
    return Ciphertexts(random.bytes(32), c0.astype(np.uint16))


def held(segment: Segment, packing: Packing, block: int) -> np.ndarray:
    """(primes, 2, chunks, N) centred residues, read off the layout that the file draws."""
    part = segment._residues[:, :, :, block]  # prime, tile, pair, polynomial, lane, chunk of the pair
    turned = part.transpose(0, 3, 2, 5, 1, 4).reshape(2, 2, -1, OWNER.ring_degree)
    assert not turned[:, :, packing.chunks :].any(), "the gap that an odd number of chunks leaves stays zero"
    return turned[:, :, : packing.chunks].astype(np.int64)


def expected(*summands: Ciphertexts) -> np.ndarray:
    total = np.zeros((2, 2, len(summands[0].c0), OWNER.ring_degree), np.int64)
    for one in summands:
        c1 = uniform_residues(one.seed, len(one.c0), OWNER.ring_degree, OWNER.moduli)
        total += np.stack([one.c0, c1]).transpose(2, 0, 1, 3).astype(np.int64)
    for number, modulus in enumerate(OWNER.moduli):
        total[number] = (total[number] + modulus // 2) % modulus - modulus // 2
    return total


@pytest.mark.parametrize(("dimension", "factor"), [(32, 8), (24, 8), (512, 512), (9, 1)])
def test_blocks_hold_both_polynomials_of_what_was_written(dimension: int, factor: int) -> None:
    packing = Packing(OWNER.ring_degree, dimension, factor)
    segment = Segment(OWNER, packing)
    blocks = [some_ciphertexts(packing, seed) for seed in range(4)]
    for block in (2, 0, 3, 1):
        segment.write(block, blocks[block])
    for block in range(4):
        assert (held(segment, packing, block) == expected(blocks[block])).all()


def test_writing_replaces_and_clearing_leaves_nothing() -> None:
    packing = Packing(OWNER.ring_degree, 24, 8)
    segment = Segment(OWNER, packing)
    before, after, beside = (some_ciphertexts(packing, seed) for seed in range(3))
    segment.write(1, before)
    segment.write(2, beside)
    segment.write(1, after)
    assert (held(segment, packing, 1) == expected(after)).all()
    segment.clear(1)
    assert not held(segment, packing, 1).any()
    assert (held(segment, packing, 2) == expected(beside)).all()


def test_adding_is_exact_modulo_each_prime_however_often() -> None:
    packing = Packing(OWNER.ring_degree, 16, 16)
    segment = Segment(OWNER, packing)
    summands = [some_ciphertexts(packing, seed) for seed in range(5)]
    for one in summands:
        segment.add(3, one)
    assert (held(segment, packing, 3) == expected(*summands)).all()


def test_a_row_of_512_takes_less_than_4400_bytes() -> None:
    packing = Packing(OWNER.ring_degree, 512, 8)
    assert Segment(OWNER, packing).size_bytes / (4 * packing.rows_per_block) == 4096
