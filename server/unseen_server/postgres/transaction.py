"""A transaction on PostgreSQL: see ``unseen.store.database``. Lives as long as its block."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import count

from unseen.store.database import Row, Transaction, Values
from unseen_server.postgres.link import Link
from unseen_server.postgres.schema import tables_for

ROWS_AT_ONCE = 256
"""Of a stream: a quarter of a MiB of records in one trip to the database."""


class PostgresTransaction(Transaction):
    """Statements on a connection that is in a transaction."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def fetch(self, statement: str, values: Values = ()) -> list[Row]:
        return self._link.call(lambda connection: connection.fetch(numbered(statement), *values))

    def fetch_each(self, statement: str, many: Sequence[Values]) -> list[Row]:
        return self._link.call(lambda connection: connection.fetchmany(numbered(statement), many)) if many else []

    @contextmanager
    def stream(self, statement: str, values: Values = ()) -> Iterator[Iterator[Row]]:
        cursor = self._link.call(lambda connection: connection.cursor(numbered(statement), *values))

        def rows() -> Iterator[Row]:
            while some := self._link.call(lambda _: cursor.fetch(ROWS_AT_ONCE)):
                yield from some

        yield rows()

    def run(self, statement: str, values: Values = ()) -> None:
        self._link.call(lambda connection: connection.execute(numbered(statement), *values))

    def run_each(self, statement: str, many: Iterable[Values]) -> None:
        rows = list(many)  # made here: sealing is not for the connection's thread
        if rows:
            self._link.call(lambda connection: connection.executemany(numbered(statement), rows))

    def make_cells(self, collection: int) -> None:
        self._link.call(lambda connection: connection.execute(tables_for(collection)))

    def zero(self, table: str, key: str, numbers: Sequence[int]) -> list[int]:
        # A row version full of zeros; the older one goes when the table is vacuumed (``PostgresDatabase.scrub``).
        found = self.fetch_each(
            f"UPDATE {table} SET sealed = decode(repeat('00', length(sealed)), 'hex') WHERE {key} = ?"  # noqa: S608
            " RETURNING length(sealed)",
            [(number,) for number in numbers],
        )
        return [size for (size,) in found]

    def overwrite(self, table: str, key: str, cells: Iterable[tuple[int, bytes]]) -> None:
        self.run_each(
            f"UPDATE {table} SET sealed = ? WHERE {key} = ?",  # noqa: S608 - names of our own, see schema.py
            ((sealed, number) for number, sealed in cells),
        )

    def continue_numbers(self) -> None:
        self.run(
            "SELECT setval(pg_get_serial_sequence('collections', 'number'), coalesce(max(number), 1),"
            " max(number) IS NOT NULL) FROM collections"
        )

    def note_version(self, version: int) -> None:
        self.run("UPDATE store SET schema_version = ?", (version,))


@cache
def numbered(statement: str) -> str:
    """A statement with its question marks as PostgreSQL wants them: $1, $2 and so on."""
    head, *rest = statement.split("?")
    return head + "".join(f"${number}{part}" for number, part in zip(count(1), rest, strict=False))
