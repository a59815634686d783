"""A store as schema version 2 had it: keys wrapped in the data, one key for all rows of a collection."""

from __future__ import annotations

from pathlib import Path

import apsw

from tests.key_rings import MASTER_KEY
from unseen.entropy import random_bytes
from unseen.envelope import SealingKey, context, derive_key, wrap_key
from unseen.store import schema
from unseen.store.sqlite import FILE_NAME
from unseen.types import RowBatch

STORE_KEY = bytes(range(100, 132))


def shared_tables() -> str:
    """The tables of version 2, from those of today: what version 3 added is taken out again."""
    text = schema.SHARED_TABLES
    for today, then in (
        ("ring_state BLOB", "wrapped_key BLOB"),
        ("tree_id BLOB", "wrapped_key BLOB"),
        ("CREATE TABLE serial_runs (\n    first INTEGER PRIMARY KEY\n);\n", ""),
        ("    serial INTEGER NOT NULL,\n", ""),
        ("    serial INTEGER,\n", ""),
    ):
        assert today in text
        text = text.replace(today, then)
    return text


def write_version_2(folder: Path, uid: bytes, batch: RowBatch, erased: int, withheld: int, epoch: int = 4) -> bytes:
    """One collection with the rows of a batch, one of them erased, one withheld; the key that sealed its vectors."""
    store_uid, key = bytes(range(16)), random_bytes(32)
    dimension = batch.vectors.shape[1]
    with apsw.Connection(str(folder / FILE_NAME)) as db:
        db.pragma("page_size", 16384)
        db.pragma("secure_delete", True)
        db.execute(shared_tables())
        db.execute(schema.tables_for(1))
        wrapped_store_key = wrap_key(MASTER_KEY, STORE_KEY, context("store key", store_uid))
        db.execute("INSERT INTO store VALUES (1, ?, ?)", (store_uid, wrapped_store_key))
        db.execute(
            "INSERT INTO collections VALUES (1, ?, '', 'photos', ?, '0123456789abcdef', 'none', 8, 0, ?, ?, ?, ?)",
            (
                uid,
                dimension,
                wrap_key(MASTER_KEY, key, context("collection key", store_uid, uid)),
                len(batch.row_ids) - 2,
                len(batch.row_ids),
                epoch,
            ),
        )
        db.execute("INSERT INTO extents VALUES (1, 0, 0)")
        for slot, (row_id, vector, record) in enumerate(
            zip(batch.row_ids, batch.vectors, batch.sealed_records, strict=True)
        ):
            place = context("vector", 1, uid, row_id, slot, epoch)
            sealed = SealingKey(key).seal(vector.astype("<i2").tobytes(), place)
            if slot == erased:
                sealed, record = bytes(len(sealed)), bytes(len(record))
                db.execute("INSERT INTO free_slots VALUES (1, ?)", (slot,))
                db.execute("INSERT INTO free_records VALUES (1, ?, ?)", (len(record), slot + 1))
                db.execute("INSERT INTO erasures VALUES (1, ?, ?)", (epoch, row_id))
            else:
                values = (slot, row_id, epoch, slot + 1, b"", int(slot == withheld))
                db.execute("INSERT INTO live_rows VALUES (1, ?, ?, ?, ?, ?, ?)", values)
            db.execute("INSERT INTO vectors_1 VALUES (?, ?)", (slot, sealed))
            db.execute("INSERT INTO records_1 VALUES (?, ?)", (slot + 1, record))
        facts = SealingKey(derive_key(STORE_KEY, b"unseen/store/facts"))
        body = facts.seal(b"what was agreed", context("fact", 1, "policy", uid, 1))
        db.execute("INSERT INTO facts VALUES (1, 'policy', ?, 0, ?)", (uid, body))
        db.pragma("application_id", schema.APPLICATION_ID)
        db.pragma("user_version", 2)
    db.close()
    return key
