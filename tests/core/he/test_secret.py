"""Promises of ``unseen.he.secret``: SEAL agrees, scores come out right, and nothing serves twice."""

from __future__ import annotations

import copy
import hashlib
import os
import pickle
import subprocess
import sys
import tempfile
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tenseal.sealapi as seal
from hypothesis import given, settings
from hypothesis import strategies as st

from unseen.errors import InvalidVector, MalformedMessage, UnsafeParameters, UsedTwice
from unseen.he import secret
from unseen.he.expand import expand_seeds
from unseen.he.message import EncryptedQuery, read_query, read_reply_blocks, write_reply_blocks
from unseen.he.noise import noise_std
from unseen.he.packing import Packing, factors
from unseen.he.plain import plain_scores
from unseen.he.quantise import quantise_query, quantise_rows
from unseen.he.secret import PreparedQuery, ReplyKey
from unseen.params import N2048_Q29, PUBLISHED

TINY = replace(N2048_Q29, name="insecure_tiny", ring_degree=64)


def negacyclic(a: np.ndarray, b: np.ndarray, modulus: int) -> np.ndarray:
    """Schoolbook product mod (X^N + 1, q); exact while N * max|a| * max|b| < 2^63."""
    whole = np.convolve(a.astype(np.int64), b.astype(np.int64))
    low = np.zeros(len(a), np.int64)
    low += whole[: len(a)]
    low[: len(a) - 1] -= whole[len(a) :]
    return low % modulus


class SlowServer:
    """The server's half in schoolbook arithmetic: nothing shared with ring, kernel, scan or mask."""

    def __init__(self, parameters, packing, rows, seed=1) -> None:
        self.parameters, self.packing = parameters, packing
        self.rng = np.random.default_rng(seed)
        blocks = packing.blocks(len(rows))
        self.blocks = np.zeros((blocks, packing.rows_per_block, packing.chunks * packing.factor), np.int64)
        padded = np.zeros((blocks * packing.rows_per_block, rows.shape[1]), np.int64)
        padded[: len(rows)] = rows
        self.blocks[:, :, : rows.shape[1]] = padded.reshape(blocks, packing.rows_per_block, -1)

    def polynomial(self, block: int, chunk: int) -> np.ndarray:
        degree, factor = self.parameters.ring_degree, self.packing.factor
        polynomial = np.zeros(degree, np.int64)
        for row in range(self.packing.rows_per_block):
            for i in range(factor):
                polynomial[row * factor + factor - 1 - i] = self.blocks[block, row, chunk * factor + i]
        return polynomial

    def products(self, query: bytes) -> np.ndarray:
        """(blocks, 2, N): c0 and c1 of every block, mask and flood added, before the switch."""
        parameters, q, degree = self.parameters, self.parameters.modulus, self.parameters.ring_degree
        read = read_query(parameters, self.packing, query)
        pairs = np.stack([read.c0, expand_seeds(read.seeds, degree, q)], axis=1)
        sums = np.zeros((len(self.blocks), 2, degree), np.int64)
        for block in range(len(self.blocks)):
            for half in (0, 1):
                for chunk in range(self.packing.chunks):
                    sums[block, half] += negacyclic(pairs[chunk, half], self.polynomial(block, chunk), q)
            u = self.rng.integers(-parameters.mask_bound, parameters.mask_bound, degree)
            flood = np.rint(self.rng.normal(0, parameters.flood_std, degree)).astype(np.int64)
            errors = self.rng.binomial(2 * parameters.error_coins, 0.5, (2, degree)) - parameters.error_coins
            sums[block, 0] += negacyclic(pairs[-1, 0], u, q) + errors[0] + flood
            sums[block, 1] += negacyclic(pairs[-1, 1], u, q) + errors[1]
        return sums % q

    def answer(self, query: bytes) -> bytes:
        sums = self.products(query)
        c0 = self.switch(sums[:, 0], self.parameters.reply_c0_bits)[:, self.packing.score_coefficients()]
        return write_reply_blocks(
            self.parameters, self.packing, self.switch(sums[:, 1], self.parameters.reply_c1_bits), c0
        )

    def switch(self, residues: np.ndarray, bits: int) -> np.ndarray:
        q = self.parameters.modulus
        return (((residues << bits) + q // 2) // q % (1 << bits)).astype(np.uint32)


def some_vectors(count: int, dimension: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)


class SealTwin:
    """A prepared query whose SEAL key the test keeps, and SEAL's own decryption with it."""

    def __init__(self, parameters, packing) -> None:
        self.scheme = secret._scheme(parameters)
        self.key = seal.KeyGenerator(self.scheme.context).secret_key()
        self.secret = secret._read_secret(self.scheme, self.key)
        encryptor = seal.Encryptor(self.scheme.context, self.key)
        self.zeros = secret._encrypt_zeros(self.scheme, encryptor, packing.chunks + 1)
        kept = EncryptedQuery(self.zeros.seeds.copy(), self.zeros.c0.copy())
        self.prepared = PreparedQuery(parameters, packing, kept, ReplyKey(parameters, packing, self.secret))

    def decrypt(self, c0: np.ndarray, c1: np.ndarray) -> np.ndarray:
        ciphertext, plaintext = seal.Ciphertext(), seal.Plaintext()
        body = self.scheme.frame + c0.astype("<u8").tobytes() + c1.astype("<u8").tobytes()
        with secret._passage() as passage:
            passage.load(ciphertext, self.scheme.context, body)
        seal.Decryptor(self.scheme.context, self.key).decrypt(ciphertext, plaintext)
        found = np.zeros(self.scheme.parameters.ring_degree, np.int64)
        found[: plaintext.coeff_count()] = [plaintext.data(i) for i in range(plaintext.coeff_count())]
        t = self.scheme.parameters.plain_modulus
        return np.where(found > t // 2, found - t, found)


@pytest.mark.parametrize("parameters", PUBLISHED, ids=lambda p: p.name)
@pytest.mark.parametrize(("dimension", "factor", "rows"), [(512, 64, 40), (64, 4, 600), (8, 1, 5), (4096, 512, 7)])
def test_decrypts_what_a_plain_server_computed(parameters, dimension, factor, rows) -> None:
    packing = Packing(parameters.ring_degree, dimension, factor)
    vectors = some_vectors(rows, dimension, 1)
    stored, query = quantise_rows(parameters, vectors), quantise_query(parameters, vectors[3])
    message, key = PreparedQuery.prepare(parameters, packing).encrypt(query)
    raw = key.decrypt(SlowServer(parameters, packing, stored).answer(message))
    assert raw.dtype == np.int64
    assert len(raw) == packing.blocks(rows) * packing.rows_per_block
    expected = np.zeros(len(raw), np.int64)
    expected[:rows] = plain_scores(stored, query)
    cosine_one = parameters.query_scale * parameters.row_scale
    errors = (raw - expected) / cosine_one
    assert np.abs(errors).max() < 6.5 * noise_std(parameters, packing)
    assert int(np.argmax(raw)) == 3


@given(
    dimension=st.integers(8, 4096),
    spread=st.integers(0, 4),
    parameters=st.sampled_from(PUBLISHED),
    seed=st.integers(0, 99),
)
@settings(max_examples=12, deadline=None)
def test_agrees_with_the_plain_twin_for_many_shapes(dimension, spread, parameters, seed) -> None:
    factor = factors(parameters.ring_degree, dimension)[-1 - spread // 2]
    packing = Packing(parameters.ring_degree, dimension, factor)
    vectors = some_vectors(2 + spread, dimension, seed)
    stored, query = quantise_rows(parameters, vectors), quantise_query(parameters, vectors[1])
    message, key = PreparedQuery.prepare(parameters, packing).encrypt(query)
    raw = key.decrypt(SlowServer(parameters, packing, stored, seed).answer(message))[: len(stored)]
    errors = (raw - plain_scores(stored, query)) / (parameters.query_scale * parameters.row_scale)
    assert np.abs(errors).max() < 6.5 * noise_std(parameters, packing)


@pytest.mark.parametrize("parameters", PUBLISHED, ids=lambda p: p.name)
def test_the_noise_is_as_large_as_the_formula_says(parameters) -> None:
    packing = Packing(parameters.ring_degree, 8, 2)
    rows = quantise_rows(parameters, some_vectors(2048, 8, 5))
    query = quantise_query(parameters, some_vectors(1, 8, 6)[0])
    message, key = PreparedQuery.prepare(parameters, packing).encrypt(query)
    errors = key.decrypt(SlowServer(parameters, packing, rows).answer(message)) - plain_scores(rows, query)
    measured = errors.std() / (parameters.query_scale * parameters.row_scale)
    assert measured == pytest.approx(noise_std(parameters, packing), rel=0.15)


@pytest.mark.parametrize("parameters", PUBLISHED, ids=lambda p: p.name)
def test_seal_decrypts_a_reply_to_the_same_scores(parameters) -> None:
    """SEAL sees the reply's values as residues, rounded once more; the scores differ by that rounding alone."""
    packing = Packing(parameters.ring_degree, 32, 8)
    twin = SealTwin(parameters, packing)
    rows = quantise_rows(parameters, some_vectors(300, 32, 2))
    message, key = twin.prepared.encrypt(quantise_query(parameters, some_vectors(1, 32, 3)[0]))
    blocks = SlowServer(parameters, packing, rows).answer(message)
    ours = key.decrypt(blocks).reshape(-1, packing.rows_per_block)
    c1, c0 = read_reply_blocks(parameters, packing, blocks)
    for block in range(len(c1)):
        residues = np.zeros((2, parameters.ring_degree), np.int64)
        residues[0, packing.score_coefficients()] = np.rint(
            c0[block] * (parameters.modulus / (1 << parameters.reply_c0_bits))
        )
        residues[1] = np.rint(c1[block] * (parameters.modulus / (1 << parameters.reply_c1_bits)))
        seals = twin.decrypt(*residues)[packing.score_coefficients()]
        assert np.abs(seals - ours[block]).max() <= 4


@pytest.mark.parametrize("parameters", PUBLISHED, ids=lambda p: p.name)
def test_seal_decrypts_the_query_to_its_message(parameters) -> None:
    packing = Packing(parameters.ring_degree, 32, 8)
    twin = SealTwin(parameters, packing)
    query = quantise_query(parameters, some_vectors(1, 32, 3)[0])
    message, _ = twin.prepared.encrypt(query)
    read = read_query(parameters, packing, message)
    assert (read.seeds == twin.zeros.seeds).all()
    c1 = expand_seeds(read.seeds, parameters.ring_degree, parameters.modulus)
    for chunk in range(packing.chunks):
        decrypted = twin.decrypt(read.c0[chunk], c1[chunk])
        expected = np.zeros(parameters.ring_degree, np.int64)
        expected[:8] = query[8 * chunk : 8 * chunk + 8]
        assert np.abs(decrypted - expected).max() <= 1
    assert np.abs(twin.decrypt(read.c0[-1], c1[-1])).max() <= 1


@pytest.mark.parametrize("parameters", PUBLISHED, ids=lambda p: p.name)
def test_every_ciphertext_carries_its_message_and_small_noise(parameters) -> None:
    """The public key is an encryption of zero with whole residues; the chunks are rounded but no further off."""
    packing = Packing(parameters.ring_degree, 24, 4)
    twin = SealTwin(parameters, packing)
    q, t = parameters.modulus, parameters.plain_modulus
    query = quantise_query(parameters, some_vectors(1, 24, 3)[0])
    message, _ = twin.prepared.encrypt(query)
    read = read_query(parameters, packing, message)
    c1 = expand_seeds(read.seeds, parameters.ring_degree, q)
    largest = {"chunk": 0, "public key": 0}
    for position in range(packing.chunks + 1):
        phase = (read.c0[position] + negacyclic(c1[position], twin.secret, q)) % q
        if position < packing.chunks:
            scaled = [round(int(m) * q / t) for m in query[4 * position : 4 * position + 4]]
            phase[:4] = (phase[:4] - scaled) % q
        centred = np.where(phase > q // 2, phase - q, phase)
        kind = "chunk" if position < packing.chunks else "public key"
        largest[kind] = max(largest[kind], int(np.abs(centred).max()))
    assert 5 <= largest["public key"] <= 21
    assert largest["chunk"] <= 22 + (1 << parameters.query_drop_bits) // 2
    assert (read.c0[-1] % (1 << parameters.query_drop_bits) != 0).any()


def test_every_query_has_a_key_and_seeds_of_its_own() -> None:
    packing = Packing(2048, 8, 8)
    queries = [PreparedQuery.prepare(N2048_Q29, packing) for _ in range(3)]
    query = quantise_query(N2048_Q29, some_vectors(1, 8, 1)[0])
    messages = [prepared.encrypt(query) for prepared in queries]
    seeds = np.vstack([read_query(N2048_Q29, packing, message).seeds for message, _ in messages])
    assert len({seed.tobytes() for seed in seeds}) == len(seeds) == 6
    reply = SlowServer(N2048_Q29, packing, quantise_rows(N2048_Q29, some_vectors(256, 8, 2))).answer(messages[0][0])
    right, *wrong = [key.decrypt(reply) for _, key in messages]
    for scores in wrong:
        assert np.abs(scores - right).mean() > 1 << 21


def test_serves_one_query_only() -> None:
    packing = Packing(2048, 8, 8)
    prepared = PreparedQuery.prepare(N2048_Q29, packing)
    query = quantise_query(N2048_Q29, some_vectors(1, 8, 1)[0])
    prepared.encrypt(query)
    for _ in range(2):
        with pytest.raises(UsedTwice):
            prepared.encrypt(query)


def test_serves_one_of_many_threads_only() -> None:
    packing = Packing(2048, 8, 8)
    query = quantise_query(N2048_Q29, some_vectors(1, 8, 1)[0])
    for _ in range(5):
        prepared = PreparedQuery.prepare(N2048_Q29, packing)
        together = threading.Barrier(16)
        outcomes: list[int | None] = []

        def race(prepared=prepared, together=together, outcomes=outcomes) -> None:
            together.wait()
            try:
                outcomes.append(len(prepared.encrypt(query)[0]))
            except UsedTwice:
                outcomes.append(None)

        threads = [threading.Thread(target=race) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(outcomes) == 16
        assert sum(outcome is not None for outcome in outcomes) == 1


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_serves_the_process_that_made_it_only() -> None:
    packing = Packing(2048, 8, 8)
    prepared = PreparedQuery.prepare(N2048_Q29, packing)
    query = quantise_query(N2048_Q29, some_vectors(1, 8, 1)[0])
    child = os.fork()
    if child == 0:
        try:
            prepared.encrypt(query)
        except UsedTwice:
            os._exit(7)
        except BaseException:  # noqa: BLE001
            os._exit(8)
        os._exit(9)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 7
    prepared.encrypt(query)


def test_cannot_be_copied_or_pickled() -> None:
    prepared = PreparedQuery.prepare(N2048_Q29, Packing(2048, 8, 8))
    _, key = PreparedQuery.prepare(N2048_Q29, Packing(2048, 8, 8)).encrypt(np.zeros(8, np.int64))
    for thing in (prepared, key):
        for attempt in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(UsedTwice):
                attempt(thing)


def test_a_refused_query_leaves_the_material_unused() -> None:
    prepared = PreparedQuery.prepare(N2048_Q29, Packing(2048, 8, 8))
    query = quantise_query(N2048_Q29, some_vectors(1, 8, 1)[0])
    wrongs: list[Any] = [query[:7], query.astype(np.float64), np.stack([query, query]), query * 2]
    for wrong in wrongs:
        with pytest.raises(InvalidVector):
            prepared.encrypt(wrong)
    prepared.encrypt(query)


def test_parts_of_blocks_are_refused() -> None:
    packing = Packing(2048, 8, 8)
    _, key = PreparedQuery.prepare(N2048_Q29, packing).encrypt(np.zeros(8, np.int64))
    for length in (0, 1, 4735, 4737, 2 * 4736 - 1):
        with pytest.raises(MalformedMessage):
            key.decrypt(bytes(length))
    assert key.decrypt(bytes(3 * 4736)).tolist() == [0] * (3 * 256)


def test_no_secret_key_passes_through_a_file(monkeypatch) -> None:
    passed = []
    saved, load = secret._Passage.saved, secret._Passage.load

    def spy_saved(self, thing):
        assert not isinstance(thing, seal.SecretKey | seal.Plaintext)
        passed.append(saved(self, thing))
        return passed[-1]

    def spy_load(self, thing, context, body):
        passed.append(body)
        load(self, thing, context, body)

    monkeypatch.setattr(secret._Passage, "saved", spy_saved)
    monkeypatch.setattr(secret._Passage, "load", spy_load)
    packing = Packing(2048, 16, 8)
    twin = SealTwin(N2048_Q29, packing)
    assert len(passed) == packing.chunks + 2
    in_ntt_form = np.array([twin.key.data().data(i) for i in range(2048)], "<u8").tobytes()
    as_residues = (twin.secret % N2048_Q29.modulus).astype("<u8").tobytes()
    for body in passed:
        assert in_ntt_form[:64] not in body
        assert as_residues[:256] not in body


def test_without_memory_files_a_private_one_is_used_and_gone(monkeypatch, tmp_path) -> None:
    monkeypatch.delattr(os, "memfd_create")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    seen = []
    saved = secret._Passage.saved

    def spy(self, thing):
        body = saved(self, thing)
        file = Path(self._path)
        seen.append((file.parent.stat().st_mode & 0o777, file.stat().st_mode & 0o777, file.is_relative_to(tmp_path)))
        return body

    monkeypatch.setattr(secret._Passage, "saved", spy)
    prepared = PreparedQuery.prepare(N2048_Q29, Packing(2048, 8, 8))
    prepared.encrypt(np.zeros(8, np.int64))
    assert set(seen) == {(0o700, 0o600, True)}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("parameters", PUBLISHED, ids=lambda p: p.name)
def test_seal_takes_the_published_sets_at_its_256_bit_level(parameters) -> None:
    context = secret._scheme(parameters).context
    assert context.parameters_set()
    assert context.key_context_data().qualifiers().sec_level == seal.SEC_LEVEL_TYPE.TC256


def test_seal_refuses_a_modulus_without_a_transform() -> None:
    with pytest.raises(UnsafeParameters, match="SEAL refuses"):
        PreparedQuery.prepare(replace(N2048_Q29, name="wrong", modulus=536813567), Packing(2048, 8, 8))


def test_the_client_half_needs_no_numba() -> None:
    code = "import sys, unseen.he.secret; sys.exit('numba' in sys.modules or 'llvmlite' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0


def test_unsafe_sets_serve_in_tests_only() -> None:
    PreparedQuery.prepare(TINY, Packing(64, 8, 8))
    code = (
        "from dataclasses import replace; from unseen.params import N2048_Q29; from unseen.he.packing import Packing;"
        "from unseen.he.secret import PreparedQuery;"
        "PreparedQuery.prepare(replace(N2048_Q29, ring_degree=1024), Packing(1024, 8, 8))"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "UnsafeParameters" in run.stderr


def test_tripwire() -> None:
    """From a fixed secret, fixed encryptions and a fixed query: the bytes sent and the scores read."""
    digest = hashlib.sha256()
    for parameters in PUBLISHED:
        packing = Packing(2048, 24, 8)
        counted = np.arange(4 * 2048, dtype=np.uint64).reshape(4, 2048) * 2654435761
        zeros = EncryptedQuery(
            (np.arange(4 * 64) * 37 % 251).astype(np.uint8).reshape(4, 64),
            (counted % parameters.modulus).astype(np.uint32),
        )
        key = ReplyKey(parameters, packing, np.arange(2048) * 7 % 3 - 1)
        prepared = PreparedQuery(parameters, packing, zeros, key)
        message, key = prepared.encrypt((np.arange(24) - 12) * 100)
        digest.update(message)
        c1 = (counted[:2] % (1 << parameters.reply_c1_bits)).astype(np.uint32)
        c0 = (counted[2:, :256] % (1 << parameters.reply_c0_bits)).astype(np.uint32)
        digest.update(key.decrypt(write_reply_blocks(parameters, packing, c1, c0)).astype("<i8").tobytes())
    assert digest.hexdigest() == "4b4c0f9f36b7eb5a3aae372b0feaca68857c0c53dc3a4a9e08c4c29ffe07f4cb"
