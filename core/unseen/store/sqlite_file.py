"""One SQLite file as the store uses it: opened when it is ours and whole, changed in transactions, dead when it fails.

The server holds it. One connection in exclusive locking mode: a second process is refused, there is no shared-memory
file, and a checkpoint can always empty the write-ahead log. Every failure of the disk makes the file dead: after a
failed write or fsync nothing that it says can be acknowledged (fsync is not retried: the kernel may have dropped the
pages), so each later call raises StoreFailed until a restart reads what is really there.

A new file appears under its name whole or not at all, so one without content is one that lost it: it is refused.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import apsw

from unseen.errors import IntegrityError, InvalidConfiguration, StoreFailed
from unseen.store import migrations, sqlite_log
from unseen.store.checked_pages import CHECK_BYTES, PAGE_BYTES, CheckedFiles, PageAltered
from unseen.store.database import Database, Steps, Transaction
from unseen.store.schema import APPLICATION_ID, MIGRATED_VERSIONS, SCHEMA_VERSION, SHARED_TABLES
from unseen.store.sqlite_transaction import SqliteTransaction

CACHE_KIB = 65536
"""Holds the index pages of a collection of a million rows, so that enrolling reads little."""
CHECKED_SINCE = 3
"""The first schema version whose pages carry checksums."""
UNFINISHED = ".unfinished"
"""Ends the name of a file that is being made."""


class SqliteFile(Database):
    """A connection that is ours alone."""

    def __init__(self, path: Path) -> None:
        """Open what is there; InvalidConfiguration when it is not ours or in use, IntegrityError when it is damaged."""
        self._path = path
        self._lock = threading.RLock()
        self._failed = False
        self._is_open = True
        self._tell: Callable[[], None] | None = None
        self._files = CheckedFiles(f"unseen-{id(self):x}")
        self._connection: apsw.Connection | None = None
        try:
            if path.exists():
                self._open_whole()
        except BaseException:
            self.close()
            raise

    @property
    def is_blank(self) -> bool:
        return self._connection is None

    @property
    def version(self) -> int:
        return SCHEMA_VERSION if self.is_blank else int(str(self._db.pragma("user_version")))

    @property
    def steps(self) -> Steps:
        return migrations.STEPS

    @property
    def _db(self) -> apsw.Connection:
        if self._connection is None:
            raise StoreFailed(f"{self._path} was not made yet")
        return self._connection

    # Opening

    def _open_whole(self) -> None:
        try:
            self._require_content()
            self._connection = self._connect(self._path)
            # What a crash left in the log stays there until the master key is proven.
            self._connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, int(sqlite_log.has_content(self._path)))
            self._require_ours()
            sqlite_log.require_whole(self._path)
        except apsw.NotADBError:
            raise InvalidConfiguration(
                f"{self._path} is not an Unseen store (no SQLite file); give another --data folder"
            ) from None
        except apsw.BusyError:
            raise InvalidConfiguration(
                f"{self._path} is in use by another server; stop it or give another --data"
            ) from None
        except (PageAltered, apsw.CorruptError) as error:
            raise damaged(self._path, str(error)) from error
        except (apsw.Error, OSError) as error:
            raise StoreFailed(f"{self._path} cannot be opened: {type(error).__name__}") from error

    def _require_content(self) -> None:
        if not self._path.stat().st_size:
            raise damaged(self._path, "it is empty")

    def _connect(self, path: Path) -> apsw.Connection:
        db = apsw.Connection(str(path), vfs=self._files.name)
        db.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
        db.pragma("locking_mode", "EXCLUSIVE")
        db.pragma("synchronous", "FULL")
        db.pragma("secure_delete", True)
        db.pragma("temp_store", "MEMORY")
        db.pragma("cache_size", -CACHE_KIB)
        return db

    def _require_ours(self) -> None:
        application_id, version = self._db.pragma("application_id"), self._db.pragma("user_version")
        if application_id != APPLICATION_ID:
            raise InvalidConfiguration(
                f"{self._path} is not an Unseen store (its application id is {application_id:#x}); give another --data"
            )
        if version != SCHEMA_VERSION and version not in MIGRATED_VERSIONS:
            raise InvalidConfiguration(
                f"{self._path} has schema version {version}, this release reads {SCHEMA_VERSION} and older; "
                "run the release that wrote it or a newer one"
            )
        if self.version >= CHECKED_SINCE and self._db.reserve_bytes() != CHECK_BYTES:
            raise damaged(self._path, "its pages carry no checksums")

    # Making, migrating

    def accept(self) -> None:
        if self.is_blank:
            return
        with self._failures():
            if self._db.reserve_bytes() != CHECK_BYTES:
                self._write_checksums()
            self._make_ready()

    def _write_checksums(self) -> None:
        """Write the file anew with room for a checksum in every page; in one transaction of SQLite's own."""
        self._db.reserve_bytes(reserve=CHECK_BYTES)
        self._db.pragma("temp_store", "FILE")  # of the size of the store, and as sealed as it is
        self._db.execute("VACUUM")
        self._db.pragma("temp_store", "MEMORY")

    def _make_ready(self) -> None:
        # Steps of a migration move tables that others refer to.
        self._db.pragma("foreign_keys", self.version == SCHEMA_VERSION)
        self._db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0)
        mode = self._db.pragma("journal_mode", "WAL")
        if mode != "wal":
            raise StoreFailed(f"{self._path} got journal mode {mode}, write-ahead logging is needed")
        self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)

    def make(self, store_uid: bytes, ring_state: bytes) -> None:
        with self._failures():
            unfinished = self._path.with_name(f"{self._path.name}{UNFINISHED}")
            unfinished.unlink(missing_ok=True)  # left by a start that was interrupted
            with suppress(FileNotFoundError):
                unfinished.with_name(f"{unfinished.name}-journal").unlink()
            self._write_new(unfinished, store_uid, ring_state)
            self._give_its_name(unfinished)
            self._connection = self._connect(self._path)
            self._make_ready()

    def _write_new(self, unfinished: Path, store_uid: bytes, ring_state: bytes) -> None:
        db = self._connect(unfinished)
        try:
            db.pragma("page_size", PAGE_BYTES)
            db.reserve_bytes(reserve=CHECK_BYTES)
            with db:
                db.execute(SHARED_TABLES)
                db.execute("INSERT INTO store VALUES (1, ?, ?)", (store_uid, ring_state))
                db.pragma("application_id", APPLICATION_ID)
                db.pragma("user_version", SCHEMA_VERSION)
            db.pragma("journal_mode", "WAL")
        finally:
            db.close()

    def _give_its_name(self, unfinished: Path) -> None:
        try:
            os.link(unfinished, self._path)  # unlike a renaming it never replaces a store
        except FileExistsError:
            raise InvalidConfiguration(
                f"{self._path} was made by another server just now; stop it or give another --data"
            ) from None
        finally:
            unfinished.unlink()
        sync_folder(self._path.parent)

    # Changing, reading

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

    def when_failed(self, tell: Callable[[], None]) -> None:
        self._tell = tell

    def close(self) -> None:
        with self._lock:
            if not self._is_open:
                return
            self._is_open = False
            try:
                if self._connection is not None:
                    self._connection.close()
                self._files.unregister()
            except apsw.Error as error:
                if not self._failed:  # else it was said already
                    raise StoreFailed(
                        "the disk did not take the last of the log; it is read at the next start"
                    ) from error

    @contextmanager
    def _failures(self) -> Iterator[None]:
        if self._failed or not self._is_open:
            raise StoreFailed("the store has stopped after a failed write or was closed; restart the server")
        try:
            yield
        except StoreFailed:  # the key ring's disk refused
            self._die()
            raise
        except PageAltered as error:
            self._die()
            raise StoreFailed(f"{damaged(self._path, str(error))}") from error
        except (apsw.Error, OSError, MemoryError) as error:
            self._die()
            raise StoreFailed(
                f"the disk did not take a change ({type(error).__name__}); nothing was acknowledged, "
                "check space and hardware, then restart the server"
            ) from error

    def _die(self) -> None:
        self._failed = True
        if self._tell is not None:
            self._tell()


def damaged(path: Path, what: str) -> IntegrityError:
    """The refusal of a file that is not as it was written."""
    return IntegrityError(
        f"{path} is damaged ({what}): nothing was changed; `unseen doctor` says what else is, restore a backup"
    )


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
