"""Whatever a query is crafted from, the blocks that it may have depend on no row of a block that it may not have.

Shown where it is hardest to hide: on a server without mask and flood, whose replies are exact functions of its rows.
With every block sent the same queries tell two indexes apart; with the blocks of one compartment they cannot, although
everything else about the two differs.
"""

from __future__ import annotations

import numpy as np
import pytest

from unseen.he.mask import insecure_no_mask
from unseen.he.message import EncryptedQuery, write_query
from unseen.he.packing import Packing
from unseen.he.quantise import quantise_rows
from unseen.he.scan import ScanIndex
from unseen.params import DEFAULT

DIMENSION, EXTENTS, ROWS_PER_EXTENT = 8, 3, 2048
ALLOWED = 1
"""The extent that the query may have; the others belong to other compartments."""


def rows(seed: int) -> np.ndarray:
    drawn = np.random.default_rng(seed).standard_normal((ROWS_PER_EXTENT, DIMENSION)).astype(np.float32)
    return quantise_rows(DEFAULT, drawn)


def crafted(packing: Packing, seed: int) -> bytes:
    """A query that parses and encrypts nothing: residues of the attacker's choice."""
    random = np.random.default_rng(seed)
    count = packing.chunks + 1
    residues = random.integers(1, DEFAULT.modulus - 64, (count, DEFAULT.ring_degree)).astype(np.uint32)
    return write_query(
        DEFAULT, packing, EncryptedQuery(random.integers(0, 256, (count, 64)).astype(np.uint8), residues)
    )


@pytest.mark.parametrize("factor", [1, 2, 8])
def test_crafted_queries_learn_nothing_of_rows_of_another_compartment(factor: int) -> None:
    packing = Packing(DEFAULT.ring_degree, DIMENSION, factor)
    masks = insecure_no_mask(DEFAULT)
    slots = EXTENTS * ROWS_PER_EXTENT
    one, other = (ScanIndex(DEFAULT, DIMENSION, factor, masks) for _ in range(2))
    for extent in range(EXTENTS):
        where = np.arange(extent * ROWS_PER_EXTENT, (extent + 1) * ROWS_PER_EXTENT)
        one.put(where, rows(extent))
        other.put(where, rows(extent if extent == ALLOWED else 100 + extent))
    wanted = np.arange(packing.blocks(slots)) * packing.rows_per_block // ROWS_PER_EXTENT == ALLOWED
    for seed in range(4):
        query = crafted(packing, seed)

        def reply(index: ScanIndex, blocks: np.ndarray | None, query: bytes = query) -> bytes:
            parts: list[bytes] = []
            index.answer(query, slots, parts.append, wanted=blocks)
            return b"".join(parts)

        assert reply(one, wanted) == reply(other, wanted)
        assert reply(one, None) != reply(other, None)
    masks.close()
