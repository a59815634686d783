"""``uniform`` in compiled code, for the server: where the expansion of a query's seed counts in every search.

Public; running time depends on sizes and, through redrawn words, on the seed, which is public.
"""

from __future__ import annotations

import numba as nb
import numpy as np
import numpy.typing as npt

from unseen.he.chacha20 import PIECE_WORDS, STATE_WORDS, fill_piece, state_of
from unseen.he.lanes import LANES

CHUNK_WORD, PRIME_WORD = 13, 14
"""Words of the state that hold the nonce's first two."""

UInt16Array = npt.NDArray[np.uint16]


def uniform_residues(seed: bytes, chunks: int, ring_degree: int, moduli: tuple[int, ...]) -> UInt16Array:
    """Expand a seed to c1 of every chunk: (chunks, primes, N); see ``unseen.he.owner.uniform``."""
    residues = np.empty((chunks, len(moduli), ring_degree), np.uint16)
    for number, modulus in enumerate(moduli):
        expand_chunks(state_of(seed), np.uint32(0), np.uint32(number), np.uint64(modulus), residues[:, number])
    return residues


@nb.njit(nogil=True, cache=True, error_model="numpy")
def expand_chunks(state, first, number, modulus, residues):  # type: ignore[no-untyped-def]
    """Fill (n, N) with c1 of the chunks from ``first`` on, modulo the prime with this number; alters ``state``.

    The stream comes in pieces of sixteen blocks, word by word: word w of block b of a piece stands at 16 * w + b.
    """
    limit = np.uint64(1 << 32) - np.uint64(1 << 32) % modulus
    quotient = np.uint64(1 << 32) // modulus
    piece = np.empty(PIECE_WORDS, np.uint32)
    ordered = np.empty(PIECE_WORDS, np.uint32)
    state_address, piece_address = np.uint64(state.ctypes.data), np.uint64(piece.ctypes.data)
    degree = residues.shape[1]
    state[PRIME_WORD] = number
    for chunk in range(residues.shape[0]):
        state[CHUNK_WORD] = first + np.uint32(chunk)
        redraw = False
        for start in range(0, degree, PIECE_WORDS):
            fill_piece(state_address, np.uint32(start // STATE_WORDS), piece_address)
            _in_order(piece, ordered)
            count = min(PIECE_WORDS, degree - start)
            largest = np.uint64(0)
            for i in range(count):
                word = np.uint64(ordered[i])
                largest = max(largest, word)
                residue = word - ((word * quotient) >> np.uint64(32)) * modulus
                residues[chunk, start + i] = min(residue, residue - modulus)
            redraw |= largest >= limit
        if redraw:
            _redraw(state_address, piece, ordered, limit, modulus, residues[chunk])


@nb.njit(nogil=True, cache=True, error_model="numpy")
def _in_order(piece, ordered):  # type: ignore[no-untyped-def]
    for block in range(LANES):
        for word in range(STATE_WORDS):
            ordered[STATE_WORDS * block + word] = piece[LANES * word + block]


@nb.njit(nogil=True, cache=True, error_model="numpy")
def _redraw(state_address, piece, ordered, limit, modulus, residues):  # type: ignore[no-untyped-def]
    """Replace the residues of words at or above the limit, in order, by what stands behind the first N words."""
    degree = residues.size
    piece_address = np.uint64(piece.ctypes.data)
    behind, behind_piece = degree, np.empty(PIECE_WORDS, np.uint32)
    behind_address, loaded = np.uint64(behind_piece.ctypes.data), -1
    ordered_behind = np.empty(PIECE_WORDS, np.uint32)
    for start in range(0, degree, PIECE_WORDS):
        fill_piece(state_address, np.uint32(start // STATE_WORDS), piece_address)
        _in_order(piece, ordered)
        for i in range(min(PIECE_WORDS, degree - start)):
            if np.uint64(ordered[i]) < limit:
                continue
            word = limit
            while word >= limit:
                if behind // PIECE_WORDS != loaded:
                    loaded = behind // PIECE_WORDS
                    first_block = np.uint32(loaded * (PIECE_WORDS // STATE_WORDS))
                    fill_piece(state_address, first_block, behind_address)
                    _in_order(behind_piece, ordered_behind)
                word = np.uint64(ordered_behind[behind % PIECE_WORDS])
                behind += 1
            residues[start + i] = word % modulus
