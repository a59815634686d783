"""Promises of ``unseen.he.reply``: bytes equal the plain computation, mask and noise included."""

from __future__ import annotations

import numpy as np
import pytest

from unseen.he.mask import MaskSource
from unseen.he.message import reply_block_bytes, write_reply_blocks
from unseen.he.packing import Packing
from unseen.he.reply import finish_blocks
from unseen.he.ring import ring
from unseen.params import DEFAULT, N2048_Q29_FINE, ParameterSet


def plainly_finished(parameters: ParameterSet, packing: Packing, sums, key, masks) -> bytes:
    """Python integers, one block at a time, packed by the other packer."""
    q, degree = parameters.modulus, parameters.ring_degree
    c0, c1 = [], []
    for block in range(8):
        of_block = []
        for polynomial in range(2):
            total = sums[block // 4, :, block % 4, polynomial].astype(object)
            masked = (total + key[:, polynomial].astype(object) * masks.u[:, block].astype(object)) % q
            lanes = np.zeros((1, degree, 16), np.uint32)
            lanes[0, :, 0] = masked.reshape(degree).astype(np.uint32)
            ring(degree, q).inverse(lanes)
            of_block.append(lanes[0, :, 0].astype(object))
        here = of_block[0][packing.score_coefficients()] + masks.noise_c0[block]
        c0.append([switched(int(value), q, parameters.reply_c0_bits) for value in here])
        c1.append(
            [switched(int(value), q, parameters.reply_c1_bits) for value in of_block[1] + masks.noise_c1[:, block]]
        )
    return write_reply_blocks(parameters, packing, np.array(c1, np.uint32), np.array(c0, np.uint32))


def switched(value: int, q: int, bits: int) -> int:
    return ((2 * (value % q) << bits) + q) // (2 * q) % (1 << bits)


@pytest.mark.parametrize("parameters", [DEFAULT, N2048_Q29_FINE], ids=lambda p: p.name)
@pytest.mark.parametrize("factor", [1, 4, 512])
def test_reply_bytes_agree_with_plain_integers(parameters: ParameterSet, factor: int) -> None:
    packing, random = Packing(2048, 512, factor), np.random.default_rng(factor)
    sums = random.integers(0, parameters.modulus, (2, 128, 4, 2, 16)).astype(np.uint32)
    key = random.integers(0, parameters.modulus, (128, 2, 16)).astype(np.uint32)
    masks, _ = MaskSource(parameters).make(packing.rows_per_block)
    expected = plainly_finished(parameters, packing, sums, key, masks)
    for blocks in (8, 3, 1):
        out = np.zeros((blocks, reply_block_bytes(parameters, packing)), np.uint8)
        finish_blocks(
            sums,
            key,
            masks.u,
            masks.noise_c0,
            masks.noise_c1,
            ring(2048, parameters.modulus).inverse_roots,
            parameters.modulus,
            parameters.reply_c0_bits,
            parameters.reply_c1_bits,
            np.zeros((1, 2048, 16), np.uint32),
            out,
        )
        assert out.tobytes() == expected[: out.size]
