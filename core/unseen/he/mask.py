"""Masks: the fresh encryption of zero and the flood that every reply block gets, so that it shows scores only.

Server side. A mask is secret: whoever knows it can undo it, so it is made from the system's entropy, used for one
block of one reply, kept in this process's memory only, and dropped.

A block's reply (c0, c1) becomes (c0 + b*u + e1 + F, c1 + a*u + e2), where (b, a) is the encryption of zero that came
with the query. Without it c1 is an exact linear function of the index (docs/threat-model.md). u is uniform and wide,
never ternary: a crafted b reads a ternary u out of c0. None of u, e1, e2, F depends on a query, so they are made
ahead in idle time; u is kept transformed.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from dataclasses import dataclass

import numba as nb
import numpy as np
import numpy.typing as npt

from unseen.entropy import keystream
from unseen.errors import UnsafeParameters
from unseen.he.lanes import LANES
from unseen.he.packing import Packing
from unseen.he.ring import forward, ring
from unseen.params import ParameterSet

BATCH_BLOCKS = LANES // 2
"""Blocks that are finished side by side: two polynomials each fill the sixteen lanes of a transform."""

UInt32Array = npt.NDArray[np.uint32]
Int32Array = npt.NDArray[np.int32]


@dataclass(frozen=True)
class MaskBatch:
    """Masks of eight blocks."""

    u: UInt32Array
    """(N/16, 8, 16): u of each block, transformed, residues below q, tile by tile."""
    noise_c0: Int32Array
    """(8, rows_per_block): e1 + F where c0 is sent."""
    noise_c1: Int32Array
    """(8, N): e2."""


class MaskSource:
    """Makes masks and keeps some ready. Thread-safe; a fork starts with none."""

    def __init__(self, parameters: ParameterSet) -> None:
        self.parameters = parameters
        self._ring = ring(parameters.ring_degree, parameters.modulus)
        self._ready: dict[int, deque[MaskBatch]] = {}
        self._wanted: dict[int, int] = {}
        self._process = os.getpid()
        self._change = threading.Condition()
        self._refiller: threading.Thread | None = None
        self._closed = False

    def take(self, packing: Packing) -> MaskBatch:
        """Masks for eight blocks, never handed out before: from those made ahead, else made now."""
        with self._change:
            self._forget_if_forked()
            ready = self._ready.get(packing.rows_per_block)
            self._change.notify_all()
            if ready:
                return ready.popleft()
        return self.make(packing.rows_per_block)

    def keep_ready(self, packing: Packing, batches: int) -> None:
        """Keep this many batches ready for a packing, refilled by a background thread."""
        with self._change:
            self._wanted[packing.rows_per_block] = batches
            if self._refiller is None and not self._closed:
                self._refiller = threading.Thread(target=self._refill, name="unseen-masks", daemon=True)
                self._refiller.start()
            self._change.notify_all()

    def ready(self, packing: Packing) -> int:
        """Batches that wait for use."""
        with self._change:
            return len(self._ready.get(packing.rows_per_block, ()))

    def close(self) -> None:
        """Stop refilling and drop what was made ahead."""
        with self._change:
            self._closed = True
            self._ready.clear()
            self._change.notify_all()

    def make(self, rows_per_block: int) -> MaskBatch:
        """Masks for eight blocks, made now."""
        scores = BATCH_BLOCKS * rows_per_block
        words = np.frombuffer(keystream(8 * (2 * scores + BATCH_BLOCKS * self._ring.degree)), np.uint64)
        return MaskBatch(
            *_make_batch(
                self.mask_polynomials(BATCH_BLOCKS),
                words[:scores].reshape(BATCH_BLOCKS, -1),
                words[scores : 2 * scores],
                words[2 * scores :].reshape(BATCH_BLOCKS, -1),
                self.parameters.error_coins,
                self.parameters.flood_std,
                self._ring.roots,
                self._ring.modulus,
            )
        )

    def mask_polynomials(self, blocks: int) -> Int32Array:
        """u of some blocks: (blocks, N), uniform in [-mask_bound, mask_bound)."""
        bound, degree = self.parameters.mask_bound, self.parameters.ring_degree
        draws = np.frombuffer(keystream(2 * blocks * degree), np.uint16).reshape(blocks, degree)
        return (draws & np.uint16(2 * bound - 1)).astype(np.int32) - np.int32(bound)

    def _refill(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._closed or self._lacking() is not None)
                if self._closed:
                    return
                rows_per_block = self._lacking()
            if rows_per_block is not None:
                batch = self.make(rows_per_block)
                with self._change:
                    if not self._closed:
                        self._ready.setdefault(rows_per_block, deque()).append(batch)
                        self._change.notify_all()

    def _lacking(self) -> int | None:
        for rows_per_block, wanted in self._wanted.items():
            if len(self._ready.get(rows_per_block, ())) < wanted:
                return rows_per_block
        return None

    def _forget_if_forked(self) -> None:
        if os.getpid() != self._process:
            self._process, self._refiller = os.getpid(), None
            self._ready.clear()
            self._wanted.clear()


class _InsecureNoMask(MaskSource):
    """Adds nothing: shows that the attacks of tests/attacks work where nothing is masked."""

    def make(self, rows_per_block: int) -> MaskBatch:
        degree = self.parameters.ring_degree
        return MaskBatch(
            u=np.zeros((degree // LANES, BATCH_BLOCKS, LANES), np.uint32),
            noise_c0=np.zeros((BATCH_BLOCKS, rows_per_block), np.int32),
            noise_c1=np.zeros((BATCH_BLOCKS, degree), np.int32),
        )


def insecure_no_mask(parameters: ParameterSet) -> MaskSource:
    """A source that masks nothing, for tests alone: raises UnsafeParameters elsewhere."""
    if "PYTEST_CURRENT_TEST" not in os.environ:
        raise UnsafeParameters("insecure_no_mask gives the index away; it exists for tests only")
    return _InsecureNoMask(parameters)


@nb.njit(nogil=True, cache=True, error_model="numpy")
def _make_batch(u, e1_words, flood_words, e2_words, coins, flood_std, roots, q):  # type: ignore[no-untyped-def]
    """-> u transformed, e1 + F, e2; the flood takes as many words as e1, an even number."""
    lanes = _to_lanes(u, np.int32(q))
    forward(lanes, roots, np.uint32(q))
    noise_c0 = _centred_binomial(e1_words, coins)
    noise_c0 += _gaussian(flood_words, flood_std).reshape(noise_c0.shape)
    return _to_tiles(lanes[0], len(u)), noise_c0, _centred_binomial(e2_words, coins)


@nb.njit(nogil=True, cache=True, error_model="numpy")
def _to_lanes(u, q):  # type: ignore[no-untyped-def]
    """Signed (8, N) -> residues (1, N, 16), the upper lanes zero."""
    blocks, degree = u.shape
    lanes = np.zeros((1, degree, LANES), np.uint32)
    for n in range(degree):
        for block in range(blocks):
            value = u[block, n]
            lanes[0, n, block] = value + q if value < 0 else value
    return lanes


@nb.njit(nogil=True, cache=True, error_model="numpy")
def _to_tiles(lanes, blocks):  # type: ignore[no-untyped-def]
    """(N, 16: block) -> (N/16, blocks, 16: coefficient)."""
    tiles = np.empty((lanes.shape[0] // LANES, blocks, LANES), np.uint32)
    for tile in range(tiles.shape[0]):
        for block in range(blocks):
            for lane in range(LANES):
                tiles[tile, block, lane] = lanes[tile * LANES + lane, block]
    return tiles


@nb.njit(nogil=True, cache=True, error_model="numpy")
def _centred_binomial(words, coins):  # type: ignore[no-untyped-def]
    """One centred binomial draw a word (8, n): ones among its low ``coins`` bits less ones among the next."""
    draws = np.empty(words.shape, np.int32)
    low = (np.uint64(1) << np.uint64(coins)) - np.uint64(1)
    for row in range(len(words)):
        for i in range(words.shape[1]):
            word = words[row, i]
            draws[row, i] = np.int32(_ones(word & low)) - np.int32(_ones((word >> np.uint64(coins)) & low))
    return draws


@nb.njit(nogil=True, cache=True, error_model="numpy", inline="always")
def _ones(word):  # type: ignore[no-untyped-def]
    """Bits set in a word."""
    word = word - ((word >> np.uint64(1)) & np.uint64(0x5555555555555555))
    word = (word & np.uint64(0x3333333333333333)) + ((word >> np.uint64(2)) & np.uint64(0x3333333333333333))
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (word * np.uint64(0x0101010101010101)) >> np.uint64(56)


@nb.njit(nogil=True, cache=True, error_model="numpy")
def _gaussian(words, std):  # type: ignore[no-untyped-def]
    """Rounded Gaussian draws, two from each two words (Box and Muller, 1958)."""
    draws = np.empty(words.size, np.int32)
    unit = 1.0 / 9007199254740992.0
    for i in range(0, words.size, 2):
        radius = std * np.sqrt(-2.0 * np.log((np.float64(words[i] >> np.uint64(11)) + 0.5) * unit))
        angle = 2.0 * np.pi * np.float64(words[i + 1] >> np.uint64(11)) * unit
        draws[i] = np.int32(np.rint(radius * np.cos(angle)))
        draws[i + 1] = np.int32(np.rint(radius * np.sin(angle)))
    return draws
