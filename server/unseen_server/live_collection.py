"""One collection in memory: its rows ready to scan, kept in step with the store.

The server holds it, and with it the rows of a sealed index. A mutation is durable first, then in memory, then
acknowledged; scans share a lock that a mutation takes alone for the few milliseconds of re-encoding its blocks.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unseen.errors import CollectionNotFound, InvalidInput, LimitExceeded, PackingChanged, StoreFailed
from unseen.he import message, packing, quantise
from unseen.he.scan import ScanIndex
from unseen.he.scan_threads import ScanThreads
from unseen.params import ParameterSet
from unseen.store.interface import SLOTS_PER_EXTENT, Change, Slots, Store, StoredCollection
from unseen.types import CollectionInfo, EncryptedBlock, Int16Matrix, RowBatch
from unseen_server import limits
from unseen_server.masks_ahead import MasksAhead
from unseen_server.process import hand_back_freed_memory
from unseen_server.read_ahead import read_ahead
from unseen_server.readers_writer import ReadersWriterLock

Compartments = Callable[[], frozenset[int]]
"""Says, when a scan begins, of which compartments rows may be scored."""
Extents = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ReplyStart:
    """What the blocks of a reply belong to."""

    epoch: int
    slots: int
    blocks: int
    """Blocks that follow."""
    extents: Extents | None
    """The extents whose blocks follow, rising; None for every one."""
    side_blocks: int = 0
    """Of an owner-encrypted collection: so many of the blocks are side blocks, and come first."""


class LiveCollection:
    """A collection that answers. Safe to call from several threads."""

    def __init__(
        self, store: Store, stored: StoredCollection, parameters: ParameterSet, masks: MasksAhead, threads: ScanThreads
    ) -> None:
        self.parameters = parameters
        self._store = store
        self._stored = stored
        self._masks = masks
        self._index = ScanIndex(parameters, stored.info.dimension, stored.info.packing_factor, masks.source, threads)
        self._is_gone = False
        self._is_broken = False
        self._extents: Extents = np.empty(0, np.int64)
        self._mutating = threading.RLock()
        self._lock = ReadersWriterLock()

    @property
    def info(self) -> CollectionInfo:
        """As it stands in memory, and so for the next search."""
        return self._stored.info

    @property
    def tenant(self) -> str:
        """Whose it is."""
        return self._stored.tenant

    @property
    def packing(self) -> packing.Packing:
        """How rows lie in polynomials now."""
        return self._index.packing

    @property
    def memory_bytes(self) -> int:
        """Bytes of packed rows."""
        return self._index.memory_bytes

    @property
    def bits_per_row(self) -> float:
        """Most bits that one search lets out about a row: one coefficient comes back for each."""
        return self.parameters.bits_per_coefficient

    @property
    def query_bytes(self) -> int:
        """Length of every query."""
        return message.query_bytes(self.parameters, self.packing)

    @property
    def reply_bytes(self) -> int:
        """Length of a reply that scores every row."""
        return self.packing.blocks(self.info.slots) * message.reply_block_bytes(self.parameters, self.packing)

    def load(self) -> None:
        """Fill the memory from the store; before the first call of anything else."""
        self._index.reserve(self.info.slots)  # the last slots may be free, and still they are scored
        for page in read_ahead(self._store.vectors(self.info.uid)):
            self._index.put(page.slots, page.vectors)
        self._read_extents()
        self._masks.want(self.info.uid, self.packing, self.info.slots)

    # Mutations

    def enrol(self, request_id: bytes, batch: RowBatch, compartment: int = 0) -> Change:
        """Add rows to a compartment: on disk, then searchable, then returned."""
        if batch.slots or batch.blocks:
            raise InvalidInput("this collection is sealed by the server: its rows come without slots and blocks")
        quantise.check_rows(self.parameters, batch.vectors)
        with self.changing():
            too_many = self.info.slots + len(batch.row_ids) > limits.MAX_SLOTS
            if too_many and not self._store.knows_request(request_id):
                raise LimitExceeded(f"a collection has at most {limits.MAX_SLOTS} slots; make another one")
            change = self._store.enrol(request_id, self.info.uid, batch, compartment)
            if not change.repeated:
                self._apply(change, batch.vectors)
                self._repack_when_grown()
        return change

    def withhold(self, request_id: bytes, row_ids: tuple[bytes, ...]) -> Change:
        """Take rows out of every search and mirror: marked on disk, then gone from memory, then returned."""
        with self.changing():
            change = self._store.withhold(request_id, self.info.uid, row_ids)
            if not change.repeated:
                self._apply(change, None)
        hand_back_freed_memory()
        return change

    def erase(self, request_id: bytes, row_ids: tuple[bytes, ...], block: EncryptedBlock | None = None) -> Change:
        """Destroy rows: gone from disk, then from memory, then returned. ``block``: see ``OwnerCollection``."""
        if block is not None:
            raise InvalidInput("this collection is sealed by the server: an erasure comes without a block")
        with self.changing():
            change = self._store.erase(request_id, self.info.uid, row_ids)
            if not change.repeated:
                self._apply(change, None)
        hand_back_freed_memory()
        return change

    def delete(self, request_id: bytes) -> None:
        """Destroy the collection: gone from disk, then from memory, then returned."""
        with self.changing():
            self._store.delete(request_id, self.info.uid)
            with self._lock.writing():
                self._is_gone = True
                self._index = ScanIndex(
                    self.parameters,
                    self.info.dimension,
                    self.info.packing_factor,
                    self._masks.source,
                    self._index.threads,
                )
            self._masks.forget(self.info.uid)
        hand_back_freed_memory()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """One change at a time, which may be made of several; whoever has begun one may begin another within it.

        After a failure of the store disk and memory may differ: nothing is answered from then on.
        """
        with self._mutating:
            self._require_whole()
            try:
                yield
            except StoreFailed:
                self._is_broken = True
                raise

    def _require_whole(self) -> None:
        if self._is_broken:
            raise StoreFailed("memory may be behind the disk after a failed change; restart the server to read it")

    def _apply(self, change: Change, vectors: Int16Matrix | None) -> None:
        with self._lock.writing():
            try:
                self._write(change.slots, vectors)
                self._stored = change.collection
                self._read_extents()
            except Exception as error:
                self._is_broken = True  # before the lock goes back: the next search must not see half of a change
                raise StoreFailed(
                    f"a change is on disk but not in memory ({type(error).__name__}); restart the server to read it"
                ) from error

    def _write(self, slots: Slots, vectors: Int16Matrix | None) -> None:
        if vectors is None:
            self._index.clear(slots)
        else:
            self._index.put(slots, vectors)

    def _read_extents(self) -> None:
        """Which compartment each extent of slots belongs to: for good, so it is asked only when there are more."""
        if len(self._extents) * SLOTS_PER_EXTENT < self.info.slots:
            self._extents = np.array(self._store.extents(self.info.uid), np.int64)

    def _repack_when_grown(self) -> None:
        info, chosen_at = self.info, self._stored.packed_at_slots
        if packing.should_repack(self.parameters, info.dimension, info.slots, chosen_at, info.packing_factor):
            factor = packing.choose_factor(self.parameters, info.dimension, info.slots)
            # Scans go on while the other packing is made: only mutations wait, and this is one.
            repacked = self._index.repacked(factor)
            stored = self._store.repacked(info.uid, factor, info.slots)
            with self._lock.writing():
                self._index, self._stored = repacked, stored
        self._masks.want(info.uid, self.packing, self.info.slots)

    # Searching

    def answer(
        self,
        packing_factor: int,
        query: bytes,
        start: Callable[[ReplyStart], None],
        emit: Callable[[bytes], None],
        cancelled: Callable[[], bool],
        compartments: Compartments | None = None,
    ) -> None:
        """Score a query of exactly the right length, in the caller's thread: every row, or those of some compartments.

        Calls ``start`` once and then ``emit`` with whole blocks; both must return at once. MalformedMessage for a
        query that does not parse, PackingChanged when the collection was re-packed since the query was made.
        """
        allowed = None if compartments is None else compartments()
        with self._lock.reading():
            self._require_whole()
            if self._is_gone:
                raise CollectionNotFound("the collection was deleted while the query was on its way")
            self.require_packing(packing_factor)
            info = self.info
            blocks = self.packing.blocks(info.slots)
            if allowed is None:
                start(ReplyStart(info.epoch, info.slots, blocks, None))
                self._index.answer(query, info.slots, emit, cancelled)
                return
            # A row takes a block with rows of its own compartment only: what is left out here, no query reaches.
            extents = np.flatnonzero(np.isin(self._extents, list(allowed)))
            wanted = np.isin(np.arange(blocks) * self.packing.rows_per_block // SLOTS_PER_EXTENT, extents)
            start(ReplyStart(info.epoch, info.slots, int(wanted.sum()), extents))
            self._index.answer(query, info.slots, emit, cancelled, wanted)

    def compartment_of(self, slot: int) -> int:
        """The compartment of a row in this slot."""
        return int(self._extents[slot // SLOTS_PER_EXTENT])

    def require_packing(self, packing_factor: int) -> None:
        """PackingChanged unless a query was made for the packing of now."""
        if packing_factor != self.packing.factor:
            raise PackingChanged(
                f"the query was made for packing factor {packing_factor}, the collection has {self.packing.factor}; "
                "fetch the collection and encrypt the query anew"
            )
