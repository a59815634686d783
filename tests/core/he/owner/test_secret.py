"""Promises of ``unseen.he.owner.secret``: SEAL agrees, scores come out right, nothing repeats, a closed key is gone."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.he.owner.seal_twin import PLAIN_MODULUS, SealTwin
from tests.core.he.owner.slow_server import joined, opened, slow_answer
from unseen.errors import InvalidInput, InvalidVector, KeyMissing, MalformedMessage, UsedTwice
from unseen.he.owner.message import ciphertexts_bytes, read_ciphertexts, read_reply_blocks
from unseen.he.owner.noise import expected_square_norm, noise_std
from unseen.he.owner.secret import ROOT_BYTES, OwnerKey, _errors
from unseen.he.packing import Packing, factors
from unseen.he.plain import plain_scores
from unseen.he.quantise import quantise_query, quantise_rows
from unseen.params import N2048_Q31_OWNER as OWNER

COSINE_ONE = OWNER.query_range * OWNER.modulus / 2
ROOT = bytes(range(ROOT_BYTES))


@pytest.fixture(scope="module")
def key() -> OwnerKey:
    return OwnerKey.generate(OWNER)


@pytest.fixture(scope="module")
def twin() -> SealTwin:
    return SealTwin(OWNER)


def some_vectors(count: int, dimension: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)


# ---- two ways -------------------------------------------------------------------------------------------------------


@settings(max_examples=8, deadline=None)
@given(dimension=st.integers(8, 96), spread=st.integers(0, 3), count=st.integers(2, 5), seed=st.integers(0, 99))
def test_decrypts_what_a_plain_server_computed(key, dimension, spread, count, seed) -> None:
    packing = Packing(OWNER.ring_degree, dimension, factors(OWNER.ring_degree, dimension)[-1 - spread // 2])
    vectors = some_vectors(count, dimension, seed)
    rows, query = quantise_rows(OWNER, vectors), quantise_query(OWNER, vectors[1])
    reply = slow_answer(OWNER, packing, key.encrypt_query(packing, query), key.encrypt_rows(packing, rows))
    raw = key.decrypt(packing, reply)
    assert raw.dtype == np.int64
    assert len(raw) == packing.blocks(count) * packing.rows_per_block
    expected = np.zeros(len(raw), np.int64)
    expected[:count] = plain_scores(rows, query)
    assert np.abs(raw - expected).max() / COSINE_ONE < 6.5 * noise_std(OWNER, packing)
    assert int(np.argmax(raw)) == 1


def test_the_noise_is_as_large_as_the_formula_says(key) -> None:
    packing = Packing(OWNER.ring_degree, 8, 4)
    rows, query = quantise_rows(OWNER, some_vectors(1024, 8, 5)), quantise_query(OWNER, some_vectors(1, 8, 6)[0])
    reply = slow_answer(OWNER, packing, key.encrypt_query(packing, query), key.encrypt_rows(packing, rows))
    errors = (key.decrypt(packing, reply) - plain_scores(rows, query)) / COSINE_ONE
    assert errors.std() == pytest.approx(noise_std(OWNER, packing), rel=0.15)


def test_seal_decrypts_rows_and_queries_to_their_messages(twin) -> None:
    packing = Packing(OWNER.ring_degree, 16, 8)
    vectors = some_vectors(3, 16, 7)
    rows, query = quantise_rows(OWNER, vectors), quantise_query(OWNER, vectors[0])
    whole = np.zeros((packing.rows_per_block, 16), np.int16)
    whole[:3] = rows
    asked = np.zeros((packing.chunks, OWNER.ring_degree), np.int64)
    asked[:, :8] = packing.query_polynomials(query)
    for data, messages in (
        (twin.key.encrypt_rows(packing, rows)[0], packing.row_polynomials(whole)),
        (twin.key.encrypt_query(packing, query), asked),
    ):
        residues = opened(OWNER, packing, data)
        for chunk, message in enumerate(messages):
            decrypted = twin.decrypt(joined(OWNER, residues[:, chunk]))
            assert np.abs(decrypted - message * (PLAIN_MODULUS / OWNER.modulus)).max() < 1


def test_seal_decrypts_a_reply_of_three_polynomials_to_the_same_scores(twin) -> None:
    packing = Packing(OWNER.ring_degree, 16, 8)
    vectors = some_vectors(200, 16, 8)
    rows, query = quantise_rows(OWNER, vectors), quantise_query(OWNER, vectors[4])
    reply = slow_answer(OWNER, packing, twin.key.encrypt_query(packing, query), twin.key.encrypt_rows(packing, rows))
    blocks = read_reply_blocks(OWNER, packing, reply)
    polynomials = np.zeros((3, OWNER.ring_degree), np.int64)
    polynomials[0, packing.score_coefficients()] = np.rint(blocks.c0[0] * (OWNER.modulus / 2**OWNER.reply_c0_bits))
    polynomials[1] = np.rint(blocks.c1[0] * (OWNER.modulus / 2**OWNER.reply_c1_bits))
    polynomials[2] = np.rint(blocks.c2[0] * (OWNER.modulus / 2**OWNER.reply_c2_bits))
    seals = twin.decrypt(polynomials)[packing.score_coefficients()]
    ours = twin.key.decrypt(packing, reply) * (PLAIN_MODULUS / OWNER.modulus)
    # SEAL sees whole residues: half a unit of each coefficient of c2, through s^2, is about one step of t.
    assert np.abs(seals - ours).max() < 8
    assert int(np.argmax(seals)) == 4


# ---- what a ciphertext shows ----------------------------------------------------------------------------------------


def test_two_encryptions_of_the_same_rows_have_nothing_in_common(key) -> None:
    packing = Packing(OWNER.ring_degree, 16, 16)
    rows = quantise_rows(OWNER, some_vectors(128, 16, 1))
    first, second = (read_ciphertexts(OWNER, packing, key.encrypt_rows(packing, rows)[0]) for _ in range(2))
    assert first.seed != second.seed
    assert (first.c0 == second.c0).mean() < 0.001


def test_residues_of_ciphertexts_are_uniform_whatever_they_carry(key) -> None:
    """Chi-square over 64 equal ranges; zeros and the largest coordinates there are."""
    packing = Packing(OWNER.ring_degree, 64, 4)
    for rows in (np.zeros((512, 64), np.int16), np.full((512, 64), OWNER.row_scale // 8, np.int16)):
        c0 = read_ciphertexts(OWNER, packing, key.encrypt_rows(packing, rows)[0]).c0
        for number, modulus in enumerate(OWNER.moduli):
            counts = np.bincount((c0[:, number].astype(np.int64) * 64 // modulus).reshape(-1), minlength=64)
            expected = np.bincount(np.arange(modulus) * 64 // modulus) / modulus * counts.sum()
            assert ((counts - expected) ** 2 / expected).sum() < 160, (
                "63 degrees of freedom: once in five billion draws"
            )


def test_errors_are_centred_binomial_with_21_coins_each_way() -> None:
    errors = _errors((200, 2048), 21)
    assert int(np.abs(errors).max()) <= 21
    assert abs(errors.mean()) < 0.03
    assert errors.var() == pytest.approx(10.5, rel=0.02)


def test_every_message_of_a_packing_has_one_length(key) -> None:
    packing = Packing(OWNER.ring_degree, 40, 8)
    expected = ciphertexts_bytes(OWNER, packing)
    blocks = key.encrypt_rows(packing, quantise_rows(OWNER, some_vectors(300, 40, 1)))
    assert [len(block) for block in blocks] == [expected, expected]
    assert len(key.encrypt_query(packing, quantise_query(OWNER, some_vectors(1, 40, 2)[0]))) == expected


def test_any_whole_blocks_decrypt_to_scores_and_nothing_is_said_about_them(key) -> None:
    packing = Packing(OWNER.ring_degree, 16, 16)
    size = len(
        slow_answer(
            OWNER,
            packing,
            key.encrypt_query(packing, np.ones(16, np.int64)),
            [key.encrypt_rows(packing, quantise_rows(OWNER, some_vectors(1, 16, 1)))[0]],
        )
    )
    for made_up in (bytes(size), b"\xff" * size, np.random.default_rng(1).bytes(size)):
        raw = key.decrypt(packing, made_up)
        assert raw.shape == (packing.rows_per_block,)
        assert int(np.abs(raw).max()) <= OWNER.modulus // 2 + 1
    with pytest.raises(MalformedMessage, match="multiple of"):
        key.decrypt(packing, bytes(size - 1))


def test_a_device_needs_no_compiler_and_no_seal() -> None:
    """The base installation has no numba: what a device runs must not bring it in."""
    program = "import sys, unseen.he.owner.secret; print(sorted({'numba', 'tenseal'} & set(sys.modules)))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


# ---- the key --------------------------------------------------------------------------------------------------------


def test_a_key_follows_from_its_root() -> None:
    first, second = OwnerKey(OWNER, ROOT), OwnerKey(OWNER, ROOT)
    assert (first._secret == second._secret).all()
    assert first == second
    assert first.root == ROOT
    assert first.fingerprint.hex() == "360ed566fa47bebebd23c58cb175f2f8"
    assert OwnerKey.generate(OWNER) != first


def test_a_secret_is_ternary_and_uniform() -> None:
    coefficients = np.concatenate([OwnerKey(OWNER, bytes([i]) * 32)._secret for i in range(100)])
    counts = np.array([(coefficients == value).sum() for value in (-1, 0, 1)])
    expected = len(coefficients) / 3
    assert counts.sum() == len(coefficients)
    assert ((counts - expected) ** 2 / expected).sum() < 28, "2 degrees of freedom: passed once in a million"


def test_squares_of_secrets_are_as_long_as_the_noise_bound_takes_them() -> None:
    norms = np.array([OwnerKey(OWNER, bytes([i, 7]) * 16).square_norm for i in range(100)])
    assert norms.mean() == pytest.approx(expected_square_norm(OWNER), rel=0.05)
    assert norms.max() < 1.6 * expected_square_norm(OWNER)


def test_a_closed_key_is_overwritten_and_does_nothing(key) -> None:
    packing = Packing(OWNER.ring_degree, 16, 16)
    rows, query = quantise_rows(OWNER, some_vectors(1, 16, 1)), quantise_query(OWNER, some_vectors(1, 16, 1)[0])
    with OwnerKey.generate(OWNER) as closing:
        held = (closing._secret, closing._folded, closing._transformed)
    assert not any(array.any() for array in held)
    assert not any(closing._root)
    for use in (
        lambda: closing.root,
        lambda: closing.fingerprint,
        lambda: closing.square_norm,
        lambda: closing.encrypt_rows(packing, rows),
        lambda: closing.encrypt_query(packing, query),
        lambda: closing.decrypt(packing, b""),
    ):
        with pytest.raises(KeyMissing, match="closed"):
            use()


@pytest.mark.parametrize("copying", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_key_cannot_be_copied_or_pickled(key, copying) -> None:
    with pytest.raises(UsedTwice, match="key store"):
        copying(key)


def test_a_key_shows_nothing_of_itself(key) -> None:
    assert repr(key) == "OwnerKey(n2048_q31_owner)"
    assert key.root.hex() not in key.fingerprint.hex()


@pytest.mark.parametrize("root", [b"", bytes(31), bytes(33)])
def test_a_root_of_another_length_is_refused(root: bytes) -> None:
    with pytest.raises(InvalidInput, match="expected 32"):
        OwnerKey(OWNER, root)


def test_rows_and_queries_that_could_wrap_a_score_are_refused(key) -> None:
    packing = Packing(OWNER.ring_degree, 16, 16)
    long = np.zeros((1, 16), np.int16)
    long[0, 0] = int(OWNER.row_norm_cap) + 1
    with pytest.raises(InvalidVector, match="integer norm"):
        key.encrypt_rows(packing, long)
    query = np.zeros(16, np.int64)
    query[0] = int(1.002 * OWNER.query_scale)
    with pytest.raises(InvalidVector, match="integer norm"):
        key.encrypt_query(packing, query)
    with pytest.raises(InvalidVector, match="expected a query"):
        key.encrypt_query(packing, np.zeros(15, np.int64))
    for shape in ((16,), (1, 15), (1, 17)):
        with pytest.raises(InvalidVector, match=r"expected \(n, 16\)"):
            key.encrypt_rows(packing, np.ones(shape, np.int16))
    with pytest.raises(InvalidVector, match="int16"):
        key.encrypt_rows(packing, np.ones((1, 16), np.int64))
