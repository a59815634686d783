"""Compile the scan before the first caller waits for it: one made-up query over one made-up row, thrown away."""

from __future__ import annotations

import numpy as np

from unseen.entropy import random_bytes
from unseen.he.mask import MaskSource
from unseen.he.message import EncryptedQuery, write_query
from unseen.he.packing import LEAST_DIMENSION
from unseen.he.scan import ScanIndex
from unseen.params import DEFAULT, SEED_BYTES


def warm_up() -> None:
    """Run every compiled step once; seconds at the first start on a machine, a fraction of one later."""
    index = ScanIndex(DEFAULT, LEAST_DIMENSION, LEAST_DIMENSION, MaskSource(DEFAULT))
    index.put(np.zeros(1, np.int64), np.ones((1, LEAST_DIMENSION), np.int16))
    ciphertexts = index.packing.chunks + 1
    seeds = np.frombuffer(random_bytes(ciphertexts * SEED_BYTES), np.uint8).reshape(ciphertexts, SEED_BYTES)
    residues = np.ones((ciphertexts, DEFAULT.ring_degree), np.uint32)
    query = write_query(DEFAULT, index.packing, EncryptedQuery(seeds, residues << np.uint32(DEFAULT.query_drop_bits)))
    index.answer(query, 1, emit=lambda blocks: None)
    index.clear(np.zeros(1, np.int64))
