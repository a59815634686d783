"""The statements that a mutation is made of. Each runs inside the transaction of the caller (``sqlite.py``).

Sealed cells are appended, overwritten with bytes of the same length, and never moved: see ``schema.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import apsw

from unseen.errors import CollectionNotFound, InvalidInput, RowExists, RowNotFound
from unseen.store.interface import PlacedRow, StoredCollection
from unseen.store.schema import records_table, vectors_table
from unseen.types import CatalogueEntry, CollectionInfo

BEYOND_ANY_SLOT = 1 << 62
BEYOND_ANY_ROW_ID = b"\xff" * 17
ENTRY_OVERHEAD_BYTES = 48
"""Row id, slot, epoch and framing of one catalogue entry on the wire, rounded up."""
VectorRow = tuple[int, bytes, int, bytes]
"""Slot, row id, epoch, sealed vector."""


@dataclass(frozen=True)
class RowPlace:
    """Where a row's sealed bytes lie: its vector under ``slot``, its record under ``record``."""

    slot: int
    record: int
    withheld: int


COLUMNS = (
    "uid, name, dimension, parameter_id, model_id, packing_factor, live_rows, slots, epoch,"
    " packed_at_slots, tenant, number"
)


def read_store(db: apsw.Connection) -> tuple[bytes, bytes]:
    """The store's uid and its wrapped key."""
    uid, wrapped_key = _fetch(db, "SELECT uid, wrapped_key FROM store")[0]
    return uid, wrapped_key


def read_collections(db: apsw.Connection) -> tuple[StoredCollection, ...]:
    """Every collection, sorted by tenant and name."""
    found = _fetch(db, f"SELECT {COLUMNS} FROM collections ORDER BY tenant, name")  # noqa: S608 - fixed names
    return tuple(_stored_collection(row) for row in found)


def find_collection(db: apsw.Connection, uid: bytes) -> tuple[int, StoredCollection]:
    """A collection and its number; CollectionNotFound when there is none."""
    found = _fetch(db, f"SELECT {COLUMNS} FROM collections WHERE uid = ?", (uid,))  # noqa: S608 - fixed names
    if not found:
        raise CollectionNotFound(f"no collection has uid {uid.hex()}; it was deleted or belongs to another server")
    return found[0][11], _stored_collection(found[0])


def require_distinct(row_ids: Sequence[bytes]) -> None:
    """InvalidInput when a row comes twice in one request."""
    if len(set(row_ids)) != len(row_ids):
        raise InvalidInput("a row id comes twice in one request; name each row once")


def require_absent(db: apsw.Connection, collection: int, row_ids: Sequence[bytes]) -> None:
    """RowExists when one of the rows is there, withheld or not."""
    for row_id in row_ids:
        if find_row(db, collection, row_id) is not None:
            raise RowExists(f"row {row_id.hex()} is enrolled already; erase it before enrolling it anew")


def require_rows(db: apsw.Connection, collection: int, row_ids: Sequence[bytes]) -> list[RowPlace]:
    """Where each row is, withheld ones included; RowNotFound when one is not there."""
    return [_require_row(row_id, find_row(db, collection, row_id)) for row_id in row_ids]


def require_live(db: apsw.Connection, collection: int, row_ids: Sequence[bytes]) -> list[RowPlace]:
    """Where each row is; RowNotFound when one is not there or is withheld."""
    places = require_rows(db, collection, row_ids)
    for row_id, place in zip(row_ids, places, strict=True):
        _require_row(row_id, None if place.withheld else place)
    return places


def _require_row(row_id: bytes, place: RowPlace | None) -> RowPlace:
    if place is None:
        raise RowNotFound(f"row {row_id.hex()} is not enrolled here")
    return place


def find_row(db: apsw.Connection, collection: int, row_id: bytes) -> RowPlace | None:
    """Where a row is, withheld or not; None when it is not there."""
    found = _fetch(
        db, "SELECT slot, record, withheld FROM live_rows WHERE collection = ? AND row_id = ?", (collection, row_id)
    )
    return next((RowPlace(*row) for row in found), None)


def rows_resting_on(db: apsw.Connection, collection: int, consent: bytes) -> tuple[PlacedRow, ...]:
    """Every row under a consent, in slot order."""
    found = _fetch(
        db,
        "SELECT row_id, slot, withheld FROM live_rows WHERE collection = ? AND consent = ? AND consent <> x''"
        " ORDER BY slot",
        (collection, consent),
    )
    return tuple(PlacedRow(row_id, slot, bool(withheld)) for row_id, slot, withheld in found)


def withhold(db: apsw.Connection, collection: int, slots: Sequence[int]) -> None:
    """Mark rows as kept but not to be found."""
    db.executemany(
        "UPDATE live_rows SET withheld = 1 WHERE collection = ? AND slot = ?", [(collection, slot) for slot in slots]
    )


def remember_erasures(db: apsw.Connection, collection: int, epoch: int, row_ids: Sequence[bytes]) -> None:
    """Tell mirrors that rows are gone since an epoch."""
    db.executemany("INSERT INTO erasures VALUES (?, ?, ?)", [(collection, epoch, row_id) for row_id in row_ids])


def write_records(db: apsw.Connection, collection: int, sealed_records: Sequence[bytes]) -> list[int]:
    """Write sealed records, into erased room of exactly their length where there is some; returns their numbers."""
    table = records_table(collection)
    numbers = []
    for sealed in sealed_records:
        number = take_free_record(db, collection, len(sealed))
        if number is None:
            db.execute(f"INSERT INTO {table} (sealed) VALUES (?)", (sealed,))  # noqa: S608 - a number, see schema.py
            number = db.last_insert_rowid()
        else:
            db.execute(f"UPDATE {table} SET sealed = ? WHERE record = ?", (sealed, number))  # noqa: S608
        numbers.append(number)
    return numbers


def take_free_record(db: apsw.Connection, collection: int, size_bytes: int) -> int | None:
    """An erased record of exactly this length, no longer free; None when there is none."""
    place = (collection, size_bytes)
    number: int | None = db.execute(
        "SELECT min(record) FROM free_records WHERE collection = ? AND size_bytes = ?", place
    ).get
    if number is not None:
        db.execute("DELETE FROM free_records WHERE collection = ? AND size_bytes = ? AND record = ?", (*place, number))
    return number


def overwrite(db: apsw.Connection, table: str, numbers: Sequence[int]) -> list[int]:
    """Zero sealed cells where they lie, without moving them; returns their lengths in bytes."""
    sizes = []
    for number in numbers:
        with db.blob_open("main", table, "sealed", number, True) as cell:
            sizes.append(cell.length())
            cell.write(bytes(cell.length()))
    return sizes


def update_counts(db: apsw.Connection, collection: int, slots: int, live_rows: int, epoch: int) -> None:
    """Write a collection's counts after a change of its rows."""
    db.execute(
        "UPDATE collections SET slots = ?, live_rows = ?, epoch = ? WHERE number = ?",
        (slots, live_rows, epoch, collection),
    )


def read_vectors(db: apsw.Connection, collection: int, first_slot: int, count: int) -> list[VectorRow]:
    """Up to ``count`` live rows from ``first_slot`` on, in slot order."""
    return _fetch(
        db,
        f"SELECT slot, row_id, epoch, sealed FROM live_rows JOIN {vectors_table(collection)} USING (slot)"  # noqa: S608
        " WHERE collection = ? AND slot >= ? AND NOT withheld ORDER BY slot LIMIT ?",
        (collection, first_slot, count),
    )


def read_erased(
    db: apsw.Connection, collection: int, after: tuple[int, bytes], until_epoch: int, count: int
) -> list[tuple[int, bytes]]:
    """Up to ``count`` pairs of epoch and row id erased after such a pair and no later than an epoch, in that order."""
    return _fetch(
        db,
        "SELECT epoch, row_id FROM erasures WHERE collection = ? AND (epoch, row_id) > (?, ?) AND epoch <= ?"
        " ORDER BY epoch, row_id LIMIT ?",
        (collection, *after, until_epoch, count),
    )


def epoch_after(db: apsw.Connection, collection: int, since_epoch: int, rows: int) -> int | None:
    """The epoch that added the last of the first ``rows`` live rows after an epoch; None when there are fewer."""
    found = _fetch(
        db,
        "SELECT epoch FROM live_rows WHERE collection = ? AND epoch > ? AND NOT withheld"
        " ORDER BY epoch, slot LIMIT 1 OFFSET ?",
        (collection, since_epoch, rows - 1),
    )
    return int(found[0][0]) if found else None


def read_entries(
    db: apsw.Connection, collection: int, after: tuple[int, int], until_epoch: int, size_bytes: int
) -> list[CatalogueEntry]:
    """Live rows added after (epoch, slot) and no later than an epoch, in that order: one, and more while they fit."""
    entries: list[CatalogueEntry] = []
    cursor = db.execute(
        f"SELECT row_id, slot, epoch, sealed FROM live_rows JOIN {records_table(collection)} USING (record)"  # noqa: S608
        " WHERE collection = ? AND (epoch, slot) > (?, ?) AND epoch <= ? AND NOT withheld ORDER BY epoch, slot",
        (collection, *after, until_epoch),
    )
    try:
        for row in cursor:
            entry = CatalogueEntry(*row)
            size_bytes -= len(entry.sealed_record) + ENTRY_OVERHEAD_BYTES
            if entries and size_bytes < 0:
                break
            entries.append(entry)
    finally:
        cursor.close(True)  # an open one would keep the log from being emptied
    return entries


def _fetch(db: apsw.Connection, statement: str, values: tuple[bytes | int | str, ...] = ()) -> list[Any]:
    return db.execute(statement, values).fetchall()


def _stored_collection(row: Sequence[Any]) -> StoredCollection:
    return StoredCollection(CollectionInfo(*row[:9]), packed_at_slots=row[9], tenant=row[10])
