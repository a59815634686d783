"""One SQLite file as the store uses it: opened when it is ours and whole, changed in transactions, dead when it fails.

The server holds it. One connection in exclusive locking mode: a second process is refused, there is no shared-memory
file, and a checkpoint can always empty the write-ahead log. Every failure of the disk makes the file dead: after a
failed write or fsync nothing that it says can be acknowledged (fsync is not retried: the kernel may have dropped the
pages), so each later call raises StoreFailed until a restart reads what is really there.

A new file appears under its name whole or not at all, so one without content is one that lost it: it is refused.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import apsw

from unseen.errors import InvalidConfiguration, StoreFailed
from unseen.store import migrations, sqlite_log
from unseen.store.checked_pages import CHECK_BYTES, PAGE_BYTES, CheckedFiles, PageAltered
from unseen.store.database import Database, Steps, Transaction
from unseen.store.schema import APPLICATION_ID, MIGRATED_VERSIONS, SCHEMA_VERSION
from unseen.store.sqlite_making import connect, copy_file, damaged, make_file
from unseen.store.sqlite_transaction import SqliteTransaction

CHECKED_SINCE = 3
"""The first schema version whose pages carry checksums."""


class SqliteFile(Database):
    """A connection that is ours alone."""

    def __init__(self, path: Path) -> None:
        """Open what is there; InvalidConfiguration when it is not ours or in use, IntegrityError when it is damaged."""
        # As SQLite names it where it tells of damage; and with files of our own it opens nothing behind a link.
        self._path = path.resolve()
        self._lock = threading.RLock()
        self._failed = False
        self._is_open = True
        self._tell: Callable[[], None] | None = None
        self._files = CheckedFiles(f"unseen-{id(self):x}")
        self._connection: apsw.Connection | None = None
        try:
            if self._path.exists():
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
            self._connection = connect(self._path, self._files.name)
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
        ends_within_a_page = self.version >= CHECKED_SINCE and self._path.stat().st_size % PAGE_BYTES
        if ends_within_a_page and not sqlite_log.has_content(self._path):  # with one, a crash: the log has that page
            raise damaged(self._path, "it ends within a page")

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

    def make(self, store_uid: bytes, ring_state: bytes, fill: Callable[[Transaction], None] = lambda _: None) -> None:
        with self._failures():
            make_file(self._path, self._files.name, store_uid, ring_state, fill)
            self._connection = connect(self._path, self._files.name)
            self._make_ready()

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

    @property
    def size_bytes(self) -> int:
        with self._lock, self._failures():
            return int(str(self._db.pragma("page_count"))) * PAGE_BYTES

    def snapshot(self, path: Path, go_on: Callable[[], None] = lambda: None) -> None:
        with self._lock, self._failures():
            source = self._db
        copy_file(source, path, self._files.name, self._lock, self._copying, go_on)

    @contextmanager
    def _copying(self) -> Iterator[None]:
        """While the connection serves a copy. What fails here may be the copy's disk, and is told by its writer."""
        with self._lock:
            if self._failed or not self._is_open:
                raise StoreFailed("the store has stopped while it was copied; restart the server")
            try:
                yield
            except PageAltered as error:
                if error.file not in (str(self._path), str(sqlite_log.path_of(self._path))):
                    raise
                self._die()
                raise StoreFailed(f"{damaged(self._path, str(error))}") from error

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
