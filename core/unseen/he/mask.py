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

import numpy as np
import numpy.typing as npt

from unseen.errors import UnsafeParameters
from unseen.he.chacha20 import STATE_WORDS, fresh_state
from unseen.he.lanes import LANES
from unseen.he.mask_draws import draw_masks
from unseen.he.packing import Packing
from unseen.he.ring import ring
from unseen.params import ParameterSet

BATCH_BLOCKS = LANES // 2
"""Blocks that are finished side by side: two polynomials each fill the sixteen lanes of a transform."""

UInt32Array = npt.NDArray[np.uint32]
Int32Array = npt.NDArray[np.int32]
Int8Array = npt.NDArray[np.int8]

PAUSE_S = 0.02
"""So long nothing has to have been taken before masks are made ahead: a scan has the cores to itself."""


@dataclass(frozen=True)
class MaskBatch:
    """Masks of eight blocks."""

    u: UInt32Array
    """(N/16, 8, 16): u of each block, transformed, residues below q, tile by tile."""
    noise_c0: Int32Array
    """(8, rows_per_block): e1 + F where c0 is sent."""
    noise_c1: Int8Array
    """(N, 8): e2."""


class _Scratch(threading.local):
    """Memory that a thread uses again for every draw: fresh pages would cost more than the arithmetic."""

    def __init__(self, degree: int) -> None:
        self.lanes = np.zeros((1, degree, LANES), np.uint32)
        self.piece = np.zeros((STATE_WORDS, LANES), np.uint32)


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
        self._taken = 0
        """How often masks were asked for: unchanged after a pause, nothing scans."""
        self._closed = threading.Event()
        self._scratch = _Scratch(parameters.ring_degree)

    def take(self, packing: Packing) -> MaskBatch:
        """Masks for eight blocks, never handed out before: from those made ahead, else made now."""
        with self._change:
            self._forget_if_forked()
            self._taken += 1
            ready = self._ready.get(packing.rows_per_block)
            self._change.notify_all()
            if ready:
                return ready.popleft()
        first, second = self.make(packing.rows_per_block)
        self._keep(packing.rows_per_block, second)
        return first

    def keep_ready(self, packing: Packing, batches: int) -> None:
        """Keep this many batches ready for a packing, or one more, refilled by a background thread."""
        with self._change:
            self._wanted[packing.rows_per_block] = batches
            if self._refiller is None and not self._closed.is_set():
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
            self._closed.set()
            self._ready.clear()
            self._change.notify_all()

    def make(self, rows_per_block: int) -> tuple[MaskBatch, MaskBatch]:
        """Masks for two times eight blocks, made now: sixteen polynomials fill one transform."""
        degree = self._ring.degree
        u = np.empty((2, degree // LANES, BATCH_BLOCKS, LANES), np.uint32)
        noise_c0 = np.empty((2, BATCH_BLOCKS, rows_per_block), np.int32)
        noise_c1 = np.empty((2, degree, BATCH_BLOCKS), np.int8)
        draw_masks(
            fresh_state(),
            self._ring.roots,
            self._ring.modulus,
            self.parameters.error_coins,
            self.parameters.mask_bound,
            self.parameters.flood_std,
            self._scratch.lanes,
            self._scratch.piece,
            u,
            noise_c0,
            noise_c1,
        )
        return MaskBatch(u[0], noise_c0[0], noise_c1[0]), MaskBatch(u[1], noise_c0[1], noise_c1[1])

    def _keep(self, rows_per_block: int, *batches: MaskBatch) -> None:
        with self._change:
            if not self._closed.is_set():
                self._ready.setdefault(rows_per_block, deque()).extend(batches)
                self._change.notify_all()

    def _refill(self) -> None:
        seen = self._taken
        while True:
            with self._change:
                self._change.wait_for(lambda: self._closed.is_set() or self._lacking() is not None)
                rows_per_block = self._lacking()
                before, seen = seen, self._taken
            if self._closed.is_set():
                return
            if seen != before:
                self._closed.wait(PAUSE_S)
            elif rows_per_block is not None:
                self._keep(rows_per_block, *self.make(rows_per_block))

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

    def make(self, rows_per_block: int) -> tuple[MaskBatch, MaskBatch]:
        degree = self.parameters.ring_degree
        nothing = MaskBatch(
            u=np.zeros((degree // LANES, BATCH_BLOCKS, LANES), np.uint32),
            noise_c0=np.zeros((BATCH_BLOCKS, rows_per_block), np.int32),
            noise_c1=np.zeros((degree, BATCH_BLOCKS), np.int8),
        )
        return nothing, nothing


def insecure_no_mask(parameters: ParameterSet) -> MaskSource:
    """A source that masks nothing, for tests alone: raises UnsafeParameters elsewhere."""
    if "PYTEST_CURRENT_TEST" not in os.environ:
        raise UnsafeParameters("insecure_no_mask gives the index away; it exists for tests only")
    return _InsecureNoMask(parameters)
