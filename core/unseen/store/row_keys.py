"""Which key opens which row: what the data says of its key ring. Runs inside the store's transactions.

The data names a tree of the ring for each collection, a serial in it for each row, and the state of the ring that it is
in step with. None of this is secret, and none of it opens anything.
"""

from __future__ import annotations

from collections.abc import Iterator

from unseen.params import is_owner
from unseen.store.collections import find_collection
from unseen.store.database import Transaction
from unseen.store.schema import records_table, vectors_table
from unseen.store.sealing import CollectionSeal, SealPlace, StoreSeals

ROWS_AT_ONCE = 1024
"""Rows that are sealed anew in one go: a few megabytes."""


def read_uid(tx: Transaction) -> bytes:
    """The store's uid; in every version of the schema."""
    uid: bytes = tx.fetch("SELECT uid FROM store")[0][0]
    return uid


def read_ring_state(tx: Transaction) -> bytes:
    """The state of the key ring that the data is in step with."""
    state: bytes = tx.fetch("SELECT ring_state FROM store")[0][0]
    return state


def note_ring_state(tx: Transaction, state: bytes) -> None:
    """Write down that the data is in step with the ring as it stands: part of the change that made it so."""
    tx.run("UPDATE store SET ring_state = ?", (state,))


def read_tree_id(tx: Transaction, uid: bytes) -> bytes:
    """The tree that a collection's rows are sealed under; CollectionNotFound when there is no such collection."""
    number, _ = find_collection(tx, uid)
    tree_id: bytes = tx.fetch("SELECT tree_id FROM collections WHERE number = ?", (number,))[0][0]
    return tree_id


def claim_run(tx: Transaction, first: int) -> bool:
    """Note that a run of serials begins here; whether no earlier one does."""
    if tx.fetch("SELECT first FROM serial_runs WHERE first = ?", (first,)):
        return False
    tx.run("INSERT INTO serial_runs VALUES (?)", (first,))
    return True


def sealed_rows(tx: Transaction, collection: int) -> Iterator[tuple[list[SealPlace], list[int]]]:
    """Every row of a collection, withheld ones too, in slot order, some at a time: its place, its record's number."""
    after = -1
    while True:
        found = tx.fetch(
            "SELECT row_id, slot, epoch, serial, record FROM live_rows WHERE collection = ? AND slot > ?"
            " ORDER BY slot LIMIT ?",
            (collection, after, ROWS_AT_ONCE),
        )
        if not found:
            return
        yield [SealPlace(*row[:4]) for row in found], [row[4] for row in found]
        after = found[-1][1]


def reseal(tx: Transaction, uid: bytes, old: CollectionSeal, fresh_tree: bytes, seals: StoreSeals) -> int:
    """Seal every row of a collection under the keys of another tree, where it lies; how many there are.

    Rows keep their serials, so that an erasure reaches both trees while there are two. Under the fresh tree nothing
    was ever sealed with the serial of an erased row, so those need not be cut from it.
    """
    number, stored = find_collection(tx, uid)
    new = seals.collection(uid, fresh_tree)
    vectors, records = vectors_table(number), records_table(number)
    count = 0
    for places, numbers in sealed_rows(tx, number):
        if not is_owner(stored.info.parameter_id):  # whose rows stand in blocks
            slots = [place.slot for place in places]
            opened = old.open_vectors(places, read_cells(tx, vectors, "slot", slots))
            tx.overwrite(vectors, "slot", zip(slots, new.seal_vectors(places, opened), strict=True))
        opened = old.open_records(places, read_cells(tx, records, "record", numbers))
        tx.overwrite(records, "record", zip(numbers, new.seal_records(places, opened), strict=True))
        count += len(places)
    tx.run("UPDATE collections SET tree_id = ? WHERE number = ?", (fresh_tree, number))
    tx.run("UPDATE erasures SET serial = NULL WHERE collection = ?", (number,))
    note_ring_state(tx, seals.ring.content.state)
    return count


def read_cells(tx: Transaction, table: str, key: str, numbers: list[int]) -> list[bytes]:
    """Sealed cells by number, in the order given."""
    query = f"SELECT sealed FROM {table} WHERE {key} = ?"  # noqa: S608 - names of our own, see schema.py
    return [sealed for (sealed,) in tx.fetch_each(query, [(number,) for number in numbers])]
