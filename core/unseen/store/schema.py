"""The SQLite form of a store, version 3. docs/formats.md explains each table; a tripwire test holds it still.

Small facts share tables. Sealed bytes lie in two tables per collection whose cells never move: SQLite's secure_delete
zeroes what it frees, but leaves stale copies behind when it moves cells between pages (docs/formats.md). So rows are
appended at the end, erased by overwriting in place with zeros of the same length, and their room is given to later
rows of exactly that length. Dropping the two tables frees whole pages, which are zeroed.
"""

from __future__ import annotations

APPLICATION_ID = 0x554E5345
"""'UNSE', in SQLite's header: tells a store from another SQLite file."""
SCHEMA_VERSION = 3
MIGRATED_VERSIONS = (1, 2)
"""Older ones that are brought to this one when they are opened: migrations.py."""

SHARED_TABLES = """
CREATE TABLE store (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    uid BLOB NOT NULL,
    ring_state BLOB NOT NULL
);
CREATE TABLE serial_runs (
    first INTEGER PRIMARY KEY
);
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
    tree_id BLOB NOT NULL,
    live_rows INTEGER NOT NULL,
    slots INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    UNIQUE (tenant, name)
);
CREATE TABLE live_rows (
    collection INTEGER NOT NULL REFERENCES collections (number) ON DELETE CASCADE,
    slot INTEGER NOT NULL,
    row_id BLOB NOT NULL,
    epoch INTEGER NOT NULL,
    record INTEGER NOT NULL,
    consent BLOB NOT NULL,
    withheld INTEGER NOT NULL,
    serial INTEGER NOT NULL,
    PRIMARY KEY (collection, slot)
) WITHOUT ROWID;
CREATE UNIQUE INDEX live_rows_by_id ON live_rows (collection, row_id);
CREATE INDEX live_rows_by_epoch ON live_rows (collection, epoch, slot);
CREATE INDEX live_rows_by_consent ON live_rows (collection, consent) WHERE length(consent) > 0;
CREATE TABLE extents (
    collection INTEGER NOT NULL REFERENCES collections (number) ON DELETE CASCADE,
    extent INTEGER NOT NULL,
    compartment INTEGER NOT NULL,
    PRIMARY KEY (collection, extent)
) WITHOUT ROWID;
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
    serial INTEGER,
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
CREATE TABLE facts (
    sequence INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    key BLOB NOT NULL,
    forgotten INTEGER NOT NULL,
    sealed BLOB NOT NULL
);
CREATE INDEX facts_by_key ON facts (kind, key, sequence);
"""


def vectors_table(collection: int) -> str:
    """Name of the table of a collection's sealed vectors: a number, nothing a caller chose."""
    return f"vectors_{collection:d}"


def records_table(collection: int) -> str:
    """Name of the table of a collection's sealed records."""
    return f"records_{collection:d}"


def tables_for(collection: int) -> str:
    """The statements that make a collection's own tables."""
    return f"""
CREATE TABLE {vectors_table(collection)} (slot INTEGER PRIMARY KEY, sealed BLOB NOT NULL);
CREATE TABLE {records_table(collection)} (record INTEGER PRIMARY KEY, sealed BLOB NOT NULL);
"""
