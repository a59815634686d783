"""The server's half: hold rows, answer an encrypted query with encrypted scores. It cannot decrypt anything.

    expand seeds -> transform -> for every eight blocks: sum -> mask -> transform back -> flood -> switch -> emit

Who holds a ScanIndex of a sealed index holds its rows. Running time depends on sizes, never on values.
Not safe for writers beside readers: the caller keeps them apart (``unseen_server.engine``).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numba as nb
import numpy as np
import numpy.typing as npt

from unseen.errors import InvalidInput
from unseen.he.expand import expand_seeds
from unseen.he.kernel import POLYNOMIALS, QUAD, multiply_accumulate
from unseen.he.lanes import LANES
from unseen.he.mask import BATCH_BLOCKS, MaskSource
from unseen.he.message import EncryptedQuery, read_query
from unseen.he.packing import Packing
from unseen.he.quantise import check_rows
from unseen.he.reply import finish_blocks
from unseen.he.ring import ring
from unseen.he.segment import Segment
from unseen.params import ParameterSet, require_safe

Int16Array = npt.NDArray[np.int16]
Int32Array = npt.NDArray[np.int32]
Int64Array = npt.NDArray[np.int64]
UInt32Array = npt.NDArray[np.uint32]


class ScanIndex:
    """The rows of one collection, packed for scanning; slots that were never written, or were cleared, are zero."""

    def __init__(
        self, parameters: ParameterSet, dimension: int, packing_factor: int, masks: MaskSource, threads: int = 1
    ) -> None:
        self.parameters = require_safe(parameters)
        self.packing = Packing(parameters.ring_degree, dimension, packing_factor)
        self.masks = masks
        self.threads = threads
        self._ring = ring(parameters.ring_degree, parameters.modulus)
        self._segments: list[Segment] = []
        self._written: set[int] = set()

    @property
    def memory_bytes(self) -> int:
        return sum(segment.size_bytes for segment in self._segments)

    @property
    def capacity(self) -> int:
        """Slots that memory is there for."""
        return len(self._segments) * QUAD * self.packing.rows_per_block

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
        self._reserve(int(blocks.max(initial=-1)) + 1)
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

    def _reserve(self, blocks: int) -> None:
        while len(self._segments) * QUAD < blocks:
            self._segments.append(Segment(self._ring, self.packing))

    # ------------------------------------------------------------------------------------------------------- scan

    def answer(
        self, query: bytes, slots: int, emit: Callable[[bytes], None], cancelled: Callable[[], bool] = lambda: False
    ) -> None:
        """Emit the reply blocks that cover ``slots``, in order, each as soon as it is ready; stop when cancelled.

        Raises MalformedMessage for a query that does not parse.
        """
        encrypted = read_query(self.parameters, self.packing, query)
        blocks = self.packing.blocks(slots)
        if blocks > len(self._segments) * QUAD:
            raise InvalidInput(f"got {slots} slots, expected at most the {self.capacity} that this index holds")
        with ThreadPoolExecutor(self.threads, "unseen-scan") as pool:
            transformed, key = self._transform(encrypted, pool)
            for reply in self._replies(pool, blocks, transformed, key, cancelled):
                emit(reply)

    def _transform(self, encrypted: EncryptedQuery, pool: ThreadPoolExecutor) -> tuple[Int32Array, UInt32Array]:
        """-> the query (N/16, chunks, 2, 16), centred, and the public key (N/16, 2, 16), both transformed."""
        parts = np.array_split(np.arange(len(encrypted.seeds)), self.threads)
        expanded = pool.map(
            lambda part: expand_seeds(encrypted.seeds[part], self._ring.degree, self._ring.modulus), parts
        )
        lanes = _interleave(encrypted.c0, np.vstack(list(expanded)))
        self._ring.forward(lanes)
        query, key = _by_tiles(lanes, np.int64(self._ring.modulus), self.packing.chunks)
        return query, key

    def _replies(
        self,
        pool: ThreadPoolExecutor,
        blocks: int,
        query: Int32Array,
        key: UInt32Array,
        cancelled: Callable[[], bool],
    ) -> Iterator[bytes]:
        """Replies of eight blocks each, in order, with at most two batches a thread under way."""
        waiting: deque[Future[bytes]] = deque()
        for first in range(0, blocks, BATCH_BLOCKS):
            if cancelled():
                break
            waiting.append(pool.submit(self._batch, first, min(BATCH_BLOCKS, blocks - first), query, key))
            if len(waiting) >= 2 * self.threads:
                yield waiting.popleft().result()
        while waiting and not cancelled():
            yield waiting.popleft().result()

    def _batch(self, first: int, blocks: int, query: Int32Array, key: UInt32Array) -> bytes:
        """The reply blocks ``first`` to ``first + blocks - 1``, at most eight."""
        segments = self._segments[first // QUAD : first // QUAD + BATCH_BLOCKS // QUAD]
        addresses = np.array([segment.address for segment in segments], np.uint64)
        sums = np.zeros((BATCH_BLOCKS // QUAD, len(query), QUAD, POLYNOMIALS, LANES), np.uint32)
        multiply_accumulate(query, addresses, self.packing.chunks, np.int64(self._ring.modulus), sums)
        return finish_blocks(self.parameters, self.packing, sums, key, self.masks.take(self.packing), blocks)


@nb.njit(nogil=True, cache=True, error_model="numpy")
def _interleave(c0, c1):  # type: ignore[no-untyped-def]
    """(count, N) twice -> (groups, N, 16): ciphertext i takes lanes 2i (c0) and 2i + 1 (c1)."""
    count, degree = c0.shape
    lanes = np.zeros((-(-2 * count // LANES), degree, LANES), np.uint32)
    for i in range(count):
        group, lane = 2 * i // LANES, 2 * i % LANES
        for n in range(degree):
            lanes[group, n, lane] = c0[i, n]
            lanes[group, n, lane + 1] = c1[i, n]
    return lanes


@nb.njit(nogil=True, cache=True, error_model="numpy")
def _by_tiles(lanes, q, chunks):  # type: ignore[no-untyped-def]
    """(groups, N, 16) -> the query's ciphertexts, centred, for the kernel; and the last ciphertext, the public key."""
    tiles = lanes.shape[1] // LANES
    query = np.empty((tiles, chunks, POLYNOMIALS, LANES), np.int32)
    key = np.empty((tiles, POLYNOMIALS, LANES), np.uint32)
    for tile in range(tiles):
        for polynomial in range(POLYNOMIALS):
            for lane in range(LANES):
                n = tile * LANES + lane
                for chunk in range(chunks):
                    at = POLYNOMIALS * chunk + polynomial
                    value = np.int64(lanes[at // LANES, n, at % LANES])
                    query[tile, chunk, polynomial, lane] = value - q if value > q // 2 else value
                at = POLYNOMIALS * chunks + polynomial
                key[tile, polynomial, lane] = lanes[at // LANES, n, at % LANES]
    return query, key
