"""The bytes of a query and of a reply, ours and of fixed length. Drawn in ``docs/formats.md``; public on both sides.

A SEAL stream is never parsed from the other side. Instead (N = ring degree, every run of bits filled to a byte):

    query   chunk 0 .. chunks-1     seed, 64 bytes | N residues of c0, rounded: residue_bits - query_drop_bits each
            public key              seed, 64 bytes | N residues of c0, whole:   residue_bits each
    reply   block 0 ..              N values of c1, reply_c1_bits each | one value of c0 per row, reply_c0_bits each

The seed stands for c1 (``unseen.he.expand``). The public key is an encryption of zero under the query's key, with
which the server masks its reply. Length, range, emptiness and repetition are checked before anything is computed.

Rounding: v = (c0 + 2^(b-1)) >> b is sent and v << b is read. With q = 1 mod 2^b the largest v << b is q - 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unseen.errors import InvalidInput, MalformedMessage
from unseen.he.bits import pack_bits, packed_bytes, unpack_bits
from unseen.he.packing import Packing
from unseen.params import SEED_BYTES, ParameterSet

Uint8Array = npt.NDArray[np.uint8]
Uint32Array = npt.NDArray[np.uint32]
UnpackBits = Callable[[Uint8Array, int, int], Uint32Array]


@dataclass(frozen=True)
class EncryptedQuery:
    """The ciphertexts of a query, the mask's public key last; c1 of each is expanded from its seed."""

    seeds: Uint8Array
    """(chunks + 1, 64)."""
    c0: Uint32Array
    """(chunks + 1, N), residues below q."""


@dataclass(frozen=True)
class ArrivedQuery:
    """A query of the right length, cut into its ciphertexts and not yet unpacked: threads may each do a part."""

    seeds: Uint8Array
    """(chunks + 1, 64), all different."""
    chunks: Uint8Array
    """(chunks, bytes): packed c0 without its dropped bits."""
    public_key: Uint8Array
    """(1, bytes): packed c0, whole."""


def query_bytes(parameters: ParameterSet, packing: Packing) -> int:
    """Length of every query for this packing."""
    return packing.chunks * _chunk_bytes(parameters) + _public_key_bytes(parameters)


def reply_block_bytes(parameters: ParameterSet, packing: Packing) -> int:
    """Length of every reply block for this packing."""
    c1_bytes, c0_bytes = _reply_run_bytes(parameters, packing)
    return c1_bytes + c0_bytes


def write_query(parameters: ParameterSet, packing: Packing, query: EncryptedQuery) -> bytes:
    """Lay an encrypted query out as bytes; the low bits of the chunks' c0 are rounded away here."""
    rounded = round_residues(parameters, query.c0[:-1])
    chunks = pack_bits(rounded, _chunk_width(parameters))
    public_key = pack_bits(query.c0[-1:], parameters.residue_bits)
    return np.hstack([query.seeds[:-1], chunks]).tobytes() + np.hstack([query.seeds[-1:], public_key]).tobytes()


def read_query(
    parameters: ParameterSet, packing: Packing, data: bytes, unpack: UnpackBits = unpack_bits
) -> EncryptedQuery:
    """Parse a query from the other side; c0 comes back as whole residues with zeros for the bits that were dropped.

    ``unpack`` is any implementation of ``unseen.he.bits.unpack_bits``. Raises MalformedMessage for any other length, a
    residue that is not below q, an all-zero c0 or a repeated seed.
    """
    arrived = split_query(parameters, packing, data)
    return EncryptedQuery(arrived.seeds, read_residues(parameters, arrived, 0, len(arrived.seeds), unpack))


def split_query(parameters: ParameterSet, packing: Packing, data: bytes) -> ArrivedQuery:
    """Cut a query into its ciphertexts; raises MalformedMessage for any other length or a repeated seed."""
    _require_length(len(data), query_bytes(parameters, packing), "query")
    everything = np.frombuffer(data, np.uint8)
    chunks = everything[: -_public_key_bytes(parameters)].reshape(packing.chunks, _chunk_bytes(parameters))
    public_key = everything[-_public_key_bytes(parameters) :].reshape(1, -1)
    seeds = np.vstack([chunks[:, :SEED_BYTES], public_key[:, :SEED_BYTES]])
    _require_distinct(seeds)
    return ArrivedQuery(seeds, chunks[:, SEED_BYTES:], public_key[:, SEED_BYTES:])


def read_residues(
    parameters: ParameterSet, arrived: ArrivedQuery, first: int, end: int, unpack: UnpackBits = unpack_bits
) -> Uint32Array:
    """c0 of the ciphertexts ``first`` to ``end - 1``: (n, N); raises MalformedMessage for what is no residue."""
    degree = parameters.ring_degree
    rounded = unpack(arrived.chunks[first:end], _chunk_width(parameters), degree)
    c0 = expand_residues(parameters, rounded)
    if end > len(arrived.chunks):
        c0 = np.vstack([c0, unpack(arrived.public_key, parameters.residue_bits, degree)])
    _require_residues(parameters, c0)
    return c0


def round_residues(parameters: ParameterSet, residues: Uint32Array) -> Uint32Array:
    """Round away the low bits that a query does not carry. Raises InvalidInput unless q = 1 mod 2^query_drop_bits."""
    drop = parameters.query_drop_bits
    if (parameters.modulus - 1) % (1 << drop):
        raise InvalidInput(f"{parameters.name} drops {drop} bits, but its modulus is not 1 mod 2^{drop}: drop fewer")
    return (residues + np.uint32((1 << drop) >> 1)) >> np.uint32(drop)


def expand_residues(parameters: ParameterSet, rounded: Uint32Array) -> Uint32Array:
    """Put zeros back where ``round_residues`` took bits away."""
    return rounded << np.uint32(parameters.query_drop_bits)


def write_reply_blocks(parameters: ParameterSet, packing: Packing, c1: Uint32Array, c0: Uint32Array) -> bytes:
    """Lay switched blocks out as bytes: c1 (b, N) and c0 (b, rows_per_block), each below 2 to its reply bits."""
    if c1.shape != (len(c0), parameters.ring_degree) or c0.shape[1] != packing.rows_per_block:
        raise InvalidInput(f"got c1 {c1.shape} and c0 {c0.shape}, expected (b, N) and (b, rows per block)")
    return np.hstack([pack_bits(c1, parameters.reply_c1_bits), pack_bits(c0, parameters.reply_c0_bits)]).tobytes()


def read_reply_blocks(parameters: ParameterSet, packing: Packing, data: bytes) -> tuple[Uint32Array, Uint32Array]:
    """Parse whole reply blocks: -> c1 (b, N) and c0 (b, rows_per_block). Raises MalformedMessage for a part of one."""
    size = reply_block_bytes(parameters, packing)
    _require_length(len(data), max(1, round(len(data) / size)) * size, "run of reply blocks")
    c1_bytes, _ = _reply_run_bytes(parameters, packing)
    blocks = np.frombuffer(data, np.uint8).reshape(-1, size)
    c1 = unpack_bits(blocks[:, :c1_bytes], parameters.reply_c1_bits, parameters.ring_degree)
    return c1, unpack_bits(blocks[:, c1_bytes:], parameters.reply_c0_bits, packing.rows_per_block)


def _chunk_width(parameters: ParameterSet) -> int:
    return parameters.residue_bits - parameters.query_drop_bits


def _chunk_bytes(parameters: ParameterSet) -> int:
    return SEED_BYTES + packed_bytes(_chunk_width(parameters), parameters.ring_degree)


def _public_key_bytes(parameters: ParameterSet) -> int:
    return SEED_BYTES + packed_bytes(parameters.residue_bits, parameters.ring_degree)


def _reply_run_bytes(parameters: ParameterSet, packing: Packing) -> tuple[int, int]:
    return (
        packed_bytes(parameters.reply_c1_bits, parameters.ring_degree),
        packed_bytes(parameters.reply_c0_bits, packing.rows_per_block),
    )


def _require_length(got: int, expected: int, what: str) -> None:
    if got != expected:
        raise MalformedMessage(f"got a {what} of {got} bytes, expected {expected}: fetch the collection's packing anew")


def _require_distinct(seeds: Uint8Array) -> None:
    """One seed twice would give two encryptions with one c1, whose difference no mask hides."""
    if len({seed.tobytes() for seed in seeds}) != len(seeds):
        raise MalformedMessage("a seed stands twice in this query, expected a fresh one for each: encrypt anew")


def _require_residues(parameters: ParameterSet, c0: Uint32Array) -> None:
    if int(c0.max()) >= parameters.modulus:
        raise MalformedMessage(f"got a residue above {parameters.modulus - 1}: encrypt with {parameters.name}")
    if not c0.any(axis=1).all():
        raise MalformedMessage("got a ciphertext whose c0 is all zero, which is no encryption: encrypt anew")
