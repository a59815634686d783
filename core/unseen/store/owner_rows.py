"""Rows and blocks of owner-encrypted collections: written by their owner, kept here, never opened.

The server holds it. A row has no vector here: its coefficients are in a block with those of its neighbours, encrypted
on the owner's device. A block is a fact with a key of its own, a leaf of its collection's tree; its key on disk says
which block of which collection it is, and the epoch that wrote it. Of several versions of a block the newest that is
not ahead of its collection stands. An empty one holds no rows.

    enrol    new versions and rows, one transaction -> old versions forgotten
    move     new versions and the rows' other slots, one transaction -> old versions forgotten
    erase    new version, ahead of its collection -> rows gone, which makes it stand -> old version forgotten

So a stop anywhere leaves every row that is there in a block that holds it, and none that is erased.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from unseen.errors import BlockChanged, InvalidInput
from unseen.store import facts, mutations, rows, slots
from unseen.store.collections import find_collection, update_counts
from unseen.store.database import Database, Transaction
from unseen.store.facts import OwnKey
from unseen.store.interface import Change, StoredBlock
from unseen.store.requests import Request
from unseen.store.row_keys import note_ring_state
from unseen.store.schema import records_table
from unseen.store.sealing import CollectionSeal, StoreSeals
from unseen.types import EncryptedBlock, RowBatch

KIND = "owner block"
_KEY = struct.Struct(">16sIQ")
"""Uid of the collection, number of the block, epoch that wrote it."""
_LAST = b"\xff" * (_KEY.size - 16)
DrawKey = Callable[[Transaction], OwnKey]


@dataclass(frozen=True)
class _Version:
    number: int
    epoch: int
    sequence: int
    key: bytes


def content(batch_blocks: Sequence[EncryptedBlock]) -> tuple[bytes | int, ...]:
    """What of blocks counts as the content of a request."""
    parts = ((one.number, one.known_epoch, hashlib.sha256(one.ciphertexts).digest()) for one in batch_blocks)
    return tuple(part for one in parts for part in one)


def enrol(
    tx: Transaction,
    request: Request,
    uid: bytes,
    batch: RowBatch,
    seal: CollectionSeal,
    serials: Sequence[int],
    seals: StoreSeals,
    draw_key: DrawKey,
) -> Change:
    """Add rows at the slots that their owner chose, and the blocks that hold them; BlockChanged, RowExists."""
    number, stored = find_collection(tx, uid)
    rows.require_absent(tx, number, batch.row_ids)
    write_blocks(tx, uid, stored.info.epoch, batch.blocks, seals, draw_key)
    handed_out = _take(tx, number, stored.info.slots, batch.slots)
    return mutations.place(tx, request, uid, batch, seal, serials, batch.slots, handed_out)


def move(
    tx: Transaction,
    request: Request,
    uid: bytes,
    batch: RowBatch,
    seal: CollectionSeal,
    seals: StoreSeals,
    draw_key: DrawKey,
) -> Change:
    """Give rows that are there other slots, with the blocks that hold them and held them; they keep their keys."""
    number, stored = find_collection(tx, uid)
    epoch = stored.info.epoch + 1
    found = rows.records_of(tx, number, batch.row_ids)
    write_blocks(tx, uid, stored.info.epoch, batch.blocks, seals, draw_key)
    handed_out = _take(tx, number, stored.info.slots, batch.slots)
    slots.free(tx, number, [place.slot for place, _ in found])
    opened = seal.open_records([place for place, _ in found], [sealed for _, sealed in found])
    places = [place._replace(slot=slot, epoch=epoch) for (place, _), slot in zip(found, batch.slots, strict=True)]
    cells = [place.record for place in rows.require_rows(tx, number, batch.row_ids)]
    tx.overwrite(records_table(number), "record", zip(cells, seal.seal_records(places, opened), strict=True))
    rows.move_rows(tx, number, places)
    update_counts(tx, number, handed_out, stored.info.rows, epoch)
    return mutations.finished(tx, request, uid, epoch, batch.slots)


def write_blocks(
    tx: Transaction,
    uid: bytes,
    epoch: int,
    blocks: Sequence[EncryptedBlock],
    seals: StoreSeals,
    draw_key: DrawKey,
) -> None:
    """Write new versions of blocks, which stand from the next epoch on; BlockChanged when one was written since."""
    found = _versions(tx, uid)
    ahead = [(KIND, one.key) for one in found if one.epoch > epoch]  # left by an erasure that did not come to its end
    if ahead:
        _forget(tx, seals, ahead)
    written = {one.number: one.epoch for one in found if one.epoch <= epoch}
    for block in blocks:
        if block.known_epoch > epoch or written.get(block.number, 0) > block.known_epoch:
            raise BlockChanged(
                "somebody has written this block since; bring the mirror up to date, then encrypt the block anew"
            )
        key = _KEY.pack(uid, block.number, epoch + 1)
        facts.write_over(tx, seals, KIND, key, block.ciphertexts, draw_key(tx))


def forget_old(tx: Transaction, uid: bytes, seals: StoreSeals) -> bool:
    """Destroy every version of a block that does not stand; whether there was one."""
    stands = _standing(tx, uid)
    old = [(KIND, one.key) for one in _versions(tx, uid) if stands.get(one.number) != one]
    if old:
        _forget(tx, seals, old)
    return bool(old)


def reseal(tx: Transaction, uid: bytes, fresh_tree: bytes, seals: StoreSeals) -> None:
    """Seal every block of a collection under keys of another tree."""
    for one in _versions(tx, uid):
        facts.reseal(tx, seals, one.sequence, fresh_tree)


def forget_all(tx: Transaction, uid: bytes, seals: StoreSeals) -> None:
    """Destroy every block of a collection."""
    if every := [(KIND, one.key) for one in _versions(tx, uid)]:
        _forget(tx, seals, every)


def read(database: Database, uid: bytes, seals: StoreSeals) -> Iterator[StoredBlock]:
    """The blocks that stand, one at a time; SealBroken when one was altered."""
    with database.reading() as tx:
        stands = _standing(tx, uid)
    for number, version in sorted(stands.items()):
        with database.reading() as tx:
            fact = facts.at(tx, seals, version.sequence)
        if fact is not None:
            yield StoredBlock(number, version.epoch, fact.body)


def taken(tx: Transaction, uid: bytes) -> list[int]:
    """The slots of all rows, rising."""
    number, _ = find_collection(tx, uid)
    return [slot for (slot,) in tx.fetch("SELECT slot FROM live_rows WHERE collection = ? ORDER BY slot", (number,))]


def slots_of(tx: Transaction, uid: bytes, row_ids: Sequence[bytes]) -> list[int]:
    """Where these rows stand; RowNotFound when one is not there."""
    return [place.slot for place in rows.require_rows(tx, find_collection(tx, uid)[0], row_ids)]


def _forget(tx: Transaction, seals: StoreSeals, places: Sequence[tuple[str, bytes]]) -> None:
    if facts.forget(tx, seals, places)[1]:
        note_ring_state(tx, seals.ring.content.state)


def _versions(tx: Transaction, uid: bytes) -> list[_Version]:
    """Every version of every block, older ones first."""
    found = tx.fetch(
        "SELECT sequence, key FROM facts WHERE kind = ? AND key >= ? AND key <= ? AND forgotten = 0 ORDER BY key",
        (KIND, uid, uid + _LAST),
    )
    places = ((_KEY.unpack(key), sequence, key) for sequence, key in found)
    return [_Version(number, epoch, sequence, key) for (_, number, epoch), sequence, key in places]


def _standing(tx: Transaction, uid: bytes) -> dict[int, _Version]:
    epoch = find_collection(tx, uid)[1].info.epoch
    return {one.number: one for one in _versions(tx, uid) if one.epoch <= epoch}


def _take(tx: Transaction, collection: int, handed_out: int, wanted: Sequence[int]) -> int:
    """Give rows the slots that they ask for; how many slots are handed out then. BlockChanged for a taken one."""
    if len(set(wanted)) != len(wanted) or min(wanted) < 0:
        raise InvalidInput("two rows ask for one slot; give each row a slot of its own")
    within = [slot for slot in wanted if slot < handed_out]
    free = tx.fetch_each(
        "SELECT slot FROM free_slots WHERE collection = ? AND slot = ?", [(collection, slot) for slot in within]
    )
    if len(free) != len(within):
        raise BlockChanged("a slot that was free is taken; bring the mirror up to date, then encrypt the block anew")
    tx.run_each("DELETE FROM free_slots WHERE collection = ? AND slot = ?", [(collection, slot) for slot in within])
    end = max(handed_out, max(wanted) + 1)
    new = frozenset(wanted)
    slots.free(tx, collection, [slot for slot in range(handed_out, end) if slot not in new])
    slots.claim(tx, collection, slots.extents_in(handed_out), slots.extents_in(end), 0)
    return end
