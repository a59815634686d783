"""The part of a durable store that owner-encrypted collections use, and the steps that it shares with the rest.

enrol    new blocks and rows, one transaction -> old versions of the blocks forgotten
move     new blocks and places, one transaction -> old versions of the blocks forgotten
erase    the new block -> the rows -> the old version; see ``owner_rows`` for a stop in between
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import partial

from unseen.keys.serials import Serials
from unseen.store import collections, mutations, owner_rows, requests, row_keys, rows
from unseen.store.database import Database, Transaction
from unseen.store.facts import OwnKey
from unseen.store.interface import Change, Store, StoredBlock
from unseen.store.requests import Request
from unseen.store.schema import records_table
from unseen.store.sealing import FACTS_UID, CollectionSeal, StoreSeals
from unseen.types import EncryptedBlock, RowBatch


class EncryptedRows(Store):
    """Everything of a store that touches blocks; ``DurableStore`` is the rest."""

    _database: Database
    _seals: StoreSeals
    _serials: Serials

    def enrol_encrypted(self, request_id: bytes, uid: bytes, batch: RowBatch) -> Change:
        rows.require_distinct(batch.row_ids)
        places = (b"".join(batch.row_ids), struct.pack(f"<{len(batch.slots)}Q", *batch.slots))
        request = self._request(
            request_id, "enrol", uid, *places, *owner_rows.content(batch.blocks), *batch.sealed_records
        )
        with self._serials.change(), self._database.changing() as tx:
            if known := mutations.repeated_enrolment(tx, request):
                return known
            mutations.require_shape(batch.vectors, batch, 0)
            serials = self._serials.take(len(batch.row_ids), lambda first: row_keys.claim_run(tx, first))
            seal = self._seal_of(tx, uid)
            draw_key = partial(self._draw_block_key, uid)
            change = owner_rows.enrol(tx, request, uid, batch, seal, serials, self._seals, draw_key)
        self._forget_old_blocks(uid)
        return change

    def move_encrypted(self, request_id: bytes, uid: bytes, batch: RowBatch) -> Change:
        rows.require_distinct(batch.row_ids)
        places = (b"".join(batch.row_ids), struct.pack(f"<{len(batch.slots)}Q", *batch.slots))
        request = self._request(request_id, "move", uid, *places, *owner_rows.content(batch.blocks))
        with self._serials.change(), self._database.changing() as tx:
            if known := mutations.repeated_enrolment(tx, request):
                return known
            draw_key = partial(self._draw_block_key, uid)
            change = owner_rows.move(tx, request, uid, batch, self._seal_of(tx, uid), self._seals, draw_key)
            number, _ = collections.find_collection(tx, uid)
        self._forget_old_blocks(uid)
        self._database.scrub((records_table(number),))
        return change

    def erase_encrypted(
        self, request_id: bytes, uid: bytes, row_ids: tuple[bytes, ...], block: EncryptedBlock
    ) -> Change:
        rows.require_distinct(row_ids)
        request = self._request(request_id, "erase", uid, b"".join(row_ids), *owner_rows.content((block,)))
        with self._serials.change(), self._database.changing() as tx:
            if requests.find_finished(tx, request) is None:
                owner_rows.slots_of(tx, uid, row_ids)
                epoch = collections.find_collection(tx, uid)[1].info.epoch
                draw_key = partial(self._draw_block_key, uid)
                owner_rows.write_blocks(tx, uid, epoch, (block,), self._seals, draw_key)
        with self._database.changing() as tx:
            change = mutations.erase(tx, request, uid, row_ids, self._seals)
            number, _ = collections.find_collection(tx, uid)
        self._forget_old_blocks(uid)
        self._database.scrub((records_table(number),))
        return change

    def _forget_old_blocks(self, uid: bytes) -> None:
        with self._database.changing() as tx:
            had_old = owner_rows.forget_old(tx, uid, self._seals)
        if had_old:
            self._database.scrub(("facts",))

    def _draw_block_key(self, uid: bytes, tx: Transaction) -> OwnKey:
        return row_keys.read_tree_id(tx, uid), self._draw_serial(tx)

    def blocks(self, uid: bytes) -> Iterator[StoredBlock]:
        return owner_rows.read(self._database, uid, self._seals)

    def taken_slots(self, uid: bytes, row_ids: tuple[bytes, ...] | None = None) -> tuple[int, ...]:
        with self._database.reading() as tx:
            found = owner_rows.taken(tx, uid) if row_ids is None else owner_rows.slots_of(tx, uid, row_ids)
        return tuple(found)

    # Shared with every other change

    def _request(self, request_id: bytes, kind: str, *content: bytes | int | str) -> Request:
        return Request(request_id, kind, self._seals.request_digest((kind, *content)))

    def _seal_of(self, tx: Transaction, uid: bytes) -> CollectionSeal:
        return self._seals.collection(uid, row_keys.read_tree_id(tx, uid))

    def _draw_key(self, tx: Transaction) -> OwnKey:
        trees = self._seals.ring.trees_of(FACTS_UID)
        if not trees:
            trees = [self._seals.ring.add_tree(FACTS_UID)]
            row_keys.note_ring_state(tx, self._seals.ring.content.state)
        return trees[0], self._draw_serial(tx)

    def _draw_serial(self, tx: Transaction) -> int:
        return self._serials.take(1, lambda first: row_keys.claim_run(tx, first))[0]
