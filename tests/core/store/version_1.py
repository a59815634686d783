"""A store as release 0.1.0 wrote it: its tables and its seals, spelled out, so that today's code cannot change them."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from pathlib import Path

import apsw
import numpy as np

from unseen import envelope
from unseen.envelope import SealingKey, context
from unseen.store.sqlite import FILE_NAME
from unseen.types import RowBatch

TABLES = """
CREATE TABLE store (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    uid BLOB NOT NULL,
    wrapped_key BLOB NOT NULL
);
CREATE TABLE collections (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    uid BLOB NOT NULL UNIQUE,
    name TEXT NOT NULL UNIQUE,
    dimension INTEGER NOT NULL,
    parameter_id TEXT NOT NULL,
    model_id TEXT NOT NULL,
    packing_factor INTEGER NOT NULL,
    packed_at_slots INTEGER NOT NULL,
    wrapped_key BLOB NOT NULL,
    live_rows INTEGER NOT NULL,
    slots INTEGER NOT NULL,
    epoch INTEGER NOT NULL
);
CREATE TABLE live_rows (
    collection INTEGER NOT NULL REFERENCES collections (number) ON DELETE CASCADE,
    slot INTEGER NOT NULL,
    row_id BLOB NOT NULL,
    epoch INTEGER NOT NULL,
    record INTEGER NOT NULL,
    PRIMARY KEY (collection, slot)
) WITHOUT ROWID;
CREATE UNIQUE INDEX live_rows_by_id ON live_rows (collection, row_id);
CREATE INDEX live_rows_by_epoch ON live_rows (collection, epoch, slot);
CREATE TABLE free_slots (
    collection INTEGER NOT NULL REFERENCES collections (number) ON DELETE CASCADE,
    slot INTEGER NOT NULL,
    PRIMARY KEY (collection, slot)
) WITHOUT ROWID;
CREATE TABLE free_records (
    collection INTEGER NOT NULL REFERENCES collections (number) ON DELETE CASCADE,
    size_bytes INTEGER NOT NULL,
    record INTEGER NOT NULL,
    PRIMARY KEY (collection, size_bytes, record)
) WITHOUT ROWID;
CREATE TABLE erasures (
    collection INTEGER NOT NULL REFERENCES collections (number) ON DELETE CASCADE,
    epoch INTEGER NOT NULL,
    row_id BLOB NOT NULL,
    PRIMARY KEY (collection, epoch, row_id)
) WITHOUT ROWID;
CREATE TABLE requests (
    request_id BLOB PRIMARY KEY,
    kind TEXT NOT NULL,
    digest BLOB NOT NULL,
    collection_uid BLOB NOT NULL,
    epoch INTEGER NOT NULL,
    row_count INTEGER NOT NULL
) WITHOUT ROWID;
"""
TABLES_OF_A_COLLECTION = """
CREATE TABLE vectors_{0:d} (slot INTEGER PRIMARY KEY, sealed BLOB NOT NULL);
CREATE TABLE records_{0:d} (record INTEGER PRIMARY KEY, sealed BLOB NOT NULL);
"""
APPLICATION_ID = 0x554E5345
STORE_UID, COLLECTION_UID = bytes(range(16)), bytes(range(16, 32))
STORE_KEY, COLLECTION_KEY = bytes(range(32, 64)), bytes(range(64, 96))
NAME, DIMENSION, PARAMETER_ID = "photos", 8, "0123456789abcdef"


@dataclass(frozen=True)
class Version1:
    """What was written: rows enrolled in one request, some of them erased in another."""

    rows: RowBatch
    create_id: bytes
    enrol_id: bytes
    erase_id: bytes
    erased: tuple[int, ...]
    """Indices among the rows, which are their slots."""


def write(folder: Path, master_key: bytes, rows: RowBatch, erased: tuple[int, ...]) -> Version1:
    """Write a closed store of version 1, as a server of release 0.1.0 left it when it was stopped."""
    made = Version1(rows, b"c" * 16, b"e" * 16, b"x" * 16, erased)
    db = apsw.Connection(str(folder / FILE_NAME))
    db.pragma("page_size", 16384)
    db.pragma("journal_mode", "WAL")
    with db:
        db.execute(TABLES)
        db.pragma("application_id", APPLICATION_ID)
        db.pragma("user_version", 1)
        _write_keys(db, master_key, len(rows.row_ids), erased)
        _write_rows(db, rows)
        _erase(db, rows, erased)
        _write_requests(db, made)
    db.close()
    return made


def _write_keys(db: apsw.Connection, master_key: bytes, slots: int, erased: tuple[int, ...]) -> None:
    wrapped = envelope.wrap_key(master_key, STORE_KEY, context("store key", STORE_UID))
    db.execute("INSERT INTO store VALUES (1, ?, ?)", (STORE_UID, wrapped))
    # A collection that was deleted before had number 1.
    place = context("collection key", STORE_UID, COLLECTION_UID)
    values = (2, COLLECTION_UID, NAME, DIMENSION, PARAMETER_ID, "none", 8, 0)
    wrapped = envelope.wrap_key(master_key, COLLECTION_KEY, place)
    counts = (slots - len(erased), slots, 2)
    db.execute("INSERT INTO collections VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*values, wrapped, *counts))
    db.execute("UPDATE sqlite_sequence SET seq = 5")
    db.execute(TABLES_OF_A_COLLECTION.format(2))


def _write_rows(db: apsw.Connection, rows: RowBatch) -> None:
    seal = SealingKey(COLLECTION_KEY)
    for slot, (row_id, vector, record) in enumerate(zip(rows.row_ids, rows.vectors, rows.sealed_records, strict=True)):
        sealed = seal.seal(vector.astype("<i2").tobytes(), context("vector", 1, COLLECTION_UID, row_id, slot, 1))
        db.execute("INSERT INTO vectors_2 VALUES (?, ?)", (slot, sealed))
        db.execute("INSERT INTO records_2 VALUES (?, ?)", (slot + 1, record))
        db.execute("INSERT INTO live_rows VALUES (2, ?, ?, 1, ?)", (slot, row_id, slot + 1))


def _erase(db: apsw.Connection, rows: RowBatch, erased: tuple[int, ...]) -> None:
    for slot in erased:
        db.execute("UPDATE vectors_2 SET sealed = zeroblob(length(sealed)) WHERE slot = ?", (slot,))
        db.execute("UPDATE records_2 SET sealed = zeroblob(length(sealed)) WHERE record = ?", (slot + 1,))
        db.execute("DELETE FROM live_rows WHERE slot = ?", (slot,))
        db.execute("INSERT INTO free_slots VALUES (2, ?)", (slot,))
        db.execute("INSERT INTO free_records VALUES (2, ?, ?)", (len(rows.sealed_records[slot]), slot + 1))
        db.execute("INSERT INTO erasures VALUES (2, 2, ?)", (rows.row_ids[slot],))


def _write_requests(db: apsw.Connection, made: Version1) -> None:
    rows = made.rows
    row_ids, vectors = b"".join(rows.row_ids), np.ascontiguousarray(rows.vectors, "<i2").tobytes()
    erased_ids = b"".join(rows.row_ids[slot] for slot in made.erased)
    for request_id, kind, content, epoch, count in (
        (made.create_id, "create", (NAME, DIMENSION, PARAMETER_ID, "none"), 0, 0),
        (made.enrol_id, "enrol", (COLLECTION_UID, row_ids, vectors, *rows.sealed_records), 1, len(rows.row_ids)),
        (made.erase_id, "erase", (COLLECTION_UID, erased_ids), 2, len(made.erased)),
    ):
        digest = _digest(kind, *content)
        values = (request_id, kind, digest, COLLECTION_UID, epoch, count)
        db.execute("INSERT INTO requests VALUES (?, ?, ?, ?, ?, ?)", values)


def _digest(*parts: bytes | int | str) -> bytes:
    keyed = hmac.new(envelope.derive_key(STORE_KEY, b"unseen/store/request-digest"), digestmod=hashlib.sha256)
    for part in parts:
        keyed.update(context(part))
    return keyed.digest()
