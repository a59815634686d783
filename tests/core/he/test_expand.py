"""Promises of ``unseen.he.expand``: the same polynomial as SEAL, for every seed, redrawn words included."""

from __future__ import annotations

import hashlib
import os
import struct
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np
import pytest
import tenseal.sealapi as seal
import zstandard

from unseen.errors import InvalidInput
from unseen.he.blake2xb import stream
from unseen.he.expand import expand_seeds, rejection_limit, uniform_words
from unseen.params import N2048_Q29

DEGREE = 2048
MODULUS = N2048_Q29.modulus
SIXTY_BITS = 1085102592571318273
"""A prime a little above 2^64 / 17: one word in 17 is redrawn, about 120 in each polynomial."""
REDRAWING_MODULUS = 1067008001
REDRAWING_COUNTER = 10013154
"""Found by search: the first seed of the form (counter, 0, 0, 0, 0, 0, 0, 0) that redraws for this 30-bit prime."""


def seeds_of(count: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 64), np.uint8)


class SealExpander:
    """SEAL's own expansion: a seeded ciphertext with a seed of our choosing, loaded, saved again, c1 read off."""

    def __init__(self, degree: int, modulus: int) -> None:
        parameters = seal.EncryptionParameters(seal.SCHEME_TYPE.BFV)
        parameters.set_poly_modulus_degree(degree)
        parameters.set_coeff_modulus([seal.Modulus(modulus)])
        parameters.set_plain_modulus(1 << 10)
        self.degree = degree
        self.context = seal.SEALContext(parameters, True, seal.SEC_LEVEL_TYPE.NONE)
        assert self.context.parameters_set(), self.context.parameters_error_message()
        self.file = os.memfd_create("expand")
        self.path = f"/proc/self/fd/{self.file}"
        encryptor = seal.Encryptor(self.context, seal.KeyGenerator(self.context).secret_key())
        self.body = self._saved(encryptor.encrypt_zero_symmetric())

    def _saved(self, thing) -> bytes:
        os.ftruncate(self.file, 0)
        thing.save(self.path)
        raw = os.pread(self.file, 1 << 20, 0)
        compression, size = raw[5], struct.unpack("<Q", raw[8:16])[0]
        return (
            raw[16:size] if compression == 0 else zstandard.ZstdDecompressor().decompressobj().decompress(raw[16:size])
        )

    def expand(self, seed: bytes) -> np.ndarray:
        body = self.body[:-64] + seed
        os.ftruncate(self.file, 0)
        os.pwrite(self.file, struct.pack("<HBBBBHQ", 0xA15E, 16, 4, 3, 0, 0, 16 + len(body)) + body, 0)
        ciphertext = seal.Ciphertext()
        ciphertext.load(self.context, self.path)
        return np.frombuffer(self._saved(ciphertext)[-8 * self.degree :], np.uint64)


def test_agrees_with_seal_for_many_seeds() -> None:
    expander = SealExpander(DEGREE, MODULUS)
    seeds = seeds_of(100)
    seeds[0], seeds[1] = 0, 255
    ours = expand_seeds(seeds, DEGREE, MODULUS)
    assert ours.dtype == np.uint32
    for seed, polynomial in zip(seeds, ours, strict=True):
        assert (expander.expand(seed.tobytes()) == polynomial).all()


@pytest.mark.parametrize("degree", [1024, 4096])
def test_agrees_with_seal_at_other_degrees(degree) -> None:
    expander = SealExpander(degree, MODULUS)
    seeds = seeds_of(3, degree)
    for seed, polynomial in zip(seeds, expand_seeds(seeds, degree, MODULUS), strict=True):
        assert (expander.expand(seed.tobytes()) == polynomial).all()


def test_redraws_words_like_seal_when_they_are_common() -> None:
    expander = SealExpander(DEGREE, SIXTY_BITS)
    for seed in seeds_of(10):
        key = seed.view(np.uint64)
        rejected = int((stream(key, 0, 4) >= np.uint64(rejection_limit(SIXTY_BITS))).sum())
        assert rejected > 50
        ours = uniform_words(key, DEGREE, SIXTY_BITS) % np.uint64(SIXTY_BITS)
        assert (expander.expand(seed.tobytes()) == ours).all()


def test_redraws_the_rare_word_like_seal() -> None:
    seeds = np.zeros((3, 8), np.uint64)
    seeds[:, 0] = [REDRAWING_COUNTER - 1, REDRAWING_COUNTER, REDRAWING_COUNTER + 1]
    words = stream(seeds[1], 0, 4)
    assert int((words >= np.uint64(rejection_limit(REDRAWING_MODULUS))).sum()) == 1
    ours = expand_seeds(seeds.view(np.uint8), DEGREE, REDRAWING_MODULUS)
    assert (ours[1] != words % np.uint64(REDRAWING_MODULUS)).sum() == 1
    expander = SealExpander(DEGREE, REDRAWING_MODULUS)
    for seed, polynomial in zip(seeds, ours, strict=True):
        assert (expander.expand(seed.tobytes()) == polynomial).all()


def test_redrawing_crosses_into_later_buffers() -> None:
    """With a limit of half the range every second word is redrawn: 2,048 words need about 4,096 of the stream."""
    modulus = (1 << 63) + 29
    key = seeds_of(1).view(np.uint64)[0]
    limit = rejection_limit(modulus)
    whole = iter(stream(key, 0, 16).tolist())
    first = list(islice(whole, DEGREE))
    expected = [word if word < limit else next(later for later in whole if later < limit) for word in first]
    assert uniform_words(key, DEGREE, modulus).tolist() == expected


def test_stream_is_seals_generator() -> None:
    key = seeds_of(1, 3).view(np.uint64)[0]
    generator = seal.Blake2xbPRNG([int(word) for word in key])
    words = [generator.generate() for _ in range(2 * 512 * 10)]
    assert stream(key, 0, 10).tobytes() == struct.pack(f"<{len(words)}I", *words)
    assert (stream(key, 7, 2) == stream(key, 0, 10)[7 * 512 : 9 * 512]).all()


def test_roots_agree_with_hashlib() -> None:
    """The root hash of BLAKE2Xb is a BLAKE2b that hashlib can do; its output nodes (depth 0) are not."""
    from unseen.he.blake2xb import _INITIAL, _ROOT_WORD_0, _XOF_BYTES

    seed = seeds_of(1, 4)[0].tobytes()
    root = hashlib.blake2b(
        (9).to_bytes(8, "little"), key=seed, digest_size=64, fanout=1, depth=1, node_offset=_XOF_BYTES << 32
    ).digest()
    first_node = slow_output_node(root, 0)
    assert stream(np.frombuffer(seed, np.uint64), 9, 1)[:8].tobytes() == first_node
    assert _ROOT_WORD_0 == 0x01014040
    assert len(_INITIAL) == 8


def slow_output_node(root: bytes, offset: int) -> bytes:
    """One BLAKE2Xb output node in plain Python integers, straight from RFC 7693."""
    from unseen.he.blake2xb import _INITIAL, _ORDER

    full = (1 << 64) - 1
    parameter_block = struct.pack("<BBBBIIIBB", 64, 0, 0, 0, 64, offset, 4096, 0, 64) + bytes(46)
    h = [a ^ b for a, b in zip(_INITIAL, struct.unpack("<8Q", parameter_block), strict=True)]
    m = list(struct.unpack("<8Q", root)) + [0] * 8
    v = [*h, *_INITIAL]
    v[12] ^= 64
    v[14] ^= full

    def rotated(value: int, bits: int) -> int:
        return value >> bits | value << (64 - bits) & full

    quarters = [(i, 4 + (i + s) % 4, 8 + (i + 2 * s) % 4, 12 + (i + 3 * s) % 4) for s in (0, 1) for i in range(4)]
    for turn in range(12):
        order = iter(_ORDER[turn % 10])
        for a, b, c, d in quarters:
            for first, second in ((32, 24), (16, 63)):
                v[a] = (v[a] + v[b] + m[next(order)]) & full
                v[d] = rotated(v[d] ^ v[a], first)
                v[c] = (v[c] + v[d]) & full
                v[b] = rotated(v[b] ^ v[c], second)
    return struct.pack("<8Q", *(h[i] ^ v[i] ^ v[i + 8] for i in range(8)))


@pytest.mark.parametrize("modulus", [12289, MODULUS, (1 << 30) - 35, 3])
def test_reduction_agrees_with_division(modulus) -> None:
    seeds = seeds_of(4, 6)
    ours = expand_seeds(seeds, DEGREE, modulus)
    for seed, polynomial in zip(seeds, ours, strict=True):
        assert (stream(seed.view(np.uint64), 0, 4) % np.uint64(modulus) == polynomial).all()


def test_threads_may_share_the_work() -> None:
    seeds = seeds_of(64, 7)
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda part: expand_seeds(part, DEGREE, MODULUS), np.array_split(seeds, 8)))
    assert (np.vstack(parts) == expand_seeds(seeds, DEGREE, MODULUS)).all()


def test_small_rings_of_tests_work_too() -> None:
    seeds = seeds_of(2, 8)
    assert (expand_seeds(seeds, 64, 257) == expand_seeds(seeds, 128, 257)[:, :64]).all()
    assert expand_seeds(seeds[:0], 64, 257).shape == (0, 64)


def test_wide_moduli_and_other_shapes_are_refused() -> None:
    with pytest.raises(InvalidInput):
        expand_seeds(seeds_of(1), DEGREE, (1 << 30) + 3)
    with pytest.raises(InvalidInput):
        expand_seeds(seeds_of(1)[:, :63], DEGREE, MODULUS)


def test_tripwire() -> None:
    seeds = (np.arange(5 * 64) * 37 % 251).astype(np.uint8).reshape(5, 64)
    digest = hashlib.sha256(expand_seeds(seeds, DEGREE, MODULUS).tobytes()).hexdigest()
    assert digest == "6baae5e7f7bff9996107597e12a6749fbf4ca362d4fc7c3a894ad087daf58531"
