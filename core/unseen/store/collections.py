"""Collections as rows of a table. Each function runs inside the transaction of the caller (``durable.py``)."""

from __future__ import annotations

from unseen.errors import CollectionExists, CollectionNotFound
from unseen.store.database import Row, Transaction
from unseen.store.interface import NewCollection, StoredCollection
from unseen.store.schema import records_table, vectors_table
from unseen.types import CollectionInfo

COLUMNS = (
    "uid, name, dimension, parameter_id, model_id, packing_factor, live_rows, slots, epoch,"
    " packed_at_slots, tenant, number"
)


def read_collections(tx: Transaction) -> tuple[StoredCollection, ...]:
    """Every collection, sorted by tenant and name."""
    found = [_stored_collection(row) for row in tx.fetch(f"SELECT {COLUMNS} FROM collections")]  # noqa: S608
    return tuple(sorted(found, key=lambda stored: (stored.tenant, stored.info.name)))


def find_collection(tx: Transaction, uid: bytes) -> tuple[int, StoredCollection]:
    """A collection and its number; CollectionNotFound when there is none."""
    found = tx.fetch(f"SELECT {COLUMNS} FROM collections WHERE uid = ?", (uid,))  # noqa: S608 - fixed names
    if not found:
        raise CollectionNotFound("no collection has this uid; it was deleted or belongs to another server")
    return found[0][11], _stored_collection(found[0])


def require_free_name(tx: Transaction, tenant: str, name: str) -> None:
    """CollectionExists when the tenant has a collection of this name."""
    if tx.fetch("SELECT number FROM collections WHERE tenant = ? AND name = ?", (tenant, name)):
        raise CollectionExists("there is a collection of this name already; choose another name")


def insert_collection(tx: Transaction, uid: bytes, new: NewCollection, tree_id: bytes) -> None:
    """Write a new collection down and make its tables."""
    values = (new.tenant, new.name, new.dimension, new.parameter_id, new.model_id, new.packing_factor, tree_id)
    number = tx.fetch(
        "INSERT INTO collections (uid, tenant, name, dimension, parameter_id, model_id, packing_factor, tree_id,"
        " packed_at_slots, live_rows, slots, epoch) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0, 0) RETURNING number",
        (uid, *values),
    )[0][0]
    tx.make_cells(number)


def remove_collection(tx: Transaction, uid: bytes) -> None:
    """Take a collection away, its tables first: rows and name are gone; CollectionNotFound when there is none."""
    number, _ = find_collection(tx, uid)
    for table in (vectors_table(number), records_table(number)):
        tx.run(f"DROP TABLE {table}")
    tx.run("DELETE FROM collections WHERE number = ?", (number,))


def update_name(tx: Transaction, uid: bytes, name: str) -> None:
    """Write another name down, which is free."""
    tx.run("UPDATE collections SET name = ? WHERE uid = ?", (name, uid))


def update_packing(tx: Transaction, uid: bytes, packing_factor: int, at_slots: int) -> None:
    """Write another packing factor down."""
    tx.run(
        "UPDATE collections SET packing_factor = ?, packed_at_slots = ? WHERE uid = ?", (packing_factor, at_slots, uid)
    )


def update_counts(tx: Transaction, collection: int, slots: int, live_rows: int, epoch: int) -> None:
    """Write a collection's counts after a change of its rows."""
    tx.run(
        "UPDATE collections SET slots = ?, live_rows = ?, epoch = ? WHERE number = ?",
        (slots, live_rows, epoch, collection),
    )


def _stored_collection(row: Row) -> StoredCollection:
    return StoredCollection(CollectionInfo(*row[:9]), packed_at_slots=row[9], tenant=row[10])
