"""A plain RLWE client for the engine's tests: numpy convolutions and numpy randomness, nothing from ring or SEAL."""

from __future__ import annotations

import numpy as np
import pytest

from unseen.he.expand import expand_seeds
from unseen.he.message import EncryptedQuery, read_reply_blocks, write_query
from unseen.he.packing import Packing
from unseen.params import ParameterSet


def negacyclic_product(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Schoolbook product modulo X^N + 1 over the integers; the caller sees to it that sums fit 64 bits."""
    whole = np.convolve(left.astype(np.int64), right.astype(np.int64))
    degree = left.size
    product = whole[:degree].copy()
    product[: whole.size - degree] -= whole[degree:]
    return product


class PlainClient:
    """Encrypts queries and decrypts replies, slowly and plainly, under one insecure ternary key."""

    def __init__(self, parameters: ParameterSet, packing: Packing, seed: int = 1) -> None:
        self.parameters, self.packing = parameters, packing
        self.random = np.random.default_rng(seed)
        self.secret = self.random.integers(-1, 2, parameters.ring_degree)

    def encrypt(self, query: np.ndarray) -> bytes:
        p, count = self.parameters, self.packing.chunks + 1
        seeds = self.random.integers(0, 256, (count, 64)).astype(np.uint8)
        messages = np.zeros((count, p.ring_degree), np.int64)
        messages[:-1, : self.packing.factor] = self.packing.query_polynomials(query)
        scaled = np.rint(messages * (p.modulus / p.plain_modulus)).astype(np.int64)
        errors = self.random.binomial(42, 0.5, messages.shape) - 21
        masks = np.stack([negacyclic_product(a, self.secret) for a in expand_seeds(seeds, p.ring_degree, p.modulus)])
        c0 = ((scaled + errors - masks) % p.modulus).astype(np.uint32)
        return write_query(p, self.packing, EncryptedQuery(seeds, c0))

    def decrypt(self, blocks: bytes) -> np.ndarray:
        p, places = self.parameters, self.packing.score_coefficients()
        c1, c0 = read_reply_blocks(p, self.packing, blocks)
        c1 = np.rint(c1 * (p.modulus / 2**p.reply_c1_bits)).astype(np.int64)
        c0 = np.rint(c0 * (p.modulus / 2**p.reply_c0_bits)).astype(np.int64)
        phase = c0 + np.stack([negacyclic_product(block, self.secret)[places] for block in c1])
        centred = (phase + p.modulus // 2) % p.modulus - p.modulus // 2
        return np.rint(centred * (p.plain_modulus / p.modulus)).astype(np.int64).reshape(-1)


@pytest.fixture(scope="session")
def plain_client():
    return PlainClient


@pytest.fixture(scope="session")
def schoolbook():
    return negacyclic_product
