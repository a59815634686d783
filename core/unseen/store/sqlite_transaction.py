"""A transaction on SQLite: see ``database.py``. Lives as long as its block; the file holds the connection."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import apsw

from unseen.store.database import Row, Transaction, Values
from unseen.store.schema import tables_for


class SqliteTransaction(Transaction):
    """Statements on a connection that is in a transaction, or only reads."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db

    def fetch(self, statement: str, values: Values = ()) -> list[Row]:
        return self._db.execute(statement, values).fetchall()

    def fetch_each(self, statement: str, many: Sequence[Values]) -> list[Row]:
        return self._db.executemany(statement, many).fetchall()

    @contextmanager
    def stream(self, statement: str, values: Values = ()) -> Iterator[Iterator[Row]]:
        cursor = self._db.execute(statement, values)
        try:
            yield cursor
        finally:
            cursor.close(True)  # an open one would keep the log from being emptied

    def run(self, statement: str, values: Values = ()) -> None:
        self._db.execute(statement, values)

    def run_each(self, statement: str, many: Iterable[Values]) -> None:
        self._db.executemany(statement, many)

    def make_cells(self, collection: int) -> None:
        self._db.execute(tables_for(collection))

    def zero(self, table: str, key: str, numbers: Sequence[int]) -> list[int]:
        # Written through a handle on the cell: an UPDATE may move it, and leave what it held behind.
        sizes = []
        for number in numbers:
            with self._db.blob_open("main", table, "sealed", number, True) as cell:
                sizes.append(cell.length())
                cell.write(bytes(cell.length()))
        return sizes

    def continue_numbers(self) -> None:
        """Nothing: AUTOINCREMENT sees every number that was ever written."""

    def note_version(self, version: int) -> None:
        self._db.pragma("user_version", version)

    def overwrite(self, table: str, key: str, cells: Iterable[tuple[int, bytes]]) -> None:
        for number, sealed in cells:
            with self._db.blob_open("main", table, "sealed", number, True) as cell:
                cell.write(sealed)
