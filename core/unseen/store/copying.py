"""Everything of a store, from one database into another, row by row. Sealed bytes stay sealed: no key is needed.

Each side is in a transaction of its caller. The target was just made: it has the shared tables and nothing in them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from unseen.store.database import Row, Transaction
from unseen.store.schema import records_table, vectors_table

ROWS_AT_ONCE = 1000
"""A megabyte of vectors."""
COLUMNS = {
    "serial_runs": "first",
    "collections": "number, uid, tenant, name, dimension, parameter_id, model_id, packing_factor, packed_at_slots,"
    " tree_id, live_rows, slots, epoch",
    "live_rows": "collection, slot, row_id, epoch, record, consent, withheld, serial",
    "extents": "collection, extent, compartment",
    "free_slots": "collection, slot",
    "free_records": "collection, size_bytes, record",
    "erasures": "collection, epoch, row_id, serial",
    "requests": "request_id, kind, digest, collection_uid, epoch, row_count",
    "facts": "sequence, kind, key, forgotten, sealed",
}
"""Of every shared table but ``store``, which the target was made with."""


def copy(source: Transaction, target: Transaction, go_on: Callable[[], None] = lambda: None) -> None:
    """Copy every row of every table; ``go_on`` may raise before each part."""
    for table, columns in COLUMNS.items():
        _copy_table(source, target, table, columns, go_on)
    for (number,) in source.fetch("SELECT number FROM collections ORDER BY number"):
        target.make_cells(number)
        _copy_table(source, target, vectors_table(number), "slot, sealed", go_on)
        _copy_table(source, target, records_table(number), "record, sealed", go_on)
    target.continue_numbers()


def _copy_table(source: Transaction, target: Transaction, table: str, columns: str, go_on: Callable[[], None]) -> None:
    places = ", ".join("?" * len(columns.split(",")))
    with source.stream(f"SELECT {columns} FROM {table}") as found:  # noqa: S608 - names of our own
        while some := list(_next(found)):
            go_on()
            target.run_each(f"INSERT INTO {table} ({columns}) VALUES ({places})", some)  # noqa: S608


def _next(found: Iterator[Row]) -> Iterator[Row]:
    return islice(found, ROWS_AT_ONCE)
