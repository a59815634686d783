"""How a store's SQLite file comes to be: made new, or copied from one in use. Both are on disk when they return.

A new file appears under its name whole or not at all: it is written under another name, then linked.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import apsw

from unseen.errors import IntegrityError, InvalidConfiguration, LimitExceeded
from unseen.store.checked_pages import CHECK_BYTES, PAGE_BYTES
from unseen.store.database import Transaction
from unseen.store.schema import APPLICATION_ID, SCHEMA_VERSION, SHARED_TABLES
from unseen.store.sqlite_transaction import SqliteTransaction

CACHE_KIB = 65536
"""Holds the index pages of a collection of a million rows, so that enrolling reads little."""
UNFINISHED = ".unfinished"
"""Ends the name of a file that is being made."""
PAGES_AT_ONCE = 64
"""Of a copy: one MiB, so that a change waits a millisecond."""


def connect(path: Path, files: str) -> apsw.Connection:
    """A connection as a store uses it, through a layer of files (``checked_pages``)."""
    db = apsw.Connection(str(path), vfs=files)
    db.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
    db.pragma("locking_mode", "EXCLUSIVE")
    db.pragma("synchronous", "FULL")
    db.pragma("secure_delete", True)
    db.pragma("temp_store", "MEMORY")
    db.pragma("cache_size", -CACHE_KIB)
    return db


def make_file(path: Path, files: str, store_uid: bytes, ring_state: bytes, fill: Callable[[Transaction], None]) -> None:
    """Make a store's file; InvalidConfiguration when there is one by now."""
    unfinished = path.with_name(f"{path.name}{UNFINISHED}")
    unfinished.unlink(missing_ok=True)  # left by a start that was interrupted
    with suppress(FileNotFoundError):
        unfinished.with_name(f"{unfinished.name}-journal").unlink()
    _write_new(unfinished, files, store_uid, ring_state, fill)
    _give_its_name(unfinished, path)


def _write_new(
    unfinished: Path, files: str, store_uid: bytes, ring_state: bytes, fill: Callable[[Transaction], None]
) -> None:
    db = connect(unfinished, files)
    try:
        db.pragma("page_size", PAGE_BYTES)
        db.reserve_bytes(reserve=CHECK_BYTES)
        with db:
            db.execute(SHARED_TABLES)
            db.execute("INSERT INTO store VALUES (1, ?, ?)", (store_uid, ring_state))
            fill(SqliteTransaction(db))
            db.pragma("application_id", APPLICATION_ID)
            db.pragma("user_version", SCHEMA_VERSION)
        db.pragma("journal_mode", "WAL")
    finally:
        db.close()


def _give_its_name(unfinished: Path, path: Path) -> None:
    try:
        os.link(unfinished, path)  # unlike a renaming it never replaces a store
    except FileExistsError:
        raise InvalidConfiguration(
            f"{path} was made by another server just now; stop it or give another --data"
        ) from None
    finally:
        unfinished.unlink()
    sync(path.parent)


def copy_file(
    source: apsw.Connection,
    path: Path,
    files: str,
    lock: AbstractContextManager[object],
    reading: Callable[[], AbstractContextManager[None]],
    go_on: Callable[[], None],
) -> None:
    """Copy a database that is in use, as it is at one moment; each part is read within ``reading``, with the lock.

    What changes in parts that were copied is copied again along with the change. LimitExceeded when the copy cannot be
    written; what ``reading`` makes of a source that cannot be read passes, and what ``go_on`` raises before a part.
    """
    try:
        copy = apsw.Connection(str(path.resolve()), vfs=files)
        try:
            copy.pragma("journal_mode", "OFF")  # nobody reads the copy before it is whole
            copy.pragma("synchronous", "OFF")
            _copy_pages(source, copy, lock, reading, go_on)
        except BaseException:
            with suppress(apsw.Error):  # says again what was said
                copy.close()
            raise
        copy.close()
        sync(path)
    except (apsw.Error, OSError) as error:
        raise LimitExceeded(f"the copy of the store cannot be written ({type(error).__name__}); make room") from error


def _copy_pages(
    source: apsw.Connection,
    copy: apsw.Connection,
    lock: AbstractContextManager[object],
    reading: Callable[[], AbstractContextManager[None]],
    go_on: Callable[[], None],
) -> None:
    with reading():
        backup = copy.backup("main", source, "main")
    try:
        done = False
        while not done:
            go_on()
            with reading():
                done = backup.step(PAGES_AT_ONCE)
    finally:
        with lock:
            backup.close(True)


def sync(path: Path) -> None:
    """Have what was written to a file, or to a folder's list of names, on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def damaged(path: Path, what: str) -> IntegrityError:
    """The refusal of a file that is not as it was written."""
    return IntegrityError(
        f"{path} is damaged ({what}): nothing was changed; `unseen doctor` says what else is, restore a backup"
    )
