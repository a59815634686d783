"""Promises of ``unseen.he.owner.uniform`` and its compiled twin: one stream, uniform, redrawn where it must be."""

from __future__ import annotations

import hashlib
import struct

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from hypothesis import given, settings
from hypothesis import strategies as st

from unseen.he.owner import compiled_uniform, uniform
from unseen.he.owner.uniform import acceptable_below, uniform_residues
from unseen.params import N2048_Q31_OWNER as OWNER

SEED = bytes(range(32))


def plainly_uniform(seed: bytes, chunk: int, number: int, degree: int, modulus: int) -> tuple[list[int], int]:
    """One word after the other from RFC 8439's stream; -> residues and how many words were redrawn."""
    nonce = struct.pack("<IIII", 0, chunk, number, 0)
    stream = Cipher(algorithms.ChaCha20(seed, nonce), mode=None).encryptor().update(bytes(4 * (degree + 400)))
    words = list(struct.unpack(f"<{degree + 400}I", stream))
    limit = 2**32 // modulus * modulus
    behind = iter(word for word in words[degree:] if word < limit)
    kept = [word if word < limit else next(behind) for word in words[:degree]]
    return [word % modulus for word in kept], sum(word >= limit for word in words[:degree])


def test_both_implementations_agree_with_a_word_by_word_one() -> None:
    ours = uniform_residues(SEED, 6, OWNER.ring_degree, OWNER.moduli)
    assert (ours == compiled_uniform.uniform_residues(SEED, 6, OWNER.ring_degree, OWNER.moduli)).all()
    for chunk in range(6):
        for number, modulus in enumerate(OWNER.moduli):
            expected, _ = plainly_uniform(SEED, chunk, number, OWNER.ring_degree, modulus)
            assert ours[chunk, number].tolist() == expected


def test_words_that_would_make_small_residues_likelier_are_redrawn() -> None:
    """Of 2^15 words every second stream has one for the larger prime; the smaller prime would need fifty times more."""
    degree, modulus, redrawn = 1 << 15, OWNER.moduli[1], 0
    for key in (bytes([seed]) * 32 for seed in range(12)):
        expected, again = plainly_uniform(key, 0, 0, degree, modulus)
        redrawn += again
        assert uniform_residues(key, 1, degree, (modulus,))[0, 0].tolist() == expected
        assert compiled_uniform.uniform_residues(key, 1, degree, (modulus,))[0, 0].tolist() == expected
    assert redrawn > 1


@settings(deadline=None, max_examples=30)
@given(st.binary(min_size=32, max_size=32), st.integers(1, 5), st.sampled_from([16, 64, 300, 2048, 5000]))
def test_device_and_server_expand_alike(seed: bytes, chunks: int, degree: int) -> None:
    ours = uniform_residues(seed, chunks, degree, OWNER.moduli)
    assert (ours == compiled_uniform.uniform_residues(seed, chunks, degree, OWNER.moduli)).all()


def test_bytes_of_the_expansion_never_change() -> None:
    """A changed expansion makes every stored row unreadable."""
    residues = uniform_residues(SEED, 3, OWNER.ring_degree, OWNER.moduli)
    assert hashlib.sha256(residues.astype("<u2").tobytes()).hexdigest()[:32] == "5948fc213fe135bcb24316f516d8bcc5"


def test_residues_are_uniform_below_their_primes() -> None:
    residues = uniform_residues(bytes(32), 64, OWNER.ring_degree, OWNER.moduli)
    for number, modulus in enumerate(OWNER.moduli):
        values = residues[:, number].astype(np.int64).reshape(-1)
        assert int(values.max()) < modulus
        counts = np.bincount(values * 64 // modulus, minlength=64)
        expected = np.bincount(np.arange(modulus) * 64 // modulus) / modulus * counts.sum()
        assert ((counts - expected) ** 2 / expected).sum() < 130


def test_no_two_polynomials_of_a_seed_share_a_stream() -> None:
    residues = uniform_residues(SEED, 4, 64, OWNER.moduli).reshape(8, 64)
    assert len({row.tobytes() for row in residues}) == 8
    assert not (uniform_residues(SEED, 1, 64, OWNER.moduli) == uniform_residues(bytes(32), 1, 64, OWNER.moduli)).all()


def test_what_is_accepted_is_a_multiple_of_the_prime() -> None:
    for modulus in OWNER.moduli:
        assert acceptable_below(modulus) % modulus == 0
        assert 2**32 - acceptable_below(modulus) < modulus
    assert uniform.SEED_BYTES == 32
