"""Promises of ``unseen.he.owner.message``: one length, checked ranges, what was written is what is read."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unseen.errors import MalformedMessage
from unseen.he.owner.message import (
    Ciphertexts,
    SwitchedBlocks,
    choose_factor,
    ciphertexts_bytes,
    read_ciphertexts,
    read_reply_blocks,
    reply_block_bytes,
    traffic_bytes,
    write_ciphertexts,
    write_reply_blocks,
)
from unseen.he.packing import Packing, factors
from unseen.params import N2048_Q31_OWNER as OWNER

PACKING = Packing(OWNER.ring_degree, 24, 8)


def some_ciphertexts(seed: int = 1) -> Ciphertexts:
    random = np.random.default_rng(seed)
    c0 = np.stack([random.integers(0, modulus, (PACKING.chunks, OWNER.ring_degree)) for modulus in OWNER.moduli], 1)
    return Ciphertexts(random.bytes(32), c0.astype(np.uint16))


def test_ciphertexts_are_read_as_they_were_written() -> None:
    written = some_ciphertexts()
    data = write_ciphertexts(written)
    assert len(data) == ciphertexts_bytes(OWNER, PACKING) == 32 + 3 * 8192
    read = read_ciphertexts(OWNER, PACKING, data)
    assert read.seed == written.seed
    assert (read.c0 == written.c0).all()


def test_bytes_of_messages_never_change() -> None:
    """A changed layout orphans every stored block. The bytes are made from fixed seeds."""
    random = np.random.default_rng(2)
    blocks = SwitchedBlocks(
        random.integers(0, 1 << 12, (2, PACKING.rows_per_block)).astype(np.uint32),
        random.integers(0, 1 << 17, (2, OWNER.ring_degree)).astype(np.uint32),
        random.integers(0, 1 << 22, (2, OWNER.ring_degree)).astype(np.uint32),
    )
    data = write_ciphertexts(some_ciphertexts()) + write_reply_blocks(OWNER, PACKING, blocks)
    assert hashlib.sha256(data).hexdigest()[:32] == "08945bc6521df6c3906c78a9624ea616"


@settings(deadline=None, max_examples=30)
@given(st.integers(-40, 40), st.integers(0, 2**32 - 1))
def test_another_length_is_refused(difference: int, seed: int) -> None:
    data = np.random.default_rng(seed).bytes(ciphertexts_bytes(OWNER, PACKING) + difference)
    if difference:
        with pytest.raises(MalformedMessage, match="fetch the packing anew"):
            read_ciphertexts(OWNER, PACKING, data)


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("chunk", [0, 2])
@pytest.mark.parametrize("place", [0, 2047])
def test_a_residue_that_is_not_below_its_prime_is_refused(number: int, chunk: int, place: int) -> None:
    ciphertexts = some_ciphertexts()
    ciphertexts.c0[chunk, number, place] = OWNER.moduli[number] - 1
    assert read_ciphertexts(OWNER, PACKING, write_ciphertexts(ciphertexts)).c0[chunk, number, place] > 0
    ciphertexts.c0[chunk, number, place] = OWNER.moduli[number]
    with pytest.raises(MalformedMessage, match=f"above {OWNER.moduli[number] - 1}"):
        read_ciphertexts(OWNER, PACKING, write_ciphertexts(ciphertexts))


@pytest.mark.parametrize("number", [0, 1])
def test_an_empty_ciphertext_is_refused(number: int) -> None:
    ciphertexts = some_ciphertexts()
    ciphertexts.c0[1, number] = 0
    with pytest.raises(MalformedMessage, match="all zero"):
        read_ciphertexts(OWNER, PACKING, write_ciphertexts(ciphertexts))


@settings(deadline=None, max_examples=15)
@given(st.integers(1, 3), st.integers(8, 300), st.integers(0, 4), st.integers(0, 2**32 - 1))
def test_replies_are_read_as_they_were_written(count: int, dimension: int, which: int, seed: int) -> None:
    packing = Packing(OWNER.ring_degree, dimension, factors(OWNER.ring_degree, dimension)[which % 4])
    random = np.random.default_rng(seed)
    blocks = SwitchedBlocks(
        *(
            random.integers(0, 1 << bits, (count, values)).astype(np.uint32)
            for bits, values in ((12, packing.rows_per_block), (17, OWNER.ring_degree), (22, OWNER.ring_degree))
        )
    )
    data = write_reply_blocks(OWNER, packing, blocks)
    assert len(data) == count * reply_block_bytes(OWNER, packing)
    read = read_reply_blocks(OWNER, packing, data)
    assert (read.c0 == blocks.c0).all()
    assert (read.c1 == blocks.c1).all()
    assert (read.c2 == blocks.c2).all()
    for part in (b"", data[:-1], data + b"\0"):
        with pytest.raises(MalformedMessage, match="multiple of"):
            read_reply_blocks(OWNER, packing, part)


@pytest.mark.parametrize("slots", [0, 1, 1000, 10_000, 100_000, 1_000_000])
@pytest.mark.parametrize("dimension", [8, 100, 512, 4096])
def test_the_chosen_factor_has_the_least_traffic(slots: int, dimension: int) -> None:
    chosen = choose_factor(OWNER, dimension, slots)
    traffic = {
        factor: traffic_bytes(OWNER, Packing(OWNER.ring_degree, dimension, factor), max(slots, 1))
        for factor in factors(OWNER.ring_degree, dimension)
    }
    assert traffic[chosen] == min(traffic.values())


def test_ten_thousand_rows_of_512_stay_within_what_the_index_promises() -> None:
    packing = Packing(OWNER.ring_degree, 512, choose_factor(OWNER, 512, 10_000))
    assert ciphertexts_bytes(OWNER, packing) <= 550_000
    assert packing.blocks(10_000) * reply_block_bytes(OWNER, packing) <= 420_000
    assert ciphertexts_bytes(OWNER, packing) / packing.rows_per_block <= 2049, "at rest, per row"
