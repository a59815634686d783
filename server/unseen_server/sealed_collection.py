"""One collection in memory whose vectors the server seals: its rows ready to scan.

The server holds it, and with it the rows of a sealed index.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from unseen.errors import InvalidInput, LimitExceeded
from unseen.he import message, packing, quantise
from unseen.he.scan import ScanIndex
from unseen.he.scan_threads import ScanThreads
from unseen.params import ParameterSet
from unseen.store.interface import SLOTS_PER_EXTENT, Change, Store, StoredCollection
from unseen.types import EncryptedBlock, Int16Matrix, RowBatch
from unseen_server import limits
from unseen_server.live_collection import Compartments, Extents, LiveCollection, ReplyStart
from unseen_server.masks_ahead import MasksAhead
from unseen_server.process import hand_back_freed_memory
from unseen_server.read_ahead import read_ahead


class SealedCollection(LiveCollection):
    """A collection whose rows are packed in memory and sealed at rest, both by the server."""

    def __init__(
        self, store: Store, stored: StoredCollection, parameters: ParameterSet, masks: MasksAhead, threads: ScanThreads
    ) -> None:
        super().__init__(store, stored)
        self._parameters = parameters
        self._masks = masks
        self._threads = threads
        self._extents: Extents = np.empty(0, np.int64)
        self._empty()

    def _empty(self) -> None:
        info = self.info
        self._index = ScanIndex(
            self._parameters, info.dimension, info.packing_factor, self._masks.source, self._threads
        )

    @property
    def packing(self) -> packing.Packing:
        return self._index.packing

    @property
    def memory_bytes(self) -> int:
        return self._index.memory_bytes

    @property
    def bits_per_row(self) -> float:
        return self._parameters.bits_per_coefficient

    @property
    def query_bytes(self) -> int:
        return message.query_bytes(self._parameters, self.packing)

    @property
    def reply_bytes(self) -> int:
        return self.packing.blocks(self.info.slots) * message.reply_block_bytes(self._parameters, self.packing)

    def load(self) -> None:
        self._index.reserve(self.info.slots)  # the last slots may be free, and still they are scored
        for page in read_ahead(self._store.vectors(self.info.uid)):
            self._index.put(page.slots, page.vectors)
        self._read_extents(self.info.slots)
        self._masks.want(self.info.uid, self.packing, self.info.slots)

    # Mutations

    def enrol(self, request_id: bytes, batch: RowBatch, compartment: int = 0) -> Change:
        if batch.slots or batch.blocks or batch.moves:
            raise InvalidInput("this collection is sealed by the server: its rows come without slots and blocks")
        quantise.check_rows(self._parameters, batch.vectors)
        with self.changing():
            too_many = self.info.slots + len(batch.row_ids) > limits.MAX_SLOTS
            if too_many and not self._store.knows_request(request_id):
                raise LimitExceeded(f"a collection has at most {limits.MAX_SLOTS} slots; make another one")
            change = self._store.enrol(request_id, self.info.uid, batch, compartment)
            if not change.repeated:
                self._apply(change, lambda: self._write(change, batch.vectors))
                self._repack_when_grown()
        return change

    def withhold(self, request_id: bytes, row_ids: tuple[bytes, ...]) -> Change:
        with self.changing():
            change = self._store.withhold(request_id, self.info.uid, row_ids)
            if not change.repeated:
                self._apply(change, lambda: self._write(change, None))
        hand_back_freed_memory()
        return change

    def erase(self, request_id: bytes, row_ids: tuple[bytes, ...], block: EncryptedBlock | None = None) -> Change:
        if block is not None:
            raise InvalidInput("this collection is sealed by the server: an erasure comes without a block")
        with self.changing():
            change = self._store.erase(request_id, self.info.uid, row_ids)
            if not change.repeated:
                self._apply(change, lambda: self._write(change, None))
        hand_back_freed_memory()
        return change

    def delete(self, request_id: bytes) -> None:
        super().delete(request_id)
        self._masks.forget(self.info.uid)

    def _write(self, change: Change, vectors: Int16Matrix | None) -> None:
        if vectors is None:
            self._index.clear(change.slots)
        else:
            self._index.put(change.slots, vectors)
        self._read_extents(change.collection.info.slots)

    def _read_extents(self, slots: int) -> None:
        """Which compartment each extent of slots belongs to: for good, so it is asked only when there are more."""
        if len(self._extents) * SLOTS_PER_EXTENT < slots:
            self._extents = np.array(self._store.extents(self.info.uid), np.int64)

    def _repack_when_grown(self) -> None:
        info, chosen_at = self.info, self._stored.packed_at_slots
        if packing.should_repack(self._parameters, info.dimension, info.slots, chosen_at, info.packing_factor):
            factor = packing.choose_factor(self._parameters, info.dimension, info.slots)
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
        allowed = None if compartments is None else compartments()
        with self._lock.reading():
            self._require_searchable(packing_factor)
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
        return int(self._extents[slot // SLOTS_PER_EXTENT])
