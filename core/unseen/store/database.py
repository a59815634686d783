"""What a store needs of what lies beneath it: whole transactions over tables, and nothing older left behind.

The server holds it. Statements are SQL that SQLite and PostgreSQL read alike; a question mark stands for a value.
Everything that the two do differently is a method here: see ``sqlite_file.py`` and ``postgres_link.py``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from unseen.keys.provider import KeyProvider
from unseen.keys.ring import KeyRing

Values = Sequence[bytes | int | str | None]
Row = tuple[Any, ...]


class Transaction(ABC):
    """Statements inside one transaction: they see one state, and are carried out together or not at all."""

    @abstractmethod
    def fetch(self, statement: str, values: Values = ()) -> list[Row]:
        """Every row that a query finds."""

    @abstractmethod
    def fetch_each(self, statement: str, many: Sequence[Values]) -> list[Row]:
        """The rows of one query asked again and again, one answer behind the other."""

    @abstractmethod
    def stream(self, statement: str, values: Values = ()) -> AbstractContextManager[Iterator[Row]]:
        """The rows of a query a few at a time, while the block lasts; no other statement in it."""

    @abstractmethod
    def run(self, statement: str, values: Values = ()) -> None:
        """Carry a statement out."""

    @abstractmethod
    def run_each(self, statement: str, many: Iterable[Values]) -> None:
        """Carry a statement out again and again."""

    @abstractmethod
    def make_cells(self, collection: int) -> None:
        """Make the tables of a new collection's sealed bytes (``schema.py``)."""

    @abstractmethod
    def zero(self, table: str, key: str, numbers: Sequence[int]) -> list[int]:
        """Overwrite sealed cells with zeros of the same length; returns their lengths in bytes."""

    @abstractmethod
    def continue_numbers(self) -> None:
        """Have new collections take numbers above those that were written by hand."""

    @abstractmethod
    def note_version(self, version: int) -> None:
        """Write down that the schema is of this version now."""

    @abstractmethod
    def overwrite(self, table: str, key: str, cells: Iterable[tuple[int, bytes]]) -> None:
        """Write sealed cells, by number, over others of the same length."""


Steps = Mapping[int, Callable[[Transaction, KeyRing, KeyProvider], None]]
"""By the version that a step starts from; it ends at the next one."""


class Database(ABC):
    """Where a store keeps its tables. Safe to call from several threads: one at a time gets in.

    Every failure of what lies beneath makes it dead: each later call raises StoreFailed until a restart reads what is
    really there.
    """

    @property
    @abstractmethod
    def is_blank(self) -> bool:
        """Whether nothing was ever committed: nothing there yet, or its making was interrupted."""

    @property
    @abstractmethod
    def version(self) -> int:
        """Of its schema: today's, or an older one that is brought up to it (``migrations.py``)."""

    @property
    @abstractmethod
    def steps(self) -> Steps:
        """What brings older versions to today's."""

    @abstractmethod
    def accept(self) -> None:
        """Make it ready for changes, after everything that could refuse it has been checked; again once it migrated."""

    @abstractmethod
    def make(self, store_uid: bytes, ring_state: bytes, fill: Callable[[Transaction], None] = lambda _: None) -> None:
        """Make a blank one a store, in one transaction, durably; ``fill`` puts in what it begins with."""

    @abstractmethod
    def changing(self) -> AbstractContextManager[Transaction]:
        """One transaction: committed and on disk when the block ends, undone when it raises."""

    @abstractmethod
    def reading(self) -> AbstractContextManager[Transaction]:
        """Reads that see one state; fetch everything before the block ends."""

    @abstractmethod
    def scrub(self, tables: Sequence[str] = ()) -> None:
        """Leave nothing of what was overwritten or dropped, in these tables and the log, as far as it can be done."""

    @property
    @abstractmethod
    def size_bytes(self) -> int:
        """About how many bytes a snapshot takes."""

    @abstractmethod
    def snapshot(self, path: Path, go_on: Callable[[], None] = lambda: None) -> None:
        """Write everything as it is at one moment to a new SQLite file, on disk when this returns.

        Changes go on meanwhile. LimitExceeded when there is no room for the copy; that is no failure of the database.
        Nor is what ``go_on`` raises, which is called before each part: the copy ends there.
        """

    @abstractmethod
    def when_failed(self, tell: Callable[[], None]) -> None:
        """Call ``tell``, from any thread, when it is dead: also when that shows while nobody asks for anything."""

    @abstractmethod
    def close(self) -> None:
        """Let go; a second call does nothing."""
