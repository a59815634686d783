"""A SQLite store, examined on disk: its pages, its indexes, its tables, then everything that any store holds.

Reads, never writes. Takes a lock that keeps a server from starting meanwhile, and is refused while one runs.

    the log is empty     the file is read as it lies, also where it cannot be written
    a crash left a log   the file is opened as a server opens it before it has proven its key: still nothing is written
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from unseen.errors import IntegrityError, InvalidConfiguration, StoreFailed, WrongKey
from unseen.keys.ring import KeyRings
from unseen.store import sqlite_log
from unseen.store.checked_pages import CHECK_BYTES, PAGE_BYTES, CheckedFiles, is_whole
from unseen.store.database import Row, Transaction
from unseen.store.examination import Report, examine
from unseen.store.schema import APPLICATION_ID, SCHEMA_VERSION, SHARED_TABLES, tables_for
from unseen.store.sqlite_file import SqliteFile
from unseen.store.sqlite_transaction import SqliteTransaction

SHARED_LOCK_AT, SHARED_LOCK_BYTES = 0x40000002, 510
"""What SQLite locks while it reads (os.h of its source: SHARED_FIRST and SHARED_SIZE)."""
PAGES_SHOWN = 5
MOST_FAULTS_OF_SQLITE = 20


def examine_file(path: Path, rings: KeyRings) -> Report:
    """Examine the store in a file; InvalidConfiguration when it is in use or not a store, WrongKey for another key."""
    report = Report()
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise InvalidConfiguration(f"{path} cannot be read ({error.strerror}); give the --data of a server") from None
    try:
        _examine_pages(descriptor, report)
        with _opened(path, descriptor) as tx:
            if _is_of_today(tx, report):
                _examine_tables(tx, report)
                examine(tx, rings, report)
    except WrongKey:
        raise
    except (IntegrityError, StoreFailed) as error:
        report.add("file", str(error))
    except apsw.Error as error:
        report.add("file", f"it cannot be read to its end ({type(error).__name__})")
    finally:
        os.close(descriptor)
    return report


@contextmanager
def _opened(path: Path, descriptor: int) -> Iterator[Transaction]:
    if sqlite_log.has_content(path):
        database = SqliteFile(path)
        try:
            with database.reading() as tx:
                yield tx
        finally:
            database.close()
        return
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB, SHARED_LOCK_BYTES, SHARED_LOCK_AT)
    except OSError:
        raise InvalidConfiguration(f"{path} is in use by a server; stop it first, or examine a backup") from None
    with unchanging(path) as tx:
        yield tx


@contextmanager
def unchanging(path: Path) -> Iterator[Transaction]:
    """Reads of a file that nobody writes meanwhile and that has no log."""
    files = CheckedFiles(f"unseen-reading-{os.getpid()}-{id(path):x}")
    try:
        db = apsw.Connection(
            f"{path.resolve().as_uri()}?immutable=1", apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI, vfs=files.name
        )
        try:
            db.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
            yield SqliteTransaction(db)
        finally:
            db.close()
    finally:
        files.unregister()


def _examine_pages(descriptor: int, report: Report) -> None:
    """Every page of the file, those too that nothing refers to."""
    size = os.fstat(descriptor).st_size
    head = os.pread(descriptor, 100, 0)
    if len(head) < 100 or size % PAGE_BYTES:
        report.add("file", f"it has {size} bytes, which are no whole pages: it was cut")
    if len(head) < 100 or head[20] != CHECK_BYTES:
        return  # a version without checksums, or no store: said elsewhere
    broken = []
    for number in range(size // PAGE_BYTES):
        page = os.pread(descriptor, PAGE_BYTES, number * PAGE_BYTES)
        report.checked["pages"] += 1
        # A page of zeros was never written: SQLite leaves one out at 1 GiB, where its locks are.
        if not is_whole(number, page) and any(page):
            broken.append(number + 1)
    if broken:
        shown = ", ".join(map(str, broken[:PAGES_SHOWN]))
        more = " and others" if len(broken) > PAGES_SHOWN else ""
        report.add("file", f"{len(broken)} pages are not what was written: {shown}{more}")


def _is_of_today(tx: Transaction, report: Report) -> bool:
    application_id, version = (tx.fetch(f"PRAGMA {name}")[0][0] for name in ("application_id", "user_version"))
    if application_id != APPLICATION_ID:
        report.add("file", f"it is not an Unseen store: its application id is {application_id:#x}")
        return False
    if version == SCHEMA_VERSION:
        return True
    if version < SCHEMA_VERSION:
        report.notes.append(f"schema version {version}: the next start of a server brings it to {SCHEMA_VERSION}")
    else:
        report.add("file", f"it has schema version {version}, this release reads {SCHEMA_VERSION}")
    return False


def _examine_tables(tx: Transaction, report: Report) -> None:
    """Trees, indexes and references, by SQLite itself; the tables, against those that a new store gets."""
    faults = [str(row[0]) for row in tx.fetch(f"PRAGMA integrity_check({MOST_FAULTS_OF_SQLITE})")]
    for fault in faults if faults != ["ok"] else []:
        report.add("file", f"SQLite: {fault.partition(chr(10))[0]}")
    if tx.fetch("PRAGMA foreign_key_check"):
        report.add("file", "rows belong to collections that are not there")
    if _tables(tx) != _tables_there_must_be(tx):
        report.add("file", "its tables, indexes or triggers are not those of a store")


def _tables(tx: Transaction) -> set[Row]:
    """Everything that SQLite would act on: columns, indexes, triggers, views. Not how a statement is spelled."""
    columns = tx.fetch(
        'SELECT s.name, c.name, c.type, c."notnull", c.pk FROM sqlite_schema AS s'
        " JOIN pragma_table_info(s.name) AS c WHERE s.type = 'table'"
    )
    others = tx.fetch("SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE type <> 'table'")
    return {*columns, *others}


def _tables_there_must_be(tx: Transaction) -> set[Row]:
    fresh = apsw.Connection(":memory:")
    fresh.execute(SHARED_TABLES)
    for (number,) in tx.fetch("SELECT number FROM collections"):
        fresh.execute(tables_for(number))
    expected = _tables(SqliteTransaction(fresh))
    fresh.close()
    return expected
