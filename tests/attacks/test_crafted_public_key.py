"""A crafted public key reads a ternary mask out of c0 and takes it off c1; our wide mask it cannot read.

The mask's public key (b, a) comes from the client. a is expanded from a seed, but b may be anything, and block replies
c0 = ... + b*u + e1 + F return N/k coefficients. With b = D * (1 + 3X + 9X^2 + 27X^3) and k = 4 each of them holds
four coefficients of u as digits in base 3, D = q / 81 apart: far more than the flood. All N digits of a ternary u are
read, c1 - a*u is the un-masked product, and the row follows from it. Of a u uniform in [-2^11, 2^11) the same reply
holds too little. (Design, section 4.4.) Server, flood, e1 and e2 are the real ones in both runs.
"""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from unseen.entropy import random_bytes
from unseen.he.expand import expand_seeds
from unseen.he.lanes import LANES
from unseen.he.mask import BATCH_BLOCKS, MaskBatch, MaskSource
from unseen.he.message import EncryptedQuery, write_query
from unseen.params import DEFAULT, ParameterSet

Int64Array = npt.NDArray[np.int64]

DIMENSION = 64
FACTOR = 4


class RecordingMasks(MaskSource):
    """The real masks, remembering every u, so that a test can compare what was read with what was used."""

    def __init__(self, parameters: ParameterSet) -> None:
        super().__init__(parameters)
        self.used: list[Int64Array] = []
        self._recording = threading.Lock()

    def make(self, rows_per_block: int) -> tuple[MaskBatch, MaskBatch]:
        first, second = (self._with_u(batch) for batch in super().make(rows_per_block))
        with self._recording:
            self.used += [*self._u_of(first), *self._u_of(second)]
        return first, second

    def _with_u(self, batch: MaskBatch) -> MaskBatch:
        return batch

    def _u_of(self, batch: MaskBatch) -> Int64Array:
        """u of each block, (8, N)."""
        q, degree = self.parameters.modulus, self.parameters.ring_degree
        lanes = np.zeros((1, degree, LANES), np.uint32)
        lanes[0, :, :BATCH_BLOCKS] = batch.u.transpose(0, 2, 1).reshape(degree, BATCH_BLOCKS)
        self._ring.inverse(lanes)
        u = lanes[0, :, :BATCH_BLOCKS].T.astype(np.int64)
        return np.where(u > q // 2, u - q, u)


class InsecureTernaryMasks(RecordingMasks):
    """u as textbooks and SEAL's public-key encryption draw it."""

    def _with_u(self, batch: MaskBatch) -> MaskBatch:
        degree = self.parameters.ring_degree
        draws = np.frombuffer(random_bytes(8 * BATCH_BLOCKS * degree), np.uint64) % np.uint64(3)
        ternary = (draws.astype(np.int64).reshape(degree, BATCH_BLOCKS) - 1) % self.parameters.modulus
        lanes = np.zeros((1, degree, LANES), np.uint32)
        lanes[0, :, :BATCH_BLOCKS] = ternary
        self._ring.forward(lanes)
        tiles = lanes[0, :, :BATCH_BLOCKS].reshape(-1, LANES, BATCH_BLOCKS)
        return replace(batch, u=np.ascontiguousarray(tiles.transpose(0, 2, 1)))


def crafted_query(target) -> tuple[bytes, Int64Array]:
    """A query whose public key spells u out; chunks as empty as the server lets pass. Also a (chunks + 1, N)."""
    parameters, chunks = target.parameters, target.packing.chunks
    seeds = np.frombuffer(random_bytes(64 * (chunks + 1)), np.uint8).reshape(chunks + 1, 64)
    c0 = np.zeros((chunks + 1, parameters.ring_degree), np.uint32)
    c0[:-1, 0] = 1 << parameters.query_drop_bits
    c0[-1, :FACTOR] = [digit_distance(parameters) * 3**i for i in range(FACTOR)]
    a = expand_seeds(seeds, parameters.ring_degree, parameters.modulus).astype(np.int64)
    return write_query(parameters, target.packing, EncryptedQuery(seeds, c0)), a


def digit_distance(parameters: ParameterSet) -> int:
    return parameters.modulus // 3**FACTOR


def read_mask(parameters: ParameterSet, c0: Int64Array) -> Int64Array:
    """u (N,) from one block's c0 (N/4,): value r is D * sum_i 3^i u[4r + 3 - i] and noise."""
    q = parameters.modulus
    centred = np.where(c0 > q // 2, c0 - q, c0)
    numbers = np.rint(centred / digit_distance(parameters)).astype(np.int64)
    u = np.zeros((len(c0), FACTOR), np.int64)
    for i in range(FACTOR):
        digit = (numbers + 1) % 3 - 1
        u[:, FACTOR - 1 - i] = digit
        numbers = (numbers - digit) // 3
    return u.reshape(-1)


def times(a: Int64Array, b: Int64Array, q: int) -> Int64Array:
    """a * b mod (X^N + 1, q)."""
    whole = np.convolve(a, b)
    product = whole[: len(a)].copy()
    product[:-1] -= whole[len(a) :]
    return product % q


@pytest.mark.parametrize("masks", [InsecureTernaryMasks, RecordingMasks], ids=["ternary", "real"])
def test_a_crafted_public_key_reads_a_ternary_mask_and_no_other(attack_target, solve_for_lone_row, masks) -> None:
    sources = []

    def make_masks(parameters: ParameterSet) -> MaskSource:
        sources.append(masks(parameters))
        return sources[-1]

    vector = np.random.default_rng(1).standard_normal((1, DIMENSION)).astype(np.float32)
    target = attack_target(make_masks, DEFAULT, vector, FACTOR)
    query, a = crafted_query(target)
    c1, c0 = target.ask(query)
    u = read_mask(DEFAULT, c0[0])
    unmasked = (c1[0] - times(a[-1], u, DEFAULT.modulus)) % DEFAULT.modulus
    row = solve_for_lone_row(DEFAULT, target.packing, a[:-1], unmasked)
    read_completely = any((u == used).all() for source in sources for used in source.used)
    if masks is InsecureTernaryMasks:
        assert read_completely
        assert row is not None
        assert (row == target.rows[0]).all()
    else:
        assert max((u == used).mean() for source in sources for used in source.used) < 0.01
        assert row is None
