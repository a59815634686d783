"""Promises of ``unseen.he.owner.reply``: primes are joined and moduli switched to the nearest step."""

from __future__ import annotations

import numpy as np
import pytest

from tests.core.he.owner.slow_server import coefficients, joined, switched
from unseen.he.owner.kernel import PRODUCTS
from unseen.he.owner.message import read_reply_blocks, reply_block_bytes, reply_runs
from unseen.he.owner.reply import finish_blocks, fractions, joining_roots
from unseen.he.packing import Packing
from unseen.params import N2048_Q31_OWNER as OWNER


@pytest.mark.parametrize(("factor", "blocks"), [(1, 4), (8, 3), (512, 1)])
def test_blocks_are_finished_as_plain_arithmetic_does_it(factor: int, blocks: int) -> None:
    packing = Packing(OWNER.ring_degree, 512, factor)
    random = np.random.default_rng(factor)
    lanes = [random.integers(0, p, (1, OWNER.ring_degree, 16)).astype(np.uint32) for p in OWNER.moduli]
    sums = [
        coefficients(lane[0].T, modulus, psi)
        for lane, modulus, psi in zip(lanes, OWNER.moduli, OWNER.roots, strict=True)
    ]
    values = joined(OWNER, np.stack(sums))
    out = np.zeros((blocks, reply_block_bytes(OWNER, packing)), np.uint8)
    bits = np.array([width for width, _ in reply_runs(OWNER, packing)], np.int64)
    moduli = np.array(OWNER.moduli, np.int64)
    finish_blocks(*lanes, joining_roots(OWNER), moduli, fractions(OWNER), bits, factor, out)
    read = read_reply_blocks(OWNER, packing, out.tobytes())
    for block in range(blocks):
        products = values[PRODUCTS * block : PRODUCTS * block + PRODUCTS]
        assert (read.c0[block] == switched(OWNER, products[0, packing.score_coefficients()], 12)).all()
        assert (read.c1[block] == switched(OWNER, products[1], 17)).all()
        assert (read.c2[block] == switched(OWNER, products[2], 22)).all()


def test_a_sum_of_fractions_is_nearer_than_any_tie() -> None:
    """v/q from two rounded fractions is off by less than 2^-47; what it is switched to has steps of 2^-22."""
    for weight, modulus in zip(fractions(OWNER).tolist(), OWNER.moduli, strict=True):
        assert abs(weight * modulus - 2**64) <= modulus
    assert sum(OWNER.moduli) / 2 < 2**17
