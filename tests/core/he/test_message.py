"""Promises of ``unseen.he.message``: one fixed layout, and nothing hostile gets past the first checks."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unseen.errors import InvalidInput, MalformedMessage
from unseen.he.message import (
    EncryptedQuery,
    query_bytes,
    read_query,
    read_reply_blocks,
    reply_block_bytes,
    write_query,
    write_reply_blocks,
)
from unseen.he.packing import Packing
from unseen.params import N2048_Q29, PUBLISHED

TINY = replace(N2048_Q29, name="insecure_tiny", ring_degree=32)
TINY_PACKING = Packing(32, 8, 4)


def some_query(parameters, packing, seed=1) -> EncryptedQuery:
    rng = np.random.default_rng(seed)
    return EncryptedQuery(
        rng.integers(0, 256, (packing.chunks + 1, 64), np.uint8),
        rng.integers(0, parameters.modulus, (packing.chunks + 1, packing.ring_degree)).astype(np.uint32),
    )


def counted_query(parameters, packing) -> EncryptedQuery:
    """A query from arithmetic alone: the same bytes with every numpy."""
    count = packing.chunks + 1
    c0 = np.arange(count * packing.ring_degree, dtype=np.uint64) * 2654435761 % parameters.modulus
    seeds = (np.arange(count * 64) * 37 % 251).astype(np.uint8)
    return EncryptedQuery(seeds.reshape(count, 64), c0.astype(np.uint32).reshape(count, packing.ring_degree))


def slow_bits(data: bytes, width: int, count: int) -> list[int]:
    whole = int.from_bytes(data, "little")
    return [(whole >> (position * width)) & ((1 << width) - 1) for position in range(count)]


def test_sizes_known_answer() -> None:
    packing = Packing(2048, 512, 4)
    assert query_bytes(N2048_Q29, packing) == 128 * (64 + 2048 * 25 // 8) + 64 + 2048 * 29 // 8 == 834_880
    assert reply_block_bytes(N2048_Q29, packing) == 2048 * 17 // 8 + 512 * 12 // 8 == 5120


@pytest.mark.parametrize("parameters", PUBLISHED, ids=lambda p: p.name)
@given(dimension=st.integers(8, 600), bit=st.integers(0, 9), seed=st.integers(0, 99))
@settings(max_examples=10, deadline=None)
def test_a_query_comes_back_rounded_to_the_bits_it_carries(parameters, dimension, bit, seed) -> None:
    packing = Packing(2048, dimension, min(1 << bit, 1 << (dimension - 1).bit_length()))
    query = some_query(parameters, packing, seed)
    data = write_query(parameters, packing, query)
    assert len(data) == query_bytes(parameters, packing)
    back = read_query(parameters, packing, data)
    step = 1 << parameters.query_drop_bits
    assert (back.seeds == query.seeds).all()
    assert (back.c0[-1] == query.c0[-1]).all()
    assert np.abs(back.c0[:-1].astype(np.int64) - query.c0[:-1]).max() <= step // 2
    assert (back.c0[:-1] % step == 0).all()
    assert int(back.c0.max()) < parameters.modulus
    assert write_query(parameters, packing, back) == data


def test_a_query_reads_as_the_layout_says() -> None:
    query = some_query(TINY, TINY_PACKING)
    data = write_query(TINY, TINY_PACKING, query)
    chunk, key = 64 + 32 * 25 // 8, 64 + 32 * 29 // 8
    assert len(data) == 2 * chunk + key
    for position in range(2):
        part = data[position * chunk : (position + 1) * chunk]
        assert part[:64] == query.seeds[position].tobytes()
        assert slow_bits(part[64:], 25, 32) == [(int(c) + 8) >> 4 for c in query.c0[position]]
    assert data[2 * chunk : 2 * chunk + 64] == query.seeds[2].tobytes()
    assert slow_bits(data[2 * chunk + 64 :], 29, 32) == query.c0[2].tolist()


@pytest.mark.parametrize("parameters", PUBLISHED, ids=lambda p: p.name)
def test_the_largest_residue_survives_rounding(parameters) -> None:
    packing = Packing(2048, 8, 8)
    query = some_query(parameters, packing)
    query.c0[:] = parameters.modulus - 1
    assert (read_query(parameters, packing, write_query(parameters, packing, query)).c0 == parameters.modulus - 1).all()


def test_a_modulus_that_rounding_could_leave_is_refused() -> None:
    wrong = replace(TINY, query_drop_bits=14)
    with pytest.raises(InvalidInput, match="drop"):
        write_query(wrong, TINY_PACKING, some_query(wrong, TINY_PACKING))


def test_every_truncation_and_extension_is_refused() -> None:
    data = write_query(TINY, TINY_PACKING, some_query(TINY, TINY_PACKING))
    read_query(TINY, TINY_PACKING, data)
    for length in range(len(data)):
        with pytest.raises(MalformedMessage, match=f"got a query of {length} bytes, expected {len(data)}"):
            read_query(TINY, TINY_PACKING, data[:length])
    for extra in (1, 64, 164, 180, len(data)):
        with pytest.raises(MalformedMessage):
            read_query(TINY, TINY_PACKING, data + bytes(extra))


def test_a_query_of_another_packing_is_refused() -> None:
    data = write_query(TINY, TINY_PACKING, some_query(TINY, TINY_PACKING))
    for other in (Packing(32, 8, 8), Packing(32, 8, 2), Packing(32, 16, 4)):
        with pytest.raises(MalformedMessage):
            read_query(TINY, other, data)


@pytest.mark.parametrize("ciphertext", [0, 1, 2])
@pytest.mark.parametrize("coefficient", [0, 15, 31])
def test_a_residue_at_or_above_the_modulus_is_refused(ciphertext, coefficient) -> None:
    step = 16 if ciphertext < 2 else 1
    width = 25 if ciphertext < 2 else 29
    lowest = -(-TINY.modulus // step)
    for value in (lowest, lowest + 1, (1 << width) - 1):
        data = bytearray(write_query(TINY, TINY_PACKING, some_query(TINY, TINY_PACKING)))
        start = ciphertext * (64 + 100) + 64
        whole = int.from_bytes(data[start : start + 4 * width], "little")
        mask = (1 << width) - 1
        whole = whole & ~(mask << (coefficient * width)) | value << (coefficient * width)
        data[start : start + 4 * width] = whole.to_bytes(4 * width, "little")
        with pytest.raises(MalformedMessage, match="residue"):
            read_query(TINY, TINY_PACKING, bytes(data))


@pytest.mark.parametrize("ciphertext", [0, 1, 2])
def test_an_all_zero_ciphertext_is_refused(ciphertext) -> None:
    query = some_query(TINY, TINY_PACKING)
    query.c0[ciphertext] = 0
    with pytest.raises(MalformedMessage, match="all zero"):
        read_query(TINY, TINY_PACKING, write_query(TINY, TINY_PACKING, query))


@pytest.mark.parametrize(("one", "other"), [(0, 1), (0, 2), (1, 2)])
def test_a_repeated_seed_is_refused(one, other) -> None:
    query = some_query(TINY, TINY_PACKING)
    query.seeds[one] = query.seeds[other]
    with pytest.raises(MalformedMessage, match="seed"):
        read_query(TINY, TINY_PACKING, write_query(TINY, TINY_PACKING, query))


@given(data=st.binary(min_size=372, max_size=372))
@settings(max_examples=200, deadline=None)
def test_any_bytes_of_the_right_length_parse_or_are_refused_as_malformed(data) -> None:
    try:
        query = read_query(TINY, TINY_PACKING, data)
    except MalformedMessage:
        return
    assert int(query.c0.max()) < TINY.modulus
    assert write_query(TINY, TINY_PACKING, query) == data


@given(bit=st.integers(0, 5), blocks=st.integers(1, 5), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_reply_blocks_come_back_as_written(bit, blocks, seed) -> None:
    packing = Packing(32, 32, 1 << bit)
    rng = np.random.default_rng(seed)
    c1 = rng.integers(0, 1 << 17, (blocks, 32)).astype(np.uint32)
    c0 = rng.integers(0, 1 << 12, (blocks, packing.rows_per_block)).astype(np.uint32)
    data = write_reply_blocks(TINY, packing, c1, c0)
    size = reply_block_bytes(TINY, packing)
    assert len(data) == blocks * size
    assert slow_bits(data[:68], 17, 32) == c1[0].tolist()
    assert slow_bits(data[68:size], 12, packing.rows_per_block) == c0[0].tolist()
    c1_back, c0_back = read_reply_blocks(TINY, packing, data)
    assert (c1_back == c1).all()
    assert (c0_back == c0).all()
    for length in (0, 1, len(data) - 1, len(data) + 1):
        with pytest.raises(MalformedMessage):
            read_reply_blocks(TINY, packing, data[:length] if length < len(data) else data + b"x")


def test_reply_blocks_of_another_shape_are_not_written() -> None:
    with pytest.raises(InvalidInput):
        write_reply_blocks(TINY, TINY_PACKING, np.zeros((1, 32), np.uint32), np.zeros((1, 7), np.uint32))


def test_tripwire() -> None:
    digest = hashlib.sha256()
    for parameters in PUBLISHED:
        packing = Packing(2048, 24, 8)
        digest.update(write_query(parameters, packing, counted_query(parameters, packing)))
        c1 = np.arange(2 * 2048, dtype=np.uint32).reshape(2, 2048) * 31 % (1 << parameters.reply_c1_bits)
        c0 = np.arange(2 * 256, dtype=np.uint32).reshape(2, 256) * 7 % (1 << parameters.reply_c0_bits)
        digest.update(write_reply_blocks(parameters, packing, c1, c0))
    assert digest.hexdigest() == "ecd7f2ecaae6ed8d1bc364002f9d197fc0cadcabcd16b32f150aee701028636e"
