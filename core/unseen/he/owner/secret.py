"""The owner's half of the scan: the long-lived key, encryption of rows and queries, decryption of replies.

On the device only; the server never imports it (import contract "trust"). Whoever holds an owner key can read the whole
index: the key is the index.

One key serves for years, so what a decryption shows may go nowhere: no fetch, no retry, no error, no timing that
depends on it. A server that sees how a device reacts to crafted replies learns the key in a few hundred of them
(docs/owner-encrypted.md). Nothing here reports a reply as odd: any whole blocks decrypt to some scores, in the same
time. Checks of plausibility belong to the caller, who has the scores, and must stay on the device.

The secret polynomial s is ternary and follows from 32 bytes, the root: that is what a key store keeps. Every encryption
draws a fresh seed for c1 and fresh centred binomial errors from ``unseen.entropy``; there is no way to ask for an
encryption with a given seed, because one seed under two messages shows their difference. A ciphertext is

    c0 = m + e - c1 s        c1 uniform, from the seed        so that        c0 + c1 s = m + e

Decryption is exact on the reply's finest scale: two products with s, in Horner's order (``unseen.he.fourier``).
"""

from __future__ import annotations

import hmac
from types import TracebackType
from typing import NoReturn

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from unseen.entropy import keystream, random_bytes
from unseen.errors import InvalidInput, InvalidVector, KeyMissing, UsedTwice
from unseen.he.fourier import multiply
from unseen.he.fourier import transform as fourier_transform
from unseen.he.owner.message import Ciphertexts, read_reply_blocks, write_ciphertexts
from unseen.he.owner.noise import MOST_SQUARE_NORM_EXCESS, QUERY_NORM_SLACK, expected_square_norm
from unseen.he.owner.transform import Transform, transform
from unseen.he.owner.uniform import SEED_BYTES, uniform_residues
from unseen.he.packing import Packing
from unseen.he.quantise import check_rows
from unseen.params import OwnerParameterSet, require_safe

Int8Array = npt.NDArray[np.int8]
Int16Array = npt.NDArray[np.int16]
Int64Array = npt.NDArray[np.int64]
Float64Array = npt.NDArray[np.float64]

ROOT_BYTES = 32
FINGERPRINT_BYTES = 16
CHUNKS_AT_ONCE = 4
"""Chunks are encrypted in runs of this many, which stay in the cache."""
BLOCKS_AT_ONCE = 16
"""Reply blocks are unpacked and decrypted in runs of this many."""


class OwnerKey:
    """One owner's key for one parameter set. Safe for several threads; cannot be copied or pickled; close it."""

    def __init__(self, parameters: OwnerParameterSet, root: bytes) -> None:
        """Take a key out of the 32 bytes that ``generate`` drew and a key store kept. Raises InvalidInput for others.

        Raises UnsafeParameters for a set that may not serve outside tests.
        """
        if len(root) != ROOT_BYTES:
            raise InvalidInput(f"got an owner key of {len(root)} bytes, expected {ROOT_BYTES}")
        self.parameters = require_safe(parameters)
        self._root = bytearray(root)
        self._secret = _ternary(_derived(parameters, root, b"secret"), parameters.ring_degree)
        self._folded = fourier_transform(self._secret[None].astype(np.int64))[0]
        self._transformed = np.stack([ring.forward(self._secret[None])[0] for ring in rings(parameters)])
        self._closed = False

    @staticmethod
    def generate(parameters: OwnerParameterSet) -> OwnerKey:
        """Draw a fresh key. One whose s^2 is far longer than usual is drawn again: the noise bound rests on it."""
        while True:
            key = OwnerKey(parameters, random_bytes(ROOT_BYTES))
            if key.square_norm <= MOST_SQUARE_NORM_EXCESS * expected_square_norm(parameters):
                return key
            key.close()

    @property
    def root(self) -> bytes:
        """The 32 bytes for a key store, which wraps them before they touch a disk. They are the key."""
        self._require_open()
        return bytes(self._root)

    @property
    def fingerprint(self) -> bytes:
        """Sixteen bytes that tell keys apart and say nothing about them."""
        self._require_open()
        return _derived(self.parameters, bytes(self._root), b"fingerprint")[:FINGERPRINT_BYTES]

    @property
    def square_norm(self) -> float:
        """The squared length of s^2 as a polynomial."""
        self._require_open()
        whole = self._secret.astype(np.int64)
        product_bits = 1 + (self.parameters.ring_degree - 1).bit_length()
        square = multiply(whole[None], self._folded, product_bits)[0]
        return float(square @ square)

    # ------------------------------------------------------------------------------------------------------ encrypt

    def encrypt_rows(self, packing: Packing, rows: Int16Array) -> list[bytes]:
        """Encrypt quantised rows (n, d) into whole blocks, the last one filled up with zero rows.

        A row of zeros is an empty slot. Each block is the message for the server and what it keeps, laid out as in
        ``unseen.he.owner.message``; two blocks of the same rows have nothing in common. Raises InvalidVector for a row
        above the norm cap or of another dimension.
        """
        self._require_open()
        if rows.ndim != 2 or rows.shape[1] != packing.dimension:
            raise InvalidVector(f"got rows of shape {rows.shape}, expected (n, {packing.dimension})")
        check_rows(self.parameters, rows[rows.any(axis=1)])
        per_block = packing.rows_per_block
        blocks = []
        for first in range(0, len(rows), per_block):
            part = np.zeros((per_block, packing.dimension), np.int16)
            part[: len(rows) - first] = rows[first : first + per_block]
            blocks.append(self._encrypt(packing.row_polynomials(part).astype(np.int64)))
        return blocks

    def encrypt_query(self, packing: Packing, query: Int64Array) -> bytes:
        """Encrypt a quantised query (d,). Raises InvalidVector for another shape or a norm over the cap."""
        self._require_open()
        if query.shape != (packing.dimension,) or query.dtype != np.int64:
            raise InvalidVector(f"got {query.dtype} {query.shape}, expected a query of int64 ({packing.dimension},)")
        cap = QUERY_NORM_SLACK * self.parameters.query_scale
        if float(np.linalg.norm(query.astype(np.float64))) > cap:
            raise InvalidVector(f"this query's integer norm passes {cap:.0f}: quantise it with {self.parameters.name}")
        polynomials = np.zeros((packing.chunks, self.parameters.ring_degree), np.int64)
        polynomials[:, : packing.factor] = packing.query_polynomials(query)
        return self._encrypt(polynomials)

    def _encrypt(self, message: Int64Array) -> bytes:
        """Encrypt integer polynomials (chunks, N) under a seed and errors that nobody else has."""
        parameters = self.parameters
        seed = random_bytes(SEED_BYTES)
        c0 = np.empty((len(message), len(parameters.moduli), parameters.ring_degree), np.uint16)
        for first in range(0, len(message), CHUNKS_AT_ONCE):
            part = message[first : first + CHUNKS_AT_ONCE]
            c1 = uniform_residues(seed, len(part), parameters.ring_degree, parameters.moduli, first)
            noisy = part + _errors(part.shape, parameters.error_coins)
            for number, ring in enumerate(rings(parameters)):
                masked = ring.centred(c1[:, number] * self._transformed[number])
                residues = ring.residues(ring.centred(ring.forward(noisy) - masked))
                c0[first : first + CHUNKS_AT_ONCE, number] = residues
        return write_ciphertexts(Ciphertexts(seed, c0))

    # ------------------------------------------------------------------------------------------------------ decrypt

    def decrypt(self, packing: Packing, blocks: bytes) -> Int64Array:
        """Whole reply blocks -> raw scores of their rows in order (blocks * rows_per_block,), in units of Z_q.

        ``unseen.he.quantise.to_cosines`` makes cosines of them. Raises MalformedMessage when the bytes are not whole
        blocks, which the server knew beforehand; otherwise nothing here depends on what they hold.
        """
        self._require_open()
        arrived = read_reply_blocks(self.parameters, packing, blocks)
        scores = np.empty(arrived.c0.shape, np.int64)
        for first in range(0, len(scores), BLOCKS_AT_ONCE):
            part = slice(first, first + BLOCKS_AT_ONCE)
            phase = self._phase(arrived.c2[part], arrived.c1[part])[:, packing.score_coefficients()]
            scores[part] = self._score(phase + self._step(arrived.c0[part], self.parameters.reply_c0_bits))
        return scores.reshape(-1)

    def _phase(self, c2: npt.NDArray[np.uint32], c1: npt.NDArray[np.uint32]) -> Int64Array:
        """(c2 s + c1) s modulo 2^reply_c2_bits, exactly."""
        bits = self.parameters.reply_c2_bits
        product_bits = bits + (self.parameters.ring_degree - 1).bit_length()
        mask = (1 << bits) - 1
        inner = multiply(c2, self._folded, product_bits) + self._step(c1, self.parameters.reply_c1_bits)
        return multiply(inner & mask, self._folded, product_bits)

    def _step(self, values: npt.NDArray[np.uint32], bits: int) -> Int64Array:
        """Bring values of fewer bits to c2's scale."""
        return values.astype(np.int64) << (self.parameters.reply_c2_bits - bits)

    def _score(self, phase: Int64Array) -> Int64Array:
        """Centre the phase and count it in units of Z_q."""
        bits = self.parameters.reply_c2_bits
        half = 1 << (bits - 1)
        centred = ((phase + half) & ((1 << bits) - 1)) - half
        return np.asarray((centred * self.parameters.modulus + half) >> bits, np.int64)

    # -------------------------------------------------------------------------------------------------------- close

    def close(self) -> None:
        """Overwrite the key in memory. Copies that Python or a library made before are beyond reach."""
        self._root[:] = bytes(ROOT_BYTES)
        for secret in (self._secret, self._folded, self._transformed):
            secret.fill(0)
        self._closed = True

    def __enter__(self) -> OwnerKey:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _require_open(self) -> None:
        if self._closed:
            raise KeyMissing("this owner key was closed: open it from the key store again")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OwnerKey) and hmac.compare_digest(self.fingerprint, other.fingerprint)

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __repr__(self) -> str:
        return f"OwnerKey({self.parameters.name})"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise UsedTwice("an owner key cannot be copied or pickled: hand its root to a key store instead")


def rings(parameters: OwnerParameterSet) -> tuple[Transform, ...]:
    """The transforms modulo each of a set's primes."""
    pairs = zip(parameters.moduli, parameters.roots, strict=True)
    return tuple(transform(parameters.ring_degree, modulus, psi) for modulus, psi in pairs)


def _derived(parameters: OwnerParameterSet, root: bytes, purpose: bytes) -> bytes:
    """32 bytes for one purpose: HKDF-SHA256 (RFC 5869), the set's id in the info, so that no two sets share a key."""
    info = b"unseen owner key\0" + parameters.id.encode("ascii") + b"\0" + purpose
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(root)


def _ternary(key: bytes, degree: int) -> Int8Array:
    """Uniform coefficients -1, 0, 1 from the bytes of a ChaCha20 stream, 255 redrawn."""
    stream = Cipher(algorithms.ChaCha20(key, bytes(16)), mode=None).encryptor()
    drawn = np.empty(0, np.uint8)
    while drawn.size < degree:
        fresh = np.frombuffer(stream.update(bytes(2 * degree)), np.uint8)
        drawn = np.concatenate([drawn, fresh[fresh < 255]])
    return (drawn[:degree] % 3).astype(np.int8) - np.int8(1)


def _errors(shape: tuple[int, ...], coins: int) -> Int64Array:
    """Centred binomial errors: heads of ``coins`` coins less heads of as many others, at most 32 each."""
    words = np.frombuffer(keystream(8 * int(np.prod(shape))), np.uint64).reshape(shape)
    mask = np.uint64((1 << coins) - 1)
    first, second = words & mask, (words >> np.uint64(32)) & mask
    return np.asarray(np.bitwise_count(first).astype(np.int64) - np.bitwise_count(second), np.int64)
