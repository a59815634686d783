"""The file under a mirror: one SQLite database, and in memory beside it the epoch of every slot.

Ranking a million scores touches no disk. Processes may share a file: each looks at the file's version before it trusts
its memory.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from unseen.errors import StoreFailed
from unseen_client import erased_copies
from unseen_client.home import private_folder, refuse_others

BUSY_TIMEOUT_S = 30.0
"""Another process of this device may be writing a large synchronisation."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS state (one INTEGER PRIMARY KEY CHECK (one = 1), epoch INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS row (
    slot INTEGER PRIMARY KEY, row_id BLOB NOT NULL UNIQUE, epoch INTEGER NOT NULL, sealed_record BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS row_by_epoch ON row (epoch, slot);
INSERT OR IGNORE INTO state VALUES (1, 0);
"""


class MirrorFile:
    """Transactions on the file that keep memory in step with it. Safe to share between threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._slot_epochs: npt.NDArray[np.int64] = np.zeros(0, np.int64)
        self._lock = threading.Lock()
        private_folder(path.parent)
        with _store_failures(path):
            self._database = self._open()
            self._load_in_one()

    def close(self) -> None:
        with self._lock:
            self._database.close()

    def _open(self) -> sqlite3.Connection:
        os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
        refuse_others(self._path, "600")
        # isolation_level None: transactions are written out below. The lock, not sqlite3, keeps threads apart.
        database = sqlite3.connect(self._path, BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        database.execute("PRAGMA journal_mode = DELETE")
        database.execute("PRAGMA secure_delete = ON")
        database.executescript(_SCHEMA + erased_copies.SCHEMA)
        return database

    def _load_in_one(self) -> None:
        """The same where no transaction is open: no other process writes between the statements."""
        self._database.execute("BEGIN")
        try:
            self._load()
        finally:
            self._database.execute("COMMIT")

    def _load(self) -> None:
        """Read the epochs of all slots, inside a transaction: (largest slot + 1,), 0 for a slot without a live row."""
        version = self._file_version()
        columns = self._database.execute("SELECT slot, epoch FROM row").fetchall()
        table = np.array(columns, dtype=np.int64).reshape(-1, 2)
        self._slot_epochs = np.zeros(int(table[:, 0].max()) + 1 if len(table) else 0, dtype=np.int64)
        self._slot_epochs[table[:, 0]] = table[:, 1]
        self._epoch = self._stored_epoch()
        self._version = version

    def _stored_epoch(self) -> int:
        return int(self._database.execute("SELECT epoch FROM state").fetchone()[0])

    def _file_version(self) -> int:
        return int(self._database.execute("PRAGMA data_version").fetchone()[0])

    def _refresh(self) -> None:
        """Read again what another process wrote."""
        if self._file_version() != self._version:
            self._load()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """All of what is done inside, on disk, or nothing; after a failure memory is read from the file again."""
        with self._lock, _store_failures(self._path):
            self._database.execute("BEGIN IMMEDIATE")
            try:
                self._refresh()
                yield
                self._database.execute("COMMIT")
            except BaseException:
                self._database.execute("ROLLBACK")
                self._load_in_one()
                raise

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        """One consistent view of file and memory."""
        with self._lock, _store_failures(self._path):
            self._database.execute("BEGIN")
            try:
                self._refresh()
                yield
            finally:
                self._database.execute("COMMIT")


@contextlib.contextmanager
def _store_failures(path: Path) -> Iterator[None]:
    """Translate what SQLite raises."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise StoreFailed(
            f"the mirror {path} cannot be used ({error}); delete the file, it is rebuilt from the server"
        ) from error
