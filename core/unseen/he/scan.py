"""The server's half: hold rows, answer an encrypted query with encrypted scores. It cannot decrypt anything.

    unpack, expand, transform -> for every eight blocks: sum -> mask -> transform back -> flood -> switch -> emit

Who holds a ScanIndex of a sealed index holds its rows. Running time depends on sizes, never on values.
Not safe for writers beside readers: the caller keeps them apart (``unseen_server.engine``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numba as nb
import numpy as np
import numpy.typing as npt

from unseen.errors import InvalidInput
from unseen.he.compiled_bits import unpack_bits
from unseen.he.expand import expand_seeds
from unseen.he.kernel import POLYNOMIALS, QUAD, multiply_accumulate
from unseen.he.lanes import LANES
from unseen.he.mask import BATCH_BLOCKS, MaskSource
from unseen.he.message import ArrivedQuery, read_residues, reply_block_bytes, split_query
from unseen.he.packing import Packing
from unseen.he.quantise import check_rows
from unseen.he.reply import finish_blocks
from unseen.he.ring import forward, ring
from unseen.he.scan_threads import ScanThreads, Submit
from unseen.he.segment import Segment
from unseen.he.segmented import Segmented
from unseen.params import ParameterSet, require_safe

BoolArray = npt.NDArray[np.bool_]
Int16Array = npt.NDArray[np.int16]
Int32Array = npt.NDArray[np.int32]
Int64Array = npt.NDArray[np.int64]
UInt32Array = npt.NDArray[np.uint32]

TOGETHER = LANES // POLYNOMIALS
"""Ciphertexts that one transform takes side by side."""
CIPHERTEXTS_PER_TASK = 2 * TOGETHER
"""Few enough that threads share a query evenly, enough that handing out a task costs little beside it."""


class ScanIndex(Segmented[Segment]):
    """The rows of one collection, packed for scanning; slots that were never written, or were cleared, are zero."""

    def __init__(
        self,
        parameters: ParameterSet,
        dimension: int,
        packing_factor: int,
        masks: MaskSource,
        threads: ScanThreads | None = None,
    ) -> None:
        """threads: what queries are answered by, shared with other indexes; None makes one thread of its own."""
        self.parameters = require_safe(parameters)
        packing = Packing(parameters.ring_degree, dimension, packing_factor)
        self._ring = ring(parameters.ring_degree, parameters.modulus)
        super().__init__(packing, partial(Segment, self._ring, packing))
        self.masks = masks
        self.threads = threads or ScanThreads()
        self._written: set[int] = set()

    # ------------------------------------------------------------------------------------------------------- rows

    def put(self, slots: Int64Array, rows: Int16Array) -> None:
        """Set rows: (n,) distinct slots and (n, dimension) quantised rows. Raises InvalidVector above the norm cap."""
        check_rows(self.parameters, rows)
        self._replace(np.asarray(slots, np.int64), rows)

    def clear(self, slots: Int64Array) -> None:
        """Zero rows, so that no query can reach them."""
        slots = np.asarray(slots, np.int64)
        self._replace(slots, np.zeros((slots.size, self.packing.dimension), np.int16))

    def rows(self, slots: Int64Array) -> Int16Array:
        """Rows as they were put: (n,) -> (n, dimension)."""
        slots = np.asarray(slots, np.int64)
        blocks, places = np.divmod(slots, self.packing.rows_per_block)
        found = np.zeros((slots.size, self.packing.dimension), np.int16)
        for block in np.unique(blocks):
            here = blocks == block
            found[here] = self._block_rows(int(block))[places[here]]
        return found

    def repacked(self, packing_factor: int) -> ScanIndex:
        """The same rows under another packing factor, in new memory."""
        other = ScanIndex(self.parameters, self.packing.dimension, packing_factor, self.masks, self.threads)
        other.reserve(self.capacity)
        per_block = self.packing.rows_per_block
        step = max(per_block, other.packing.rows_per_block)
        for first in range(0, self.capacity, step):
            slots = np.arange(first, min(first + step, self.capacity))
            rows = self.rows(slots)
            if rows.any():
                other._replace(slots, rows)
        return other

    def _replace(self, slots: Int64Array, rows: Int16Array) -> None:
        blocks, places = np.divmod(slots, self.packing.rows_per_block)
        self.reserve(int(slots.max(initial=-1)) + 1)
        order = np.argsort(blocks, kind="stable")
        starts = np.flatnonzero(np.diff(blocks[order], prepend=-1))
        for here in np.split(order, starts[1:]) if slots.size else ():
            block = int(blocks[here[0]])
            content = self._block_rows(block)
            content[places[here]] = rows[here]
            self._segments[block // QUAD].write(block % QUAD, content)
            self._written.add(block)

    def _block_rows(self, block: int) -> Int16Array:
        if block not in self._written:
            return np.zeros((self.packing.rows_per_block, self.packing.dimension), np.int16)
        return self._segments[block // QUAD].read(block % QUAD)

    # ------------------------------------------------------------------------------------------------------- scan

    def answer(
        self,
        query: bytes,
        slots: int,
        emit: Callable[[bytes], None],
        cancelled: Callable[[], bool] = lambda: False,
        wanted: BoolArray | None = None,
    ) -> None:
        """Emit the reply blocks that cover ``slots``, in order, each as soon as it is ready; stop when cancelled.

        ``wanted``, one for each of those blocks, leaves the others out: they are not emitted, and not read where none
        of the four of their segment is wanted. Raises MalformedMessage for a query that does not parse.
        """
        arrived = split_query(self.parameters, self.packing, query)
        if slots > self.capacity:
            raise InvalidInput(f"got {slots} slots, expected at most the {self.capacity} that this index holds")
        with self.threads.lent() as submit:
            transformed, key = self._transform(submit, arrived)
            batches = _batches(self.packing.blocks(slots), wanted)
            works = (partial(self._batch, segments, emitted, transformed, key) for segments, emitted in batches)
            for reply in self.threads.in_order(submit, works, cancelled):
                emit(reply)

    def _transform(self, submit: Submit, arrived: ArrivedQuery) -> tuple[Int32Array, UInt32Array]:
        """-> the query (N/16, chunks, 2, 16), centred, and the public key (N/16, 2, 16), both transformed."""
        degree, q = self._ring.degree, self._ring.modulus
        query = np.empty((degree // LANES, self.packing.chunks, POLYNOMIALS, LANES), np.int32)
        key = np.empty((degree // LANES, POLYNOMIALS, LANES), np.uint32)

        def transform(first: int) -> None:
            end = min(first + CIPHERTEXTS_PER_TASK, len(arrived.seeds))
            c0 = read_residues(self.parameters, arrived, first, end, unpack_bits)
            c1 = expand_seeds(arrived.seeds[first:end], degree, q)
            _transform_ciphertexts(c0, c1, first, self._ring.roots, q, self.threads.scratch(degree).lanes, query, key)

        starts = range(0, len(arrived.seeds), CIPHERTEXTS_PER_TASK)
        for done in [submit(partial(transform, first)) for first in starts]:
            done.result()
        return query, key

    def _batch(self, segments: list[int], emitted: BoolArray, query: Int32Array, key: UInt32Array) -> bytes:
        """Reply blocks of one or two segments, those that are emitted: one crossing out of the interpreter."""
        masks = self.masks.take(self.packing)
        scratch = self.threads.scratch(self._ring.degree)
        out = np.zeros((len(emitted), reply_block_bytes(self.parameters, self.packing)), np.uint8)
        _scan_segments(
            query,
            np.array([self._segments[segment].address for segment in segments], np.uint64),
            key,
            masks.u,
            masks.noise_c0,
            masks.noise_c1,
            self._ring.inverse_roots,
            self._ring.modulus,
            self.parameters.reply_c0_bits,
            self.parameters.reply_c1_bits,
            scratch.sums,
            scratch.lanes,
            out,
        )
        return out.tobytes() if emitted.all() else out[emitted].tobytes()


def _batches(blocks: int, wanted: BoolArray | None) -> Iterator[tuple[list[int], BoolArray]]:
    """Segments to scan together, and which of their blocks are emitted: two segments a time, up to ``blocks``.

    Only the last segment of a batch may end early. With ``wanted``, segments without a wanted block are left out.
    """
    chosen = np.ones(blocks, np.bool_) if wanted is None else wanted
    starts = range(0, blocks, QUAD)
    needed = [start // QUAD for start in starts if chosen[start : start + QUAD].any()]
    together = BATCH_BLOCKS // QUAD
    for at in range(0, len(needed), together):
        segments = needed[at : at + together]
        yield segments, np.concatenate([chosen[segment * QUAD : (segment + 1) * QUAD] for segment in segments])


@nb.njit(nogil=True, cache=True, error_model="numpy")
def _scan_segments(  # type: ignore[no-untyped-def]
    query, segments, key, u, noise_c0, noise_c1, inverse_roots, q, c0_bits, c1_bits, sums, lanes, out
):
    """Sum and finish up to two segments; ``out`` has room for no more blocks than they hold."""
    for segment in range(len(segments)):
        multiply_accumulate(query, segments[segment], np.int64(q), sums[segment])
    finish_blocks(sums, key, u, noise_c0, noise_c1, inverse_roots, q, c0_bits, c1_bits, lanes, out)


@nb.njit(nogil=True, cache=True, error_model="numpy")
def _transform_ciphertexts(c0, c1, first, roots, q, lanes, query, key):  # type: ignore[no-untyped-def]
    """Transform ciphertexts, eight side by side, ``first`` being the number of the first.

    Results go to the query as the kernel wants it, (N/16, chunks, 2, 16) centred; the last of all to the public key.
    Lanes of the scratch that no ciphertext fills are transformed as they are.
    """
    degree = c0.shape[1]
    for start in range(0, len(c0), TOGETHER):
        count = min(TOGETHER, len(c0) - start)
        for n in range(degree):
            for i in range(count):
                lanes[0, n, POLYNOMIALS * i] = c0[start + i, n]
                lanes[0, n, POLYNOMIALS * i + 1] = c1[start + i, n]
        forward(lanes, roots, np.uint32(q))
        for tile in range(len(query)):
            for i in range(count):
                number = first + start + i
                for polynomial in range(POLYNOMIALS):
                    for lane in range(LANES):
                        value = np.int64(lanes[0, tile * LANES + lane, POLYNOMIALS * i + polynomial])
                        if number == query.shape[1]:
                            key[tile, polynomial, lane] = value
                        else:
                            query[tile, number, polynomial, lane] = value - q if value > q // 2 else value
