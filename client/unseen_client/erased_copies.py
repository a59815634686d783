"""What a device remembers of rows that were erased: enough to know their sealed copies again, nothing to read.

In the mirror's file, in the transactions of the mirror. Sixteen bytes of SHA-256 over a sealed copy, whose seal has a
fresh nonce: a row that is enrolled anew under the same id has another copy, so it is never taken for the erased one.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable

SCHEMA = "CREATE TABLE IF NOT EXISTS erased (copy BLOB PRIMARY KEY) WITHOUT ROWID;"
MARK_BYTES = 16


def mark_of(sealed: bytes) -> bytes:
    """What a sealed copy is known by; no other bytes than these open, so nobody can change it and keep the row."""
    return hashlib.sha256(sealed).digest()[:MARK_BYTES]


def remember(database: sqlite3.Connection, marks: Iterable[bytes]) -> None:
    """Keep marks of erased copies."""
    database.executemany("INSERT OR IGNORE INTO erased VALUES (?)", ((mark,) for mark in marks))


def known(database: sqlite3.Connection, marks: Iterable[bytes]) -> bool:
    """Whether one of these copies was erased."""
    if not database.execute("SELECT EXISTS (SELECT 1 FROM erased)").fetchone()[0]:
        return False
    return any(database.execute("SELECT 1 FROM erased WHERE copy = ?", (mark,)).fetchone() for mark in marks)
