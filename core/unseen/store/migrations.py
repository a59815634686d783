"""What an older store needs to become one of today: a step per version, all of them in one transaction.

    1  release 0.1.0
    2  tenants, consents, withheld rows, compartments, facts
    3  keys in a ring outside the data; every page of a SQLite file carries a checksum (``sqlite_file.py``)

A crash in the middle leaves the old store as it was. Each step is SQL, then work that SQL cannot do. These steps are
SQLite's: PostgreSQL came with version 3, and has its own (``Database.steps``).
"""

from __future__ import annotations

from unseen.envelope import SealingKey, context
from unseen.keys.provider import KeyProvider
from unseen.keys.ring import KeyRing, KeyRings
from unseen.keys.serials import Serials
from unseen.store import row_keys, schema
from unseen.store.database import Database, Steps, Transaction
from unseen.store.sealing import CollectionSeal, SealPlace, StoreSeals

RINGS_SINCE = 3
TABLES_OF_2 = """
DROP INDEX live_rows_by_id;
DROP INDEX live_rows_by_epoch;
ALTER TABLE collections RENAME TO collections_of_1;
ALTER TABLE live_rows RENAME TO live_rows_of_1;
CREATE TABLE collections (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    uid BLOB NOT NULL UNIQUE,
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    dimension INTEGER NOT NULL,
    parameter_id TEXT NOT NULL,
    model_id TEXT NOT NULL,
    packing_factor INTEGER NOT NULL,
    packed_at_slots INTEGER NOT NULL,
    wrapped_key BLOB NOT NULL,
    live_rows INTEGER NOT NULL,
    slots INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    UNIQUE (tenant, name)
);
INSERT INTO collections
    SELECT number, uid, '', name, dimension, parameter_id, model_id, packing_factor, packed_at_slots, wrapped_key,
        live_rows, slots, epoch FROM collections_of_1;
CREATE TABLE live_rows (
    collection INTEGER NOT NULL REFERENCES collections (number) ON DELETE CASCADE,
    slot INTEGER NOT NULL,
    row_id BLOB NOT NULL,
    epoch INTEGER NOT NULL,
    record INTEGER NOT NULL,
    consent BLOB NOT NULL,
    withheld INTEGER NOT NULL,
    PRIMARY KEY (collection, slot)
) WITHOUT ROWID;
INSERT INTO live_rows SELECT collection, slot, row_id, epoch, record, x'', 0 FROM live_rows_of_1;
CREATE UNIQUE INDEX live_rows_by_id ON live_rows (collection, row_id);
CREATE INDEX live_rows_by_epoch ON live_rows (collection, epoch, slot);
CREATE INDEX live_rows_by_consent ON live_rows (collection, consent) WHERE length(consent) > 0;
DROP TABLE live_rows_of_1;
DROP TABLE collections_of_1;
CREATE TABLE extents (
    collection INTEGER NOT NULL REFERENCES collections (number) ON DELETE CASCADE,
    extent INTEGER NOT NULL,
    compartment INTEGER NOT NULL,
    PRIMARY KEY (collection, extent)
) WITHOUT ROWID;
WITH RECURSIVE every (collection, extent, slots) AS (
    SELECT number, 0, slots FROM collections WHERE slots > 0
    UNION ALL
    SELECT collection, extent + 1, slots FROM every WHERE (extent + 1) * 2048 < slots
)
INSERT INTO extents SELECT collection, extent, 0 FROM every;
CREATE TABLE facts (
    sequence INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    key BLOB NOT NULL,
    forgotten INTEGER NOT NULL,
    sealed BLOB NOT NULL
);
CREATE INDEX facts_by_key ON facts (kind, key, sequence);
"""
"""As it was then: a later version has a step of its own, and leaves this one alone."""

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


def open_ring(tx: Transaction, rings: KeyRings, version: int) -> KeyRing:
    """The ring of an older store, made where there was none; WrongKey when its keys do not open, before any write."""
    if version >= RINGS_SINCE:
        return rings.open(row_keys.read_uid(tx))
    uid, wrapped = tx.fetch("SELECT uid, wrapped_key FROM store")[0]
    store_key = rings.provider.unwrap(wrapped, context("store key", uid))
    return rings.open(uid) if rings.has(uid) else rings.make(uid, store_key)


def migrate(tx: Transaction, database: Database, ring: KeyRing, provider: KeyProvider) -> None:
    """Bring a store to today's version; in the caller's transaction."""
    for version in range(database.version, schema.SCHEMA_VERSION):
        database.steps[version](tx, ring, provider)
        tx.note_version(version + 1)


def _from_1_to_2(tx: Transaction, ring: KeyRing, provider: KeyProvider) -> None:
    (last_number,) = tx.fetch("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'collections'")
    tx.run("PRAGMA legacy_alter_table = ON")  # renaming a table leaves the references of others as they are
    tx.run(TABLES_OF_2)
    tx.run("PRAGMA legacy_alter_table = OFF")
    tx.run("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = 'collections'", last_number)


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


STEPS: Steps = {1: _from_1_to_2, 2: _keys_into_the_ring}
"""Of SQLite."""
