"""From a 32-byte seed to the uniform c1 of every chunk of a block or query. Public on both sides.

The stream of chunk g and prime number l is ChaCha20 (RFC 8439, section 2.4) with the seed as key, block counter zero
and the nonce g | l | 0, three little-endian 32-bit words. Its 32-bit words modulo p are the residues of c1, already
transformed: a uniform polynomial is uniform in either form. A word at or above the largest multiple of p would make
small residues likelier: it is redrawn, in the order of coefficients, from the words behind the first N.

The seed is public by design, like that of every scheme that sends a seed for its uniform part; what is asked of the
generator is that its output looks uniform to who knows the seed. This is the device's implementation;
``compiled_uniform`` is the server's, and tests hold the two against each other.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

UInt16Array = npt.NDArray[np.uint16]
UInt32Array = npt.NDArray[np.uint32]

SEED_BYTES = 32
WORDS_BEHIND = 16
"""Words drawn behind the first N at a time."""


def uniform_residues(
    seed: bytes, chunks: int, ring_degree: int, moduli: tuple[int, ...], first: int = 0
) -> UInt16Array:
    """Expand a seed to c1 of the chunks from ``first`` on: (chunks, primes, N), transformed, below their primes."""
    residues = np.empty((chunks, len(moduli), ring_degree), np.uint16)
    for chunk in range(chunks):
        for number, modulus in enumerate(moduli):
            residues[chunk, number] = _polynomial(seed, first + chunk, number, ring_degree, modulus)
    return residues


def acceptable_below(modulus: int) -> int:
    """The largest multiple of p that 32 bits reach: a word from there on is redrawn."""
    return (1 << 32) - (1 << 32) % modulus


def _polynomial(seed: bytes, chunk: int, number: int, degree: int, modulus: int) -> UInt16Array:
    nonce = struct.pack("<IIII", 0, chunk, number, 0)
    stream = Cipher(algorithms.ChaCha20(seed, nonce), mode=None).encryptor()

    def draw(count: int) -> UInt32Array:
        return np.frombuffer(stream.update(bytes(4 * count)), "<u4").astype(np.uint32)

    def behind() -> Iterator[np.uint32]:
        while True:
            yield from draw(WORDS_BEHIND)

    limit = acceptable_below(modulus)
    words, more = draw(degree), behind()
    for index in np.flatnonzero(words >= limit):
        words[index] = next(word for word in more if word < limit)
    return (words % np.uint32(modulus)).astype(np.uint16)
