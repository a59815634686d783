"""One owner-encrypted collection in memory: ciphertexts ready to be multiplied, kept in step with the store.

The server holds it, and can read nothing of it: rows, queries and scores are encrypted under the owner's key. It checks
what can be checked of ciphertext: lengths, ranges, places, and that nobody's write replaces one that it did not know.
"""

from __future__ import annotations

from collections.abc import Callable

from unseen.errors import IntegrityError, InvalidInput, LimitExceeded
from unseen.he.owner.layout import SIDE_BLOCKS, Layout
from unseen.he.owner.message import read_ciphertexts
from unseen.he.owner.scan import OwnerScanIndex
from unseen.he.packing import Packing
from unseen.he.scan_threads import ScanThreads
from unseen.params import OwnerParameterSet
from unseen.store.interface import Change, Store, StoredCollection
from unseen.types import EncryptedBlock, RowBatch
from unseen_server import limits
from unseen_server.live_collection import Compartments, LiveCollection, ReplyStart
from unseen_server.process import hand_back_freed_memory


class OwnerCollection(LiveCollection):
    """A collection that answers without being able to read."""

    def __init__(
        self, store: Store, stored: StoredCollection, parameters: OwnerParameterSet, threads: ScanThreads
    ) -> None:
        super().__init__(store, stored)
        self._layout = Layout.of(parameters, stored.info.dimension, stored.info.packing_factor)
        self._threads = threads
        self._missing: set[int] = set()
        self._empty()

    def _empty(self) -> None:
        layout, threads = self._layout, self._threads
        self._whole = OwnerScanIndex(layout.parameters, layout.whole.dimension, layout.whole.factor, threads)
        self._side = OwnerScanIndex(layout.parameters, layout.side.dimension, layout.side.factor, threads)
        self._sides: set[int] = set()

    @property
    def _side_blocks(self) -> int:
        """Side blocks that a reply covers: up to the last one that holds rows."""
        return max(self._sides, default=-1) + 1

    @property
    def packing(self) -> Packing:
        return self._layout.whole

    @property
    def memory_bytes(self) -> int:
        return self._whole.memory_bytes + self._side.memory_bytes

    @property
    def bits_per_row(self) -> float:
        return self._layout.parameters.bits_per_coefficient

    @property
    def query_bytes(self) -> int:
        return self._layout.query_bytes

    @property
    def reply_bytes(self) -> int:
        return self._layout.reply_bytes(self._side_blocks, self._whole_blocks())

    def load(self) -> None:
        # The last blocks may be gone together with all their rows, and still they are answered.
        self._whole.reserve(self._layout.whole_slots(self.info.slots))
        self._missing = {self._layout.block_of(slot) for slot in self._store.taken_slots(self.info.uid)}
        for block in self._store.blocks(self.info.uid):
            if block.ciphertexts:
                self._put(block.number, block.ciphertexts)

    # Mutations

    def enrol(self, request_id: bytes, batch: RowBatch, compartment: int = 0) -> Change:
        """Add rows in blocks that their owner encrypted: on disk, then searchable, then returned."""
        if compartment or batch.consents:
            raise InvalidInput("rows of an owner-encrypted collection rest on no agreement; leave consents out")
        if batch.moves:
            return self._move(request_id, batch)
        self._require_fitting(batch)
        with self.changing():
            self._require_no_gap(batch.blocks)
            change = self._store.enrol_encrypted(request_id, self.info.uid, batch)
            if not change.repeated:
                self._apply(change, lambda: self._write(batch.blocks))
        return change

    def _move(self, request_id: bytes, batch: RowBatch) -> Change:
        """Give rows other slots, with the blocks that they leave and come into."""
        for block in batch.blocks:
            if block.ciphertexts:
                self._require_readable(block)
        with self.changing():
            if not self._store.knows_request(request_id):  # else answered again or refused, by the store
                self._require_move(batch)
                self._require_no_gap(batch.blocks)
            change = self._store.move_encrypted(request_id, self.info.uid, batch)
            if not change.repeated:
                self._apply(change, lambda: self._write(batch.blocks))
        hand_back_freed_memory()
        return change

    def _require_move(self, batch: RowBatch) -> None:
        """The blocks are those that the rows leave and come into, and an empty one holds nothing else."""
        if len(batch.slots) != len(batch.row_ids) or max(batch.slots) >= limits.MAX_SLOTS:
            raise InvalidInput(f"rows that move name a slot each, below {limits.MAX_SLOTS}")
        block_of, uid = self._layout.block_of, self.info.uid
        left = self._store.taken_slots(uid, batch.row_ids)
        numbers = [block.number for block in batch.blocks]
        if len(set(numbers)) != len(numbers) or {block_of(slot) for slot in (*left, *batch.slots)} != set(numbers):
            raise InvalidInput("the blocks of a move are those that rows leave and come into, each of them once")
        held = {block_of(slot) for slot in (set(self._store.taken_slots(uid)) - set(left)) | set(batch.slots)}
        if any(block.number in held and not block.ciphertexts for block in batch.blocks):
            raise InvalidInput("a block comes empty that holds rows; bring the mirror up to date and encrypt it anew")

    def withhold(self, request_id: bytes, row_ids: tuple[bytes, ...]) -> Change:
        raise InvalidInput("rows of an owner-encrypted collection cannot be withheld: only their owner writes blocks")

    def erase(self, request_id: bytes, row_ids: tuple[bytes, ...], block: EncryptedBlock | None = None) -> Change:
        """Destroy rows of one block, which comes anew without them: gone from disk, then from memory, then returned."""
        if block is None:
            raise InvalidInput("this collection is owner-encrypted: an erasure brings the block anew, without the rows")
        self._require_readable(block)
        with self.changing():
            self._require_in(block, row_ids, request_id)
            change = self._store.erase_encrypted(request_id, self.info.uid, row_ids, block)
            if not change.repeated:
                self._apply(change, lambda: self._write((block,)))
        hand_back_freed_memory()
        return change

    def _require_fitting(self, batch: RowBatch) -> None:
        """The rows stand in the blocks that come with them, and each block is one of this collection's."""
        if len(batch.slots) != len(batch.row_ids) or not batch.blocks:
            raise InvalidInput("rows of an owner-encrypted collection come with their slots and in encrypted blocks")
        if max(batch.slots) >= limits.MAX_SLOTS:
            raise LimitExceeded(f"a collection has at most {limits.MAX_SLOTS} slots; make another one")
        for block in batch.blocks:
            self._require_readable(block)
        numbers = [block.number for block in batch.blocks]
        if len(set(numbers)) != len(numbers) or {self._layout.block_of(slot) for slot in batch.slots} != set(numbers):
            raise InvalidInput("the blocks of an enrolment are those that its rows stand in, each of them once")

    def _require_no_gap(self, blocks: tuple[EncryptedBlock, ...]) -> None:
        """A new whole block follows the last one: memory is as large as what rows were written for."""
        end = SIDE_BLOCKS + self._whole_blocks()
        for number in sorted(block.number for block in blocks):
            if number > end:
                raise InvalidInput(f"got block {number}; the next whole block of this collection is {end}")
            end = max(end, number + 1)

    def _require_readable(self, block: EncryptedBlock) -> None:
        if self._layout.slots_of(block.number).stop > limits.MAX_SLOTS + self._layout.whole.rows_per_block:
            raise LimitExceeded(f"got block {block.number}; a collection has at most {limits.MAX_SLOTS} slots")
        read_ciphertexts(self._layout.parameters, self._layout.packing(block.number), block.ciphertexts)

    def _require_in(self, block: EncryptedBlock, row_ids: tuple[bytes, ...], request_id: bytes) -> None:
        if self._store.knows_request(request_id):
            return  # answered again or refused, by the store
        places = self._store.taken_slots(self.info.uid, row_ids)
        if {self._layout.block_of(slot) for slot in places} != {block.number}:
            raise InvalidInput("the rows of one erasure stand in the block that comes with it; send one for each block")

    def _write(self, blocks: tuple[EncryptedBlock, ...]) -> None:
        for block in blocks:
            self._put(block.number, block.ciphertexts)

    def _put(self, number: int, ciphertexts: bytes) -> None:
        self._missing.discard(number)  # its owner writes a block whole, from the rows that the catalogue names
        is_side = self._layout.is_side(number)
        index, within = (self._side, number) if is_side else (self._whole, number - SIDE_BLOCKS)
        if ciphertexts:
            index.put_block(within, ciphertexts)
        else:
            index.clear_block(within)
        if is_side:
            self._sides = self._sides | {number} if ciphertexts else self._sides - {number}

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
        """As ``LiveCollection.answer``, for every row: side blocks first, then whole ones."""
        if compartments is not None:
            raise InvalidInput("an owner-encrypted collection has no agreement to search by")
        with self._lock.reading():
            self._require_searchable(packing_factor)
            if self._missing:
                raise IntegrityError(
                    f"{len(self._missing)} blocks of this collection are gone: its data was restored from before a "
                    "change; bring newer data back, or let the owner make the collection anew from a mirror"
                )
            info, layout = self.info, self._layout
            whole = self._whole_blocks()
            start(ReplyStart(info.epoch, info.slots, self._side_blocks + whole, None, self._side_blocks))
            side_slots = self._side_blocks * layout.side.rows_per_block
            self._side.answer(query, side_slots, emit, cancelled, query_packing=layout.whole)
            self._whole.answer(query, whole * layout.whole.rows_per_block, emit, cancelled)

    def compartment_of(self, slot: int) -> int:
        return 0  # its rows rest on no agreement

    def _whole_blocks(self) -> int:
        return self._layout.whole.blocks(self._layout.whole_slots(self.info.slots))
