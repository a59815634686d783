"""Why nothing that comes of decrypting with an owner key may reach a server: what it would learn if it did.

A query's key of the sealed index lives for one query. An owner key lives for years, and a server may answer anything.
"""

from __future__ import annotations

import numpy as np

from unseen.he.owner.message import SwitchedBlocks, write_reply_blocks
from unseen.he.owner.secret import OwnerKey
from unseen.he.packing import Packing
from unseen.params import N2048_Q31_OWNER as OWNER

LOUD = 1 << 10
"""What one coefficient of the key is multiplied with: far above the rounding, far below a wrap."""


def crafted_reply(packing: Packing, shift: int) -> bytes:
    """c1 = LOUD * X^shift and nothing else: its scores are coefficients of the key."""
    c0 = np.zeros((1, packing.rows_per_block), np.uint32)
    c1, c2 = (np.zeros((1, OWNER.ring_degree), np.uint32) for _ in range(2))
    c1[0, shift] = LOUD
    return write_reply_blocks(OWNER, packing, SwitchedBlocks(c0, c1, c2))


def test_scores_of_k_crafted_replies_would_be_the_whole_key() -> None:
    """This is the forbidden thing, done: k = 8 replies whose scores come back to who made them."""
    packing = Packing(OWNER.ring_degree, 64, 8)
    with OwnerKey.generate(OWNER) as key:
        found = np.zeros(OWNER.ring_degree, np.int8)
        for shift in range(packing.factor):
            scores = key.decrypt(packing, crafted_reply(packing, shift))
            found[packing.factor - 1 - shift :: packing.factor] = np.sign(scores)
        assert (found == key._secret).all()


def test_a_device_takes_crafted_replies_like_any_other() -> None:
    """No error tells them apart: what a caller may check, it checks behind its own door."""
    packing = Packing(OWNER.ring_degree, 64, 8)
    with OwnerKey.generate(OWNER) as key:
        for shift in range(3):
            scores = key.decrypt(packing, crafted_reply(packing, shift))
            assert scores.shape == (packing.rows_per_block,)
