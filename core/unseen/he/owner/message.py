"""The bytes of a query, of a block of rows and of a reply, ours and of fixed length. Public on both sides.

Everything that travels up or lies at rest is in transformed form, in bit-reversed order, so a server transforms
nothing but its replies (N = ring degree; every run of bits filled to a byte):

    query or block   seed, 32 bytes | chunk 0 | chunk 1 | ...
    chunk            N residues of c0 modulo the first prime, 2 bytes each | N modulo the second
    reply block      N values of c2, reply_c2_bits each | N of c1, reply_c1_bits | one of c0 per row, reply_c0_bits

The seed stands for c1 of every chunk (``uniform``). Length and range are checked before anything is computed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unseen.errors import MalformedMessage
from unseen.he.bits import pack_bits, packed_bytes, unpack_bits
from unseen.he.owner.uniform import SEED_BYTES
from unseen.he.packing import Packing, factors
from unseen.params import OwnerParameterSet

UInt8Array = npt.NDArray[np.uint8]
UInt16Array = npt.NDArray[np.uint16]
UInt32Array = npt.NDArray[np.uint32]

RESIDUE_BYTES = 2


@dataclass(frozen=True)
class Ciphertexts:
    """The chunks of one query or one block of rows; c1 of each is expanded from the seed."""

    seed: bytes
    c0: UInt16Array
    """(chunks, primes, N): transformed residues, each below its prime."""


@dataclass(frozen=True)
class SwitchedBlocks:
    """Reply blocks on their way: c0 + c1 s + c2 s^2, each polynomial counted in steps of q / 2^bits of its own."""

    c0: UInt32Array
    """(blocks, rows_per_block): the coefficients that hold scores."""
    c1: UInt32Array
    """(blocks, N)."""
    c2: UInt32Array
    """(blocks, N)."""


def ciphertexts_bytes(parameters: OwnerParameterSet, packing: Packing) -> int:
    """Length of every query, and of every block of rows, of this packing."""
    return SEED_BYTES + packing.chunks * _chunk_bytes(parameters)


def write_ciphertexts(ciphertexts: Ciphertexts) -> bytes:
    """Lay a query or a block of rows out as bytes."""
    return ciphertexts.seed + ciphertexts.c0.astype("<u2", copy=False).tobytes()


def read_ciphertexts(parameters: OwnerParameterSet, packing: Packing, data: bytes) -> Ciphertexts:
    """Parse a query or a block of rows from the other side; c0 is a view of the bytes where the machine allows.

    Raises MalformedMessage for any other length, a residue that is not below its prime, or a c0 that is all zero.
    """
    expected = ciphertexts_bytes(parameters, packing)
    if len(data) != expected:
        raise MalformedMessage(f"got {len(data)} bytes of ciphertexts, expected {expected}: fetch the packing anew")
    c0 = np.frombuffer(data, "<u2", offset=SEED_BYTES).astype(np.uint16, copy=False)
    c0 = c0.reshape(packing.chunks, len(parameters.moduli), parameters.ring_degree)
    for number, modulus in enumerate(parameters.moduli):
        largest = c0[:, number].max(axis=1)
        if int(largest.max()) >= modulus:
            raise MalformedMessage(f"got a residue above {modulus - 1}: encrypt with {parameters.name}")
        if not largest.all():
            raise MalformedMessage("got a ciphertext whose c0 is all zero, which is no encryption: encrypt anew")
    return Ciphertexts(bytes(data[:SEED_BYTES]), c0)


def reply_block_bytes(parameters: OwnerParameterSet, packing: Packing) -> int:
    """Length of every reply block of this packing."""
    return sum(packed_bytes(bits, count) for bits, count in reply_runs(parameters, packing))


def reply_runs(parameters: OwnerParameterSet, packing: Packing) -> tuple[tuple[int, int], ...]:
    """Bits and number of the values of c2, c1 and c0, in the order in which they stand in a reply block."""
    degree = parameters.ring_degree
    return (
        (parameters.reply_c2_bits, degree),
        (parameters.reply_c1_bits, degree),
        (parameters.reply_c0_bits, packing.rows_per_block),
    )


def write_reply_blocks(parameters: OwnerParameterSet, packing: Packing, blocks: SwitchedBlocks) -> bytes:
    """Lay switched blocks out as bytes."""
    runs = zip((blocks.c2, blocks.c1, blocks.c0), reply_runs(parameters, packing), strict=True)
    return np.hstack([pack_bits(values, bits) for values, (bits, _) in runs]).tobytes()


def read_reply_blocks(parameters: OwnerParameterSet, packing: Packing, data: bytes) -> SwitchedBlocks:
    """Parse whole reply blocks. Raises MalformedMessage for a part of one."""
    size = reply_block_bytes(parameters, packing)
    if not data or len(data) % size:
        raise MalformedMessage(f"got a run of reply blocks of {len(data)} bytes, expected a multiple of {size}")
    blocks, start, found = np.frombuffer(data, np.uint8).reshape(-1, size), 0, []
    for bits, count in reply_runs(parameters, packing):
        end = start + packed_bytes(bits, count)
        found.append(unpack_bits(blocks[:, start:end], bits, count))
        start = end
    c2, c1, c0 = found
    return SwitchedBlocks(c0, c1, c2)


def traffic_bytes(parameters: OwnerParameterSet, packing: Packing, slots: int) -> int:
    """Bytes up and down of one query over this many slots."""
    return ciphertexts_bytes(parameters, packing) + packing.blocks(slots) * reply_block_bytes(parameters, packing)


def choose_factor(parameters: OwnerParameterSet, dimension: int, slots: int) -> int:
    """The packing factor with the least traffic for this many slots; the smaller one wins a tie.

    Only the owner can pack anew: a server cannot take coefficients of a ciphertext apart.
    """
    n = parameters.ring_degree
    slots = max(slots, 1)
    return min(factors(n, dimension), key=lambda k: traffic_bytes(parameters, Packing(n, dimension, k), slots))


def _chunk_bytes(parameters: OwnerParameterSet) -> int:
    return len(parameters.moduli) * RESIDUE_BYTES * parameters.ring_degree
