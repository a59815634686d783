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

from unseen.entropy import keystream, keystream_into
from unseen.errors import UnsafeParameters
from unseen.he.lanes import LANES
from unseen.he.packing import Packing
from unseen.he.ring import forward, ring
from unseen.params import ParameterSet

BATCH_BLOCKS = LANES // 2
"""Blocks that are finished side by side: two polynomials each fill the sixteen lanes of a transform."""

UInt32Array = npt.NDArray[np.uint32]
Int32Array = npt.NDArray[np.int32]
Int8Array = npt.NDArray[np.int8]


@dataclass(frozen=True)
class MaskBatch:
    """Masks of eight blocks."""

    u: UInt32Array
    """(N/16, 8, 16): u of each block, transformed, residues below q, tile by tile."""
    noise_c0: Int32Array
    """(8, rows_per_block): e1 + F where c0 is sent."""
    noise_c1: Int8Array
    """(8, N): e2."""


class _Scratch(threading.local):
    """Memory that a thread uses again for every batch: fresh pages would cost more than the arithmetic."""

    def __init__(self) -> None:
        self.words = bytearray()
        self.lanes = np.zeros((1, 0, LANES), np.uint32)

    def random_words(self, count: int) -> npt.NDArray[np.uint64]:
        """Fresh random words, good until the next call in this thread."""
        if len(self.words) < 8 * count:
            self.words = bytearray(8 * count)
        view = memoryview(self.words)[: 8 * count]
        keystream_into(view)
        return np.frombuffer(view, np.uint64)

    def lanes_for(self, degree: int) -> UInt32Array:
        """Room for one transform of sixteen polynomials."""
        if self.lanes.shape[1] != degree:
            self.lanes = np.zeros((1, degree, LANES), np.uint32)
        return self.lanes


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
        self._scratch = _Scratch()

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
        degree, scores = self._ring.degree, BATCH_BLOCKS * rows_per_block
        words = self._scratch.random_words(2 * scores + BATCH_BLOCKS * degree)
        batch = MaskBatch(
            u=np.empty((degree // LANES, BATCH_BLOCKS, LANES), np.uint32),
            noise_c0=np.empty((BATCH_BLOCKS, rows_per_block), np.int32),
            noise_c1=np.empty((BATCH_BLOCKS, degree), np.int8),
        )
        _transform_u(
            self.mask_polynomials(BATCH_BLOCKS),
            self._ring.roots,
            self._ring.modulus,
            self._scratch.lanes_for(degree),
            batch.u,
        )
        _draw_noise(words, self.parameters.error_coins, self.parameters.flood_std, batch.noise_c0, batch.noise_c1)
        return batch

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
            noise_c1=np.zeros((BATCH_BLOCKS, degree), np.int8),
        )


def insecure_no_mask(parameters: ParameterSet) -> MaskSource:
    """A source that masks nothing, for tests alone: raises UnsafeParameters elsewhere."""
    if "PYTEST_CURRENT_TEST" not in os.environ:
        raise UnsafeParameters("insecure_no_mask gives the index away; it exists for tests only")
    return _InsecureNoMask(parameters)


@nb.njit(nogil=True, cache=True, error_model="numpy")
def _transform_u(u, roots, q, lanes, out):  # type: ignore[no-untyped-def]
    """Signed (8, N) -> transformed residues (N/16, 8, 16); the upper lanes of the scratch hold what they held."""
    blocks, degree = u.shape
    for n in range(degree):
        for block in range(blocks):
            value = u[block, n]
            lanes[0, n, block] = value + q if value < 0 else value
    forward(lanes, roots, np.uint32(q))
    for tile in range(out.shape[0]):
        for block in range(blocks):
            for lane in range(LANES):
                out[tile, block, lane] = lanes[0, tile * LANES + lane, block]


@nb.njit(nogil=True, cache=True, error_model="numpy")
def _draw_noise(words, coins, flood_std, noise_c0, noise_c1):  # type: ignore[no-untyped-def]
    """e1 + F and e2, one word for each e1, F and e2: noise_c0 has an even size."""
    scores = noise_c0.size
    flat_c0, flat_c1 = noise_c0.reshape(-1), noise_c1.reshape(-1)
    _gaussian(words[:scores], flood_std, flat_c0)
    for i in range(scores):
        flat_c0[i] += _centred_binomial(words[scores + i], coins)
    for i in range(flat_c1.size):
        flat_c1[i] = _centred_binomial(words[2 * scores + i], coins)


@nb.njit(nogil=True, cache=True, error_model="numpy", inline="always")
def _centred_binomial(word, coins):  # type: ignore[no-untyped-def]
    """Ones among the low ``coins`` bits of a random word less ones among the next (SEAL: 21 each)."""
    low = (np.uint64(1) << np.uint64(coins)) - np.uint64(1)
    return np.int32(_ones(word & low)) - np.int32(_ones((word >> np.uint64(coins)) & low))


@nb.njit(nogil=True, cache=True, error_model="numpy", inline="always")
def _ones(word):  # type: ignore[no-untyped-def]
    """Bits set in a word."""
    word = word - ((word >> np.uint64(1)) & np.uint64(0x5555555555555555))
    word = (word & np.uint64(0x3333333333333333)) + ((word >> np.uint64(2)) & np.uint64(0x3333333333333333))
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (word * np.uint64(0x0101010101010101)) >> np.uint64(56)


@nb.njit(nogil=True, cache=True, error_model="numpy")
def _gaussian(words, std, draws):  # type: ignore[no-untyped-def]
    """Rounded Gaussian draws, two from each two words (Box and Muller, 1958)."""
    unit = 1.0 / 9007199254740992.0
    for i in range(0, words.size, 2):
        radius = std * np.sqrt(-2.0 * np.log((np.float64(words[i] >> np.uint64(11)) + 0.5) * unit))
        angle = 2.0 * np.pi * np.float64(words[i + 1] >> np.uint64(11)) * unit
        draws[i] = np.int32(np.rint(radius * np.cos(angle)))
        draws[i + 1] = np.int32(np.rint(radius * np.sin(angle)))
