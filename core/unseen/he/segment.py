"""Rows in memory, ready to be scanned: four blocks of transformed row polynomials, laid out for the kernel.

Server side. In the sealed index this memory is the index: whoever reads it can compute the rows.

A segment is int32 ``[tile][chunk][block][lane]``, centred residues (see ``kernel``), in pages of its own: large ones
where the system has them, given back to it as soon as the segment is dropped.
"""

from __future__ import annotations

import mmap

import numba as nb
import numpy as np
import numpy.typing as npt

from unseen.he.kernel import QUAD
from unseen.he.lanes import LANES
from unseen.he.packing import Packing
from unseen.he.ring import Ring

LARGE_PAGE_BYTES = 1 << 21

Int16Array = npt.NDArray[np.int16]
Int32Array = npt.NDArray[np.int32]
UInt32Array = npt.NDArray[np.uint32]


class Segment:
    """Four blocks of rows of one packing; all rows are zero at first."""

    def __init__(self, ring: Ring, packing: Packing) -> None:
        tiles = ring.degree // LANES
        self._ring, self._packing = ring, packing
        self._residues = own_pages(tiles * packing.chunks * QUAD * LANES).reshape(tiles, packing.chunks, QUAD, LANES)

    @property
    def address(self) -> int:
        return self._residues.ctypes.data

    @property
    def size_bytes(self) -> int:
        return self._residues.nbytes

    def write(self, block: int, rows: Int16Array) -> None:
        """Replace a block's rows: (rows_per_block, dimension)."""
        lanes = _to_lanes(self._packing.row_polynomials(rows), np.int64(self._ring.modulus))
        self._ring.forward(lanes)
        _store_block(lanes, np.int64(self._ring.modulus), self._residues, block)

    def read(self, block: int) -> Int16Array:
        """A block's rows, exactly as written: (rows_per_block, dimension)."""
        groups = -(-self._packing.chunks // LANES)
        lanes = np.zeros((groups, self._ring.degree, LANES), np.uint32)
        _load_block(self._residues, block, np.int64(self._ring.modulus), lanes)
        self._ring.inverse(lanes)
        return self._packing.rows_of_polynomials(_from_lanes(lanes, np.int64(self._ring.modulus), self._packing.chunks))


def own_pages(count: int) -> Int32Array:
    """``count`` zero integers in private pages that start on a large-page border."""
    if not hasattr(mmap, "MADV_HUGEPAGE"):
        return np.frombuffer(mmap.mmap(-1, 4 * count), np.int32)
    pages = mmap.mmap(-1, 4 * count + LARGE_PAGE_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    pages.madvise(mmap.MADV_HUGEPAGE)
    start = -np.frombuffer(pages, np.uint8).ctypes.data % LARGE_PAGE_BYTES
    return np.frombuffer(pages, np.int32, count, start)


@nb.njit(nogil=True, cache=True, error_model="numpy")
def _to_lanes(polynomials, q):  # type: ignore[no-untyped-def]
    """Signed (count, N) -> residues (groups, N, 16), the last group filled up with zeros."""
    count, degree = polynomials.shape
    lanes = np.zeros((-(-count // LANES), degree, LANES), np.uint32)
    for polynomial in range(count):
        column = lanes[polynomial // LANES, :, polynomial % LANES]
        for n in range(degree):
            value = np.int64(polynomials[polynomial, n])
            column[n] = value + q if value < 0 else value
    return lanes


@nb.njit(nogil=True, cache=True, error_model="numpy")
def _from_lanes(lanes, q, count):  # type: ignore[no-untyped-def]
    """Residues (groups, N, 16) -> signed 16-bit (count, N), for values that fit."""
    degree = lanes.shape[1]
    polynomials = np.empty((count, degree), np.int16)
    for polynomial in range(count):
        column = lanes[polynomial // LANES, :, polynomial % LANES]
        for n in range(degree):
            value = np.int64(column[n])
            polynomials[polynomial, n] = value - q if value > q // 2 else value
    return polynomials


@nb.njit(nogil=True, cache=True, error_model="numpy")
def _store_block(lanes, q, residues, block):  # type: ignore[no-untyped-def]
    """Transformed (groups, N, 16: chunk) -> centred [tile][chunk][block][16: coefficient]."""
    tiles, chunks = residues.shape[0], residues.shape[1]
    for tile in range(tiles):
        for chunk in range(chunks):
            for lane in range(LANES):
                value = np.int64(lanes[chunk // LANES, tile * LANES + lane, chunk % LANES])
                residues[tile, chunk, block, lane] = value - q if value > q // 2 else value


@nb.njit(nogil=True, cache=True, error_model="numpy")
def _load_block(residues, block, q, lanes):  # type: ignore[no-untyped-def]
    """The inverse of ``_store_block``."""
    tiles, chunks = residues.shape[0], residues.shape[1]
    for tile in range(tiles):
        for chunk in range(chunks):
            for lane in range(LANES):
                value = np.int64(residues[tile, chunk, block, lane])
                lanes[chunk // LANES, tile * LANES + lane, chunk % LANES] = value + q if value < 0 else value
