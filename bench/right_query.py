"""A query of the right form that encrypts nothing: for who sends or breaks many, and needs none of them answered."""

from __future__ import annotations

import numpy as np

from unseen.entropy import random_bytes
from unseen.he.message import EncryptedQuery, write_query
from unseen.he.packing import Packing
from unseen.params import SEED_BYTES, ParameterSet


def right_query(parameters: ParameterSet, packing: Packing) -> bytes:
    """Its bytes: fresh seeds, and residues that are all the least there is."""
    count = packing.chunks + 1
    seeds = np.frombuffer(random_bytes(count * SEED_BYTES), np.uint8).reshape(count, SEED_BYTES)
    residues = np.full((count, parameters.ring_degree), 1 << parameters.query_drop_bits, np.uint32)
    return write_query(parameters, packing, EncryptedQuery(seeds, residues))
