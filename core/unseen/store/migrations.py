"""What an older store needs to become one of today: a step per version, all of them in one transaction.

A crash in the middle leaves the old store as it was. Each step is SQL, then work that SQL cannot do. Only SQLite has
older stores.
"""

from __future__ import annotations

from collections.abc import Callable

from unseen.envelope import SealingKey, context
from unseen.keys.provider import KeyProvider
from unseen.keys.ring import KeyRing, KeyRings
from unseen.keys.serials import Serials
from unseen.store import row_keys, schema
from unseen.store.database import Transaction
from unseen.store.sealing import CollectionSeal, SealPlace, StoreSeals

KEYS_IN_THE_RING = """
ALTER TABLE store ADD COLUMN ring_state BLOB NOT NULL DEFAULT x'';
ALTER TABLE collections ADD COLUMN tree_id BLOB NOT NULL DEFAULT x'';
ALTER TABLE live_rows ADD COLUMN serial INTEGER NOT NULL DEFAULT 0;
ALTER TABLE erasures ADD COLUMN serial INTEGER;
CREATE TABLE serial_runs (first INTEGER PRIMARY KEY);
"""
"""2 to 3: a row has a serial, and its key comes from the key ring."""
NO_KEYS_IN_THE_DATA = """
ALTER TABLE store DROP COLUMN wrapped_key;
ALTER TABLE collections DROP COLUMN wrapped_key;
"""


def open_ring(tx: Transaction, rings: KeyRings) -> KeyRing:
    """The ring of an older store, made when there is none; WrongKey when its keys do not open, before any write."""
    uid, wrapped = tx.fetch("SELECT uid, wrapped_key FROM store")[0]
    store_key = rings.provider.unwrap(wrapped, context("store key", uid))
    return rings.open(uid) if rings.has(uid) else rings.make(uid, store_key)


def migrate(tx: Transaction, ring: KeyRing, provider: KeyProvider, version: int) -> None:
    """Bring a store from ``version`` to today's; in the caller's transaction."""
    steps: dict[int, Callable[[Transaction, KeyRing, KeyProvider], None]] = {2: _keys_into_the_ring}
    for step in range(version, schema.SCHEMA_VERSION):
        steps[step](tx, ring, provider)
    tx.run(f"PRAGMA user_version = {schema.SCHEMA_VERSION:d}")


def _keys_into_the_ring(tx: Transaction, ring: KeyRing, provider: KeyProvider) -> None:
    tx.run(KEYS_IN_THE_RING)
    serials = Serials()
    store_uid = row_keys.read_uid(tx)
    for number, uid, wrapped in tx.fetch("SELECT number, uid, wrapped_key FROM collections"):
        key = SealingKey(provider.unwrap(wrapped, context("collection key", store_uid, uid)))
        tree_id = (ring.trees_of(uid) or [ring.add_tree(uid)])[0]
        tx.run("UPDATE collections SET tree_id = ? WHERE number = ?", (tree_id, number))
        _give_serials(tx, number, serials)
        _seal_anew(tx, number, uid, key, StoreSeals(ring).collection(uid, tree_id))
    tx.run(NO_KEYS_IN_THE_DATA)
    row_keys.note_ring_state(tx, ring.content.state)


def _give_serials(tx: Transaction, number: int, serials: Serials) -> None:
    slots = [slot for (slot,) in tx.fetch("SELECT slot FROM live_rows WHERE collection = ? ORDER BY slot", (number,))]
    taken = serials.take(len(slots), lambda first: row_keys.claim_run(tx, first))
    tx.run_each(
        "UPDATE live_rows SET serial = ? WHERE collection = ? AND slot = ?",
        zip(taken, [number] * len(slots), slots, strict=True),
    )


def _seal_anew(tx: Transaction, number: int, uid: bytes, key: SealingKey, seal: CollectionSeal) -> None:
    """Vectors where they lie; records get a seal they did not have, and so cells of another length."""
    vectors, records = schema.vectors_table(number), schema.records_table(number)
    tx.run(f"ALTER TABLE {records} RENAME TO old_records")
    tx.run(f"CREATE TABLE {records} (record INTEGER PRIMARY KEY, sealed BLOB NOT NULL)")
    for places, numbers in row_keys.sealed_rows(tx, number):
        slots = [place.slot for place in places]
        sealed = zip(places, row_keys.read_cells(tx, vectors, "slot", slots), strict=True)
        opened = [key.open(one, _place_before(uid, place)) for place, one in sealed]
        tx.overwrite(vectors, "slot", zip(slots, seal.seal_vectors(places, opened), strict=True))
        again = seal.seal_records(places, row_keys.read_cells(tx, "old_records", "record", numbers))
        tx.run_each(f"INSERT INTO {records} VALUES (?, ?)", zip(numbers, again, strict=True))  # noqa: S608
    tx.run("DROP TABLE old_records")
    tx.run("DELETE FROM free_records WHERE collection = ?", (number,))


def _place_before(uid: bytes, place: SealPlace) -> bytes:
    return context("vector", 1, uid, place.row_id, place.slot, place.epoch)
