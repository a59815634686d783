"""Encrypted rows in memory, ready to be scanned: four blocks of ciphertexts, laid out for the kernel.

Server side. What lies here is ciphertext: whoever reads it learns sizes, and nothing without the owner's key.

A segment is int16 ``[prime][tile][pair of chunks][block][polynomial][lane][chunk of the pair]``, centred residues in
transformed form, in pages of its own. An odd number of chunks is filled up with one chunk of zeros.
"""

from __future__ import annotations

import numba as nb
import numpy as np
import numpy.typing as npt

from unseen.he.chacha20 import state_of
from unseen.he.lanes import LANES
from unseen.he.owner.compiled_uniform import expand_chunks
from unseen.he.owner.kernel import PAIR, POLYNOMIALS, QUAD
from unseen.he.owner.message import Ciphertexts
from unseen.he.packing import Packing
from unseen.he.segment import own_pages
from unseen.params import OwnerParameterSet

Int16Array = npt.NDArray[np.int16]


class Segment:
    """Four blocks of one packing; all of them zero at first."""

    def __init__(self, parameters: OwnerParameterSet, packing: Packing) -> None:
        primes, tiles = len(parameters.moduli), parameters.ring_degree // LANES
        shape = (primes, tiles, -(-packing.chunks // PAIR), QUAD, POLYNOMIALS, LANES, PAIR)
        self._parameters, self._packing = parameters, packing
        words = int(np.prod(shape)) // 2
        self._residues: Int16Array = own_pages(words).view(np.int16).reshape(shape)

    @property
    def addresses(self) -> tuple[int, ...]:
        """Where each prime's part begins."""
        return tuple(part.ctypes.data for part in self._residues)

    @property
    def size_bytes(self) -> int:
        return self._residues.nbytes

    def write(self, block: int, ciphertexts: Ciphertexts) -> None:
        """Replace a block: nothing of what it held stays."""
        self._put(block, ciphertexts, add=False)

    def add(self, block: int, ciphertexts: Ciphertexts) -> None:
        """Add ciphertexts to a block: their messages add up, and so do their errors. Callers bound how often."""
        self._put(block, ciphertexts, add=True)

    def clear(self, block: int) -> None:
        """Make a block zero."""
        self._residues[:, :, :, block] = 0

    def _put(self, block: int, ciphertexts: Ciphertexts, add: bool) -> None:
        c1 = np.empty((self._packing.chunks, self._parameters.ring_degree), np.uint16)
        for number, modulus in enumerate(self._parameters.moduli):
            part = self._residues[number]
            state = state_of(ciphertexts.seed)
            expand_chunks(state, np.uint32(0), np.uint32(number), np.uint64(modulus), c1)
            for polynomial, residues in enumerate((ciphertexts.c0[:, number], c1)):
                _store(residues, np.int64(modulus), part, block, polynomial, add)


@nb.njit(nogil=True, cache=True, error_model="numpy")
def _store(residues, p, part, block, polynomial, add):  # type: ignore[no-untyped-def]
    """Residues (chunks, N) -> centred, into one block and polynomial of a prime's part of a segment."""
    chunks = residues.shape[0]
    for tile in range(part.shape[0]):
        for chunk in range(chunks):
            for lane in range(LANES):
                value = np.int64(residues[chunk, tile * LANES + lane])
                if add:
                    value += np.int64(part[tile, chunk // PAIR, block, polynomial, lane, chunk % PAIR])
                    value += p if value < 0 else 0
                    value -= p if value >= p else 0
                centred = value - p if value > p // 2 else value
                part[tile, chunk // PAIR, block, polynomial, lane, chunk % PAIR] = centred
