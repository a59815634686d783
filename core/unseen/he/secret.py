"""The client's half of the scan: keys, encryption, decryption. The only file that knows SEAL, and the only one that
holds a secret key. Never import it from the server.

A query gets a key of its own. Encryptions of zero under it are made ahead of time; adding round(q/t * m) to c0 later
makes one an encryption of m. Each serves one message in one query, never two: the difference of two messages under
one encryption is in the clear. So a ``PreparedQuery`` gives its material away once, to one thread, in the process
that made it, and cannot be copied. A decryption is for the user's eyes; nothing computed from one goes back.

Keys and encryptions come from SEAL. Decryption is one product with the key, done here on the reply's own scale, which
rounds less than SEAL would and is eight times faster (tests hold it against SEAL's).

SEAL reads and writes files only. They are memory files (memfd) where the system has them, else a file in a private
directory, gone at once: encryptions of zero pass through it, which hide a message only from who has not seen them; a
secret key, a message or a score never does. SEAL parses nothing that came from the server.

SEAL's saved form (4.3, compression aside): a 16-byte header, then for a ciphertext a frame of 97 bytes and residues as
little-endian uint64; a seeded one holds c0 only and ends in a generator record of 81 bytes, the last 64 the seed.
"""

from __future__ import annotations

import os
import struct
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
import tenseal.sealapi as seal
import zstandard

from unseen.errors import InvalidVector, UnsafeParameters, UsedTwice
from unseen.he.fourier import multiply, transform
from unseen.he.message import EncryptedQuery, read_reply_blocks, write_query
from unseen.he.noise import QUERY_NORM_SLACK
from unseen.he.packing import Packing
from unseen.params import SEED_BYTES, ParameterSet, require_safe

UInt8Array = npt.NDArray[np.uint8]
UInt32Array = npt.NDArray[np.uint32]
Int64Array = npt.NDArray[np.int64]

BLOCKS_AT_ONCE = 32
"""Reply blocks are unpacked in runs of this many: 1 MiB of residues at N = 2048."""

_HEADER = struct.Struct("<HBBBBHQ")
"""SEALHeader: magic, header size, version major and minor, compression, reserved, size of everything."""
_COMPRESSION_NONE = 0
_CIPHERTEXT_FRAME_BYTES = 97
_GENERATOR_BYTES = 81


class PreparedQuery:
    """A fresh secret key and chunks + 1 encryptions of zero, waiting for the one query that they will carry."""

    def __init__(self, parameters: ParameterSet, packing: Packing, zeros: EncryptedQuery, key: ReplyKey) -> None:
        """For ``prepare``; takes over ``zeros``."""
        self.parameters = parameters
        self.packing = packing
        self._process = os.getpid()
        self._taking = threading.Lock()
        self._material: tuple[EncryptedQuery, ReplyKey] | None = (zeros, key)

    @staticmethod
    def prepare(parameters: ParameterSet, packing: Packing) -> PreparedQuery:
        """Make a key and its encryptions of zero: the costly part of a query, possible before the query exists.

        Raises UnsafeParameters for a set that may not serve outside tests.
        """
        scheme = _scheme(require_safe(parameters))
        secret_key = seal.KeyGenerator(scheme.context).secret_key()
        zeros = _encrypt_zeros(scheme, seal.Encryptor(scheme.context, secret_key), packing.chunks + 1)
        return PreparedQuery(
            parameters, packing, zeros, ReplyKey(parameters, packing, _read_secret(scheme, secret_key))
        )

    def encrypt(self, query: Int64Array) -> tuple[bytes, ReplyKey]:
        """Encrypt a quantised query (d,): the message for the server, and the key that reads the reply.

        Raises InvalidVector for another shape or a norm over the cap (the material is kept), UsedTwice when the
        material has served already or was made in another process.
        """
        _require_query(self.parameters, self.packing, query)
        zeros, key = self._take()
        message = _scale_message(self.parameters, self.packing.query_polynomials(query))
        carrying = zeros.c0[:-1, : self.packing.factor]
        carrying[:] = (carrying.astype(np.int64) + message) % self.parameters.modulus
        return write_query(self.parameters, self.packing, zeros), key

    def _take(self) -> tuple[EncryptedQuery, ReplyKey]:
        if os.getpid() != self._process:
            raise UsedTwice("this query was prepared before a fork and belongs to the parent: prepare a fresh one")
        with self._taking:
            material, self._material = self._material, None
        if material is None:
            raise UsedTwice("this prepared query has carried its one message: prepare a fresh one")
        return material

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise UsedTwice("one-time key material cannot be copied or pickled: prepare a fresh one")


class ReplyKey:
    """The secret key of one query, kept until its reply is read: coefficients -1, 0 and 1, in transformed form."""

    def __init__(self, parameters: ParameterSet, packing: Packing, secret: Int64Array) -> None:
        """For ``PreparedQuery``; ``secret`` is (N,)."""
        self.parameters = parameters
        self.packing = packing
        self._transformed = transform(secret[None])[0]

    def decrypt(self, blocks: bytes) -> Int64Array:
        """Whole reply blocks -> raw scores of their rows in order (blocks * rows_per_block,).

        Raises MalformedMessage when the bytes are not whole blocks. Any whole blocks decrypt to something: what a
        server made up comes out as made-up scores.
        """
        c1, c0 = read_reply_blocks(self.parameters, self.packing, blocks)
        scores = np.empty((len(c1), self.packing.rows_per_block), np.int64)
        for start in range(0, len(c1), BLOCKS_AT_ONCE):
            part = slice(start, start + BLOCKS_AT_ONCE)
            scores[part] = self._decrypt_part(c1[part], c0[part])
        return scores.reshape(-1)

    def _decrypt_part(self, c1: UInt32Array, c0: UInt32Array) -> Int64Array:
        """round(t/q * (c0 + c1 * s)), centred, where c1 counts in steps of q / 2^reply_c1_bits, c0 in larger ones.

        The sum is exact on c1's scale: nothing is rounded before it is brought to t.
        """
        parameters = self.parameters
        bits = parameters.reply_c1_bits
        product_bits = bits + (parameters.ring_degree - 1).bit_length()
        products = multiply(c1, self._transformed, product_bits)[:, self.packing.score_coefficients()]
        phase = products + (c0.astype(np.int64) << (bits - parameters.reply_c0_bits))
        half = 1 << (bits - 1)
        centred = ((phase + half) & ((1 << bits) - 1)) - half
        return (centred * parameters.plain_modulus + half) >> bits

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise UsedTwice("a reply's key cannot be copied or pickled: decrypt where the query was encrypted")


def _require_query(parameters: ParameterSet, packing: Packing, query: Int64Array) -> None:
    if query.shape != (packing.dimension,) or query.dtype != np.int64:
        raise InvalidVector(f"got a {query.dtype} query of shape {query.shape}, expected int64 ({packing.dimension},)")
    cap = QUERY_NORM_SLACK * parameters.query_scale
    if float(np.linalg.norm(query.astype(np.float64))) > cap:
        raise InvalidVector(f"this query's integer norm passes {cap:.0f}: quantise it with {parameters.name}")


def _scale_message(parameters: ParameterSet, message: Int64Array) -> Int64Array:
    """round(q/t * m), exactly."""
    t = parameters.plain_modulus
    return (message * parameters.modulus + t // 2) // t


# ------------------------------------------------------------------------------------------------------------- SEAL


@dataclass(frozen=True)
class _Scheme:
    """SEAL's view of a parameter set: public, made once."""

    parameters: ParameterSet
    context: Any
    frame: bytes
    """The frame of an expanded ciphertext of two polynomials: what stands before its residues."""


@lru_cache(maxsize=8)
def _scheme(parameters: ParameterSet) -> _Scheme:
    """Set SEAL up. Raises UnsafeParameters when SEAL's 256-bit level refuses a set that claims to be safe."""
    chosen = seal.EncryptionParameters(seal.SCHEME_TYPE.BFV)
    chosen.set_poly_modulus_degree(parameters.ring_degree)
    chosen.set_coeff_modulus([seal.Modulus(parameters.modulus)])
    chosen.set_plain_modulus(parameters.plain_modulus)
    level = seal.SEC_LEVEL_TYPE.TC256 if parameters.is_safe else seal.SEC_LEVEL_TYPE.NONE
    context = seal.SEALContext(chosen, True, level)
    if not context.parameters_set():
        raise UnsafeParameters(f"SEAL refuses {parameters.name}: {context.parameters_error_message()}")
    own = seal.Ciphertext()
    seal.Encryptor(context, seal.KeyGenerator(context).secret_key()).encrypt_zero_symmetric(own)
    with _passage() as passage:
        body = passage.saved(own)
    _require_length(body, _CIPHERTEXT_FRAME_BYTES + 2 * 8 * parameters.ring_degree)
    return _Scheme(parameters, context, body[:_CIPHERTEXT_FRAME_BYTES])


def _read_secret(scheme: _Scheme, secret_key: Any) -> Int64Array:
    """The coefficients (N,) of SEAL's secret key, which never pass through a file.

    The ciphertext (0, q/t) decrypts to the key itself; its coefficients are read one by one.
    """
    residues = np.zeros((2, scheme.parameters.ring_degree), np.uint64)
    residues[1, 0] = round(scheme.parameters.modulus / scheme.parameters.plain_modulus)
    ciphertext, plaintext = seal.Ciphertext(), seal.Plaintext()
    with _passage() as passage:
        passage.load(ciphertext, scheme.context, scheme.frame + residues.tobytes())
    seal.Decryptor(scheme.context, secret_key).decrypt(ciphertext, plaintext)
    secret = np.zeros(scheme.parameters.ring_degree, np.int64)
    secret[: plaintext.coeff_count()] = [plaintext.data(i) for i in range(plaintext.coeff_count())]
    secret[secret == scheme.parameters.plain_modulus - 1] = -1
    if int(np.abs(secret).max()) != 1:
        raise UnsafeParameters("SEAL's secret key is not ternary: install the pinned TenSEAL")
    return secret


def _encrypt_zeros(scheme: _Scheme, encryptor: Any, count: int) -> EncryptedQuery:
    """Fresh encryptions of zero as seeds (count, 64) and c0 (count, N)."""
    degree = scheme.parameters.ring_degree
    zeros = EncryptedQuery(np.empty((count, SEED_BYTES), np.uint8), np.empty((count, degree), np.uint32))
    with _passage() as passage:
        for row in range(count):
            body = passage.saved(encryptor.encrypt_zero_symmetric())
            _require_length(body, _CIPHERTEXT_FRAME_BYTES + 8 * degree + _GENERATOR_BYTES)
            zeros.c0[row] = np.frombuffer(body, np.uint64, degree, _CIPHERTEXT_FRAME_BYTES)
            zeros.seeds[row] = np.frombuffer(body, np.uint8)[-SEED_BYTES:]
    return zeros


def _require_length(body: bytes, expected: int) -> None:
    if len(body) != expected:
        raise UnsafeParameters(f"SEAL wrote {len(body)} bytes, expected {expected}: install the pinned TenSEAL")


class _Passage:
    """A file that bytes pass through on their way into SEAL and out of it."""

    def __init__(self, file: int, path: str) -> None:
        self._file = file
        self._path = path
        self._unzip = zstandard.ZstdDecompressor()

    def saved(self, thing: Any) -> bytes:
        """What SEAL saves of a thing, without header and compression."""
        thing.save(self._path)
        raw = os.pread(self._file, os.fstat(self._file).st_size, 0)
        *_, compression, _, size = _HEADER.unpack_from(raw)
        body = raw[_HEADER.size : size]
        return body if compression == _COMPRESSION_NONE else self._unzip.decompressobj().decompress(body)

    def load(self, thing: Any, context: Any, body: bytes) -> None:
        """Let SEAL load a thing from a body that was laid out here."""
        os.pwrite(self._file, _own_header(len(body)) + body, 0)
        thing.load(context, self._path)


def _own_header(body_bytes: int) -> bytes:
    return _HEADER.pack(0xA15E, _HEADER.size, 4, 3, _COMPRESSION_NONE, 0, _HEADER.size + body_bytes)


@contextmanager
def _passage() -> Iterator[_Passage]:
    """A memory file, or a file that only this user can open; gone afterwards."""
    if hasattr(os, "memfd_create"):
        file = os.memfd_create("unseen", os.MFD_CLOEXEC)
        try:
            yield _Passage(file, f"/proc/self/fd/{file}")
        finally:
            os.close(file)
        return
    with tempfile.TemporaryDirectory(prefix="unseen-") as directory:
        path = Path(directory) / "passage"
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            yield _Passage(file, str(path))
        finally:
            os.close(file)
