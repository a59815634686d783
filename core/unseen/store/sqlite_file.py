"""One SQLite file as the store uses it: opened only when it is ours, changed in whole transactions, dead when it fails.

The server holds it. One connection in exclusive locking mode: a second process is refused, there is no shared-memory
file, and a checkpoint can always empty the write-ahead log. Every failure of the disk makes the file dead: after a
failed write or fsync nothing that it says can be acknowledged (fsync is not retried: the kernel may have dropped the
pages), so each later call raises StoreFailed until a restart reads what is really there.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import apsw

from unseen.errors import InvalidConfiguration, StoreFailed
from unseen.store.database import Database, Transaction
from unseen.store.schema import APPLICATION_ID, MIGRATED_VERSIONS, SCHEMA_VERSION, SHARED_TABLES
from unseen.store.sqlite_transaction import SqliteTransaction

PAGE_BYTES = 16384
"""Fifteen sealed vectors of dimension 512 fill such a page to 99 %; SQLite's default of 4096 wastes a fifth."""
CACHE_KIB = 65536
"""Holds the index pages of a collection of a million rows, so that enrolling reads little."""


class SqliteFile(Database):
    """A connection that is ours alone."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._failed = False
        self._is_open = True
        self._blank = False
        self._version = SCHEMA_VERSION
        self._was_there = path.exists()
        try:
            self._db = apsw.Connection(str(path))
            self._keep_log_on_close(_has_log(path))
            self._db.pragma("locking_mode", "EXCLUSIVE")
            self._blank = self._never_committed()
            if not self._blank:
                self._require_ours()
        except apsw.NotADBError:
            self._db.close()
            raise InvalidConfiguration(
                f"{path} is not an Unseen store (no SQLite file); give another --data folder"
            ) from None
        except apsw.BusyError:
            self._db.close()
            raise InvalidConfiguration(f"{path} is in use by another server; stop it or give another --data") from None
        except apsw.Error as error:
            raise StoreFailed(f"{path} cannot be opened: {type(error).__name__}") from error
        except InvalidConfiguration:
            self._db.close()
            raise

    @property
    def is_blank(self) -> bool:
        return self._blank

    @property
    def version(self) -> int:
        return self._version

    def _never_committed(self) -> bool:
        tables = self._db.execute("SELECT count(*) FROM sqlite_schema").get
        return not tables and not self._db.pragma("application_id") and not self._db.pragma("user_version")

    def _require_ours(self) -> None:
        application_id, version = self._db.pragma("application_id"), self._db.pragma("user_version")
        if application_id != APPLICATION_ID:
            raise InvalidConfiguration(
                f"{self._path} is not an Unseen store (its application id is {application_id:#x}); give another --data"
            )
        if version != SCHEMA_VERSION and version not in MIGRATED_VERSIONS:
            raise InvalidConfiguration(
                f"{self._path} has schema version {version}, this release reads {SCHEMA_VERSION}; "
                "run the release that wrote it or a newer one"
            )
        self._version = int(str(version))

    def accept(self) -> None:
        with self._failures():
            if self._blank:
                self._db.pragma("page_size", PAGE_BYTES)
            mode = self._db.pragma("journal_mode", "WAL")
            self._db.pragma("synchronous", "FULL")
            self._db.pragma("secure_delete", True)
            self._db.pragma("foreign_keys", True)
            self._db.pragma("temp_store", "MEMORY")
            self._db.pragma("cache_size", -CACHE_KIB)
            self._keep_log_on_close(False)
            self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            if mode != "wal":
                raise StoreFailed(f"{self._path} got journal mode {mode}, write-ahead logging is needed")

    def make(self, store_uid: bytes, ring_state: bytes) -> None:
        with self.changing() as tx:
            tx.run(SHARED_TABLES)
            tx.run("INSERT INTO store VALUES (1, ?, ?)", (store_uid, ring_state))
            self._db.pragma("application_id", APPLICATION_ID)
            self._db.pragma("user_version", SCHEMA_VERSION)
        self.scrub()
        with self._failures():  # the file's own name must be durable too
            folder = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    @contextmanager
    def changing(self) -> Iterator[Transaction]:
        with self._lock, self._failures():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield SqliteTransaction(self._db)
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        with self._lock, self._failures():
            yield SqliteTransaction(self._db)

    def scrub(self, tables: Sequence[str] = ()) -> None:
        # What was overwritten is overwritten in the file once the log is moved into it, and cut to nothing.
        with self._lock, self._failures():
            self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)

    def abandon(self) -> None:
        self.close()
        if self._blank and not self._was_there and self._path.exists() and not self._path.stat().st_size:
            self._path.unlink()

    def close(self) -> None:
        with self._lock:
            if not self._is_open:
                return
            self._is_open = False
            try:
                self._db.close()
            except apsw.Error as error:
                if not self._failed:  # else it was said already
                    raise StoreFailed(
                        "the disk did not take the last of the log; it is read at the next start"
                    ) from error

    def _keep_log_on_close(self, keep: bool) -> None:
        self._db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, int(keep))

    @contextmanager
    def _failures(self) -> Iterator[None]:
        if self._failed or not self._is_open:
            raise StoreFailed("the store has stopped after a failed write or was closed; restart the server")
        try:
            yield
        except StoreFailed:  # the key ring's disk refused
            self._failed = True
            raise
        except (apsw.Error, OSError, MemoryError) as error:
            self._failed = True
            raise StoreFailed(
                f"the disk did not take a change ({type(error).__name__}); nothing was acknowledged, "
                "check space and hardware, then restart the server"
            ) from error


def _has_log(path: Path) -> bool:
    """Whether a crash left changes in the write-ahead log: until the master key is proven they must stay there."""
    log = path.with_name(f"{path.name}-wal")
    return log.exists() and log.stat().st_size > 0
