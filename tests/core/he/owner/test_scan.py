"""Promises of ``unseen.he.owner.scan``: the bytes of a slow server, on any number of threads; nothing of old rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.he.owner.slow_server import coefficients, negacyclic, opened, products, slow_answer
from unseen.errors import InvalidInput, LimitExceeded, MalformedMessage
from unseen.he.owner.digits import whole_query
from unseen.he.owner.message import read_ciphertexts, reply_block_bytes
from unseen.he.owner.noise import noise_std
from unseen.he.owner.scan import MOST_ADDITIONS, OwnerScanIndex
from unseen.he.owner.secret import OwnerKey
from unseen.he.packing import Packing, factors
from unseen.he.plain import plain_scores
from unseen.he.quantise import quantise_query, quantise_rows
from unseen.he.scan_threads import ScanThreads
from unseen.params import N2048_Q31_OWNER as OWNER

COSINE_ONE = OWNER.query_range * OWNER.modulus / 2


@pytest.fixture(scope="module")
def key() -> OwnerKey:
    return OwnerKey.generate(OWNER)


def some_vectors(count: int, dimension: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)


def filled(packing: Packing, blocks: list[bytes], threads: int = 1) -> OwnerScanIndex:
    index = OwnerScanIndex(OWNER, packing.dimension, packing.factor, ScanThreads(threads))
    for block, data in enumerate(blocks):
        index.put_block(block, data)
    return index


def answered(index: OwnerScanIndex, query: bytes, slots: int, **choices) -> bytes:
    reply = bytearray()
    index.answer(query, slots, reply.extend, **choices)
    return bytes(reply)


@settings(max_examples=6, deadline=None)
@given(dimension=st.integers(8, 60), which=st.integers(0, 2), blocks=st.integers(1, 2), seed=st.integers(0, 99))
def test_replies_are_those_of_a_slow_server_to_the_byte(key, dimension, which, blocks, seed) -> None:
    packing = Packing(OWNER.ring_degree, dimension, factors(OWNER.ring_degree, dimension)[-1 - which])
    rows = quantise_rows(OWNER, some_vectors((blocks - 1) * packing.rows_per_block + 3, dimension, seed))
    data = key.encrypt_rows(packing, rows)
    query = key.encrypt_query(packing, quantise_query(OWNER, some_vectors(1, dimension, seed + 1)[0]))
    assert answered(filled(packing, data), query, len(rows)) == slow_answer(OWNER, packing, query, data)


@pytest.mark.parametrize(
    ("dimension", "factor", "count"), [(512, 8, 700), (512, 32, 300), (64, 1, 5000), (700, 4, 600)]
)
def test_decrypted_scores_are_those_of_the_plain_twin(key, dimension, factor, count) -> None:
    packing = Packing(OWNER.ring_degree, dimension, factor)
    vectors = some_vectors(count, dimension, 1)
    rows, query = quantise_rows(OWNER, vectors), quantise_query(OWNER, vectors[7])
    index = filled(packing, key.encrypt_rows(packing, rows), threads=2)
    raw = key.decrypt(packing, answered(index, key.encrypt_query(packing, query), count))[:count]
    errors = (raw - plain_scores(rows, query)) / COSINE_ONE
    assert np.abs(errors).max() < 7.5 * noise_std(OWNER, packing)
    assert int(np.argmax(raw)) == 7


def test_vectors_of_a_single_coordinate_score_one_and_minus_one(key) -> None:
    """The largest coordinates there are: a query's is five times a prime."""
    packing = Packing(OWNER.ring_degree, 16, 8)
    rows, query = quantise_rows(OWNER, np.eye(16, dtype=np.float32)), quantise_query(OWNER, np.eye(16)[9])
    rows[3] = -rows[9]
    index = filled(packing, key.encrypt_rows(packing, rows))
    raw = key.decrypt(packing, answered(index, key.encrypt_query(packing, query), 16))[:16] / COSINE_ONE
    expected = np.zeros(16)
    expected[[9, 3]] = 1, -1
    assert np.abs(raw - expected).max() < 6.5 * noise_std(OWNER, packing)


def test_any_number_of_threads_answers_alike_and_leaves_out_what_is_not_wanted(key) -> None:
    packing = Packing(OWNER.ring_degree, 64, 16)
    rows = quantise_rows(OWNER, some_vectors(128 * 11, 64, 2))
    data = key.encrypt_rows(packing, rows)
    query = key.encrypt_query(packing, quantise_query(OWNER, some_vectors(1, 64, 3)[0]))
    whole = answered(filled(packing, data), query, len(rows))
    index = filled(packing, data, threads=3)
    assert answered(index, query, len(rows)) == whole
    size = reply_block_bytes(OWNER, packing)
    assert answered(index, query, 128 * 6) == whole[: 6 * size]
    wanted = np.zeros(11, np.bool_)
    wanted[[1, 2, 9]] = True
    parts = [whole[block * size : (block + 1) * size] for block in (1, 2, 9)]
    assert answered(index, query, len(rows), wanted=wanted) == b"".join(parts)
    assert answered(index, query, len(rows), cancelled=lambda: True) == b""


def test_a_rewritten_block_holds_nothing_of_an_erased_row(key) -> None:
    """The owner rewrites the block without the row; decrypting what the server holds afterwards finds zero."""
    packing = Packing(OWNER.ring_degree, 32, 8)
    rows = quantise_rows(OWNER, some_vectors(256, 32, 4))
    index = filled(packing, key.encrypt_rows(packing, rows))
    query = quantise_query(OWNER, rows[5].astype(np.float32))
    first = key.decrypt(packing, answered(index, key.encrypt_query(packing, query), 256))
    assert first[5] / COSINE_ONE > 0.99
    kept = rows.copy()
    kept[5] = 0
    (data,) = key.encrypt_rows(packing, kept)
    index.put_block(0, data)
    second = key.decrypt(packing, answered(index, key.encrypt_query(packing, query), 256))
    assert abs(second[5]) / COSINE_ONE < 6.5 * noise_std(OWNER, packing)
    assert np.abs(np.delete(first - second, 5)).max() / COSINE_ONE < 10 * noise_std(OWNER, packing)
    index.clear_block(0)
    assert not key.decrypt(packing, answered(index, key.encrypt_query(packing, query), 256)).any()
    assert index.additions(0) == 0


def test_what_is_no_block_is_refused_and_changes_nothing(key) -> None:
    packing = Packing(OWNER.ring_degree, 16, 16)
    data = key.encrypt_rows(packing, quantise_rows(OWNER, some_vectors(3, 16, 5)))
    index = filled(packing, data)
    query = key.encrypt_query(packing, quantise_query(OWNER, some_vectors(1, 16, 6)[0]))
    before = answered(index, query, 3)
    for wrong in (b"", data[0][:-1], data[0] + b"\0", data[0][:32] + b"\xff" * (len(data[0]) - 32)):
        for use in (index.put_block, index.add_to_block):
            with pytest.raises(MalformedMessage):
                use(0, wrong)
        with pytest.raises(MalformedMessage):
            index.answer(wrong, 3, lambda reply: None)
    with pytest.raises(InvalidInput, match="0 or more"):
        index.put_block(-1, data[0])
    with pytest.raises(InvalidInput, match="expected at most"):
        index.answer(query, index.capacity + 1, lambda reply: None)
    assert answered(index, query, 3) == before


# ---- side blocks ----------------------------------------------------------------------------------------------------


def test_single_rows_are_found_in_side_blocks_by_the_packed_query(key) -> None:
    packed, side = Packing(OWNER.ring_degree, 100, 8), Packing(OWNER.ring_degree, 100, 128)
    vectors = some_vectors(20, 100, 7)
    rows, query = quantise_rows(OWNER, vectors), quantise_query(OWNER, vectors[13])
    index = OwnerScanIndex(OWNER, 100, side.factor)
    for number, row in enumerate(rows):
        block, place = divmod(number, MOST_ADDITIONS)
        alone = np.zeros((side.rows_per_block, 100), np.int16)
        alone[place] = row
        (data,) = key.encrypt_rows(side, alone)
        assert len(data) == 8224
        index.add_to_block(block, data)
    slots = index.packing.rows_per_block * 10
    asked = key.encrypt_query(packed, query)
    raw = key.decrypt(side, answered(index, asked, slots, query_packing=packed)).reshape(10, -1)
    errors = (raw[:, :MOST_ADDITIONS].reshape(-1) - plain_scores(rows, query)) / COSINE_ONE
    assert np.abs(errors).max() < 6.5 * noise_std(OWNER, side, MOST_ADDITIONS, packed.chunks)
    assert int(np.argmax(raw[:, :MOST_ADDITIONS])) == 13


def test_the_derived_query_is_the_sum_of_shifted_chunks(key) -> None:
    packed = Packing(OWNER.ring_degree, 20, 4)
    data = key.encrypt_query(packed, quantise_query(OWNER, some_vectors(1, 20, 8)[0]))
    c0, c1 = whole_query(OWNER, packed, read_ciphertexts(OWNER, packed, data))
    chunks = opened(OWNER, packed, data)
    for number, (modulus, psi) in enumerate(zip(OWNER.moduli, OWNER.roots, strict=True)):
        for polynomial, derived in enumerate((c0, c1)):
            total = np.zeros(OWNER.ring_degree, np.int64)
            for j in range(packed.chunks):
                shift = np.zeros(OWNER.ring_degree, np.int64)
                shift[4 * j] = 1
                total += negacyclic(chunks[number, j, polynomial], shift, modulus)
            assert (coefficients(derived[:, number], modulus, psi)[0] == total % modulus).all()


def test_a_block_takes_no_more_additions_than_its_noise_allows(key) -> None:
    side = Packing(OWNER.ring_degree, 16, 16)
    index = OwnerScanIndex(OWNER, 16, 16)
    (data,) = key.encrypt_rows(side, quantise_rows(OWNER, some_vectors(1, 16, 9)))
    for count in range(MOST_ADDITIONS):
        assert index.additions(0) == count
        index.add_to_block(0, data)
    with pytest.raises(LimitExceeded, match="write it anew"):
        index.add_to_block(0, data)
    assert index.additions(0) == MOST_ADDITIONS
    index.put_block(0, data)
    assert index.additions(0) == 1


def test_a_query_for_a_packing_that_does_not_fit_is_refused(key) -> None:
    packed = Packing(OWNER.ring_degree, 32, 8)
    data = key.encrypt_query(packed, quantise_query(OWNER, some_vectors(1, 32, 9)[0]))
    for index in (OwnerScanIndex(OWNER, 32, 16), OwnerScanIndex(OWNER, 31, 32)):
        index.clear_block(0)
        with pytest.raises(InvalidInput, match="side blocks"):
            index.answer(data, 0, lambda reply: None, query_packing=packed)


def test_the_three_polynomials_are_a_product_under_the_secret(key) -> None:
    """Before any rounding: c0 + c1 s + c2 s^2 is exactly the product of the two noisy messages."""
    packing = Packing(OWNER.ring_degree, 8, 8)
    query = key.encrypt_query(packing, quantise_query(OWNER, some_vectors(1, 8, 3)[0]))
    (block,) = key.encrypt_rows(packing, quantise_rows(OWNER, some_vectors(256, 8, 3)))
    left, right = opened(OWNER, packing, query), opened(OWNER, packing, block)
    sums = products(OWNER, left, right)
    for number, modulus in enumerate(OWNER.moduli):
        s = key._secret.astype(np.int64)
        noisy = [(pair[number, 0, 0] + negacyclic(pair[number, 0, 1], s, modulus)) % modulus for pair in (left, right)]
        square = negacyclic(s, s, modulus)
        whole = sums[0] + negacyclic(sums[1] % modulus, s, modulus) + negacyclic(sums[2] % modulus, square, modulus)
        assert (whole % modulus == negacyclic(noisy[0], noisy[1], modulus)).all()
