"""What this device keeps of a server's audit log: the keys that sign it, the newest head it has seen, its own receipts.

With them it notices when the server shows another log than before: one that was cut, rewritten or put back from a
backup. What the server signed that does not fit is kept as evidence. All is kept in clear, because it holds nothing but
what this device did itself, when and in which collection, and counts. One SQLite file per log, which several processes
of the device may use.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from unseen.audit.head import TreeHead, open_head
from unseen.audit.leaf import DONE, leaf_fields
from unseen.audit.proof import verify_consistency, verify_inclusion
from unseen.audit.receipt import Receipt
from unseen.audit.tree import leaf_hash
from unseen.errors import LogWentBack, MalformedMessage, ProofBroken, StoreFailed
from unseen.signature import PUBLIC_KEY_BYTES
from unseen_client.home import private_folder, refuse_others

BUSY_TIMEOUT_S = 30.0
MOST_RECEIPTS = 100_000
"""Older ones are dropped: 60 MB are enough. The newest head covers them all the same."""
MOST_EVIDENCE = 1_000
"""The first ones stay: they show where the log parted, and a server must not fill this device's disk."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS log (
    one INTEGER PRIMARY KEY CHECK (one = 1), public_keys BLOB NOT NULL, size INTEGER NOT NULL, head TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS receipt (number INTEGER PRIMARY KEY, leaf_index INTEGER NOT NULL UNIQUE, data BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS evidence (number INTEGER PRIMARY KEY, data BLOB NOT NULL UNIQUE);
"""


@dataclass(frozen=True)
class Act:
    """What a receipt has to be about."""

    method: str
    request_id: bytes
    """Empty for an act that has none."""
    known_size: int
    """The size of the log that this device knew when it asked: the act's leaf comes after."""


class ReceiptBook:
    """One log as this device knows it. Safe to share between threads."""

    def __init__(self, path: Path, origin: str) -> None:
        self.origin = origin
        self._path = path
        self._lock = threading.RLock()
        private_folder(path.parent.parent)
        private_folder(path.parent)
        with self._failures():
            self._database = self._open()

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._database.close()

    # The log

    @property
    def public_keys(self) -> tuple[bytes, ...]:
        """The keys that this log is known by, the newest last."""
        joined = self._log()[0]
        return tuple(joined[at : at + PUBLIC_KEY_BYTES] for at in range(0, len(joined), PUBLIC_KEY_BYTES))

    @property
    def seen(self) -> tuple[int, str | None]:
        """Leaves of the newest head, and the head, signed; 0 and None for none."""
        _, size, head = self._log()
        return size, head or None

    @property
    def size(self) -> int:
        """Leaves of the newest head; 0 for none."""
        return self.seen[0]

    @property
    def head(self) -> str | None:
        """The newest head, signed; None for none."""
        return self.seen[1]

    def know_keys(self, public_keys: Sequence[bytes]) -> None:
        """Keep the keys that the server shows first; LogWentBack when it shows others ever after, fewer or more.

        A further key would be believed on nobody's word: nothing that a known key signs says that it belongs here.
        """
        if any(len(key) != PUBLIC_KEY_BYTES for key in public_keys) or not public_keys:
            raise MalformedMessage(
                f"a server's signing keys have {PUBLIC_KEY_BYTES} bytes each, and there is one at least"
            )
        with self._writing() as database:
            database.execute("INSERT OR IGNORE INTO log VALUES (1, ?, 0, '')", (b"".join(public_keys),))
            known = set(self.public_keys)
        if known - set(public_keys):
            raise LogWentBack(_went_back("it no longer signs its audit log with the keys that this device knows"))
        if set(public_keys) - known:
            raise LogWentBack(
                _went_back("it shows a further key to sign its audit log with, which nothing vouches for")
            )

    def advance(self, note: str, consistency: Sequence[bytes], since: str | None) -> TreeHead:
        """Take the head that the server shows now, after checking that the log goes on from the head ``since``.

        Raises LogWentBack when it does not, ProofBroken when the head itself is wrong.
        """
        new = self.opened(note)
        with self._keeping_evidence(note, since):
            if since is not None:
                _require_goes_on(self.opened(since), new, consistency)
            with self._writing() as database:
                self._keep_head(database, new, note)
        return new

    def opened(self, note: str) -> TreeHead:
        """A signed head of this log; ProofBroken for anything else."""
        return open_head(note, self.origin, self.public_keys)

    def forget(self) -> None:
        """Begin anew with what the server shows next: for people who know why it went back. Evidence stays."""
        with self._writing() as database:
            database.execute("DELETE FROM log")
            database.execute("DELETE FROM receipt")

    # Receipts

    def take(self, data: bytes, act: Act) -> None:
        """Check and keep the receipt of an act that was done; raises ProofBroken, LogWentBack, MalformedMessage."""
        receipt = Receipt.from_bytes(data)
        head = self.opened(receipt.head)
        _require_about(receipt, act)
        with self._keeping_evidence(data):
            if not act.known_size <= receipt.index < head.size:
                place = f"an act of now stands at place {receipt.index}"
                raise LogWentBack(_went_back(f"{place}, this device has seen {act.known_size} before it"))
            with self._writing() as database:
                self._require_no_other(database, receipt)
                database.execute(
                    "INSERT OR IGNORE INTO receipt (leaf_index, data) VALUES (?, ?)", (receipt.index, data)
                )
                database.execute("DELETE FROM receipt WHERE number <= last_insert_rowid() - ?", (MOST_RECEIPTS,))
                self._keep_head(database, head, receipt.head)

    def receipts(self) -> list[Receipt]:
        """Every receipt kept, oldest first."""
        with self._reading() as database:
            found = database.execute("SELECT data FROM receipt ORDER BY leaf_index").fetchall()
        return [Receipt.from_bytes(data) for (data,) in found]

    def evidence(self) -> list[bytes]:
        """Receipts and heads that do not fit what was seen before, and heads that they do not fit, oldest first."""
        with self._reading() as database:
            found = database.execute("SELECT data FROM evidence ORDER BY number").fetchall()
        return [bytes(data) for (data,) in found]

    def prove(self, receipt: Receipt, note: str, inclusion: Sequence[bytes]) -> TreeHead:
        """Check that a receipt's leaf is in the log that the server shows now; raises ProofBroken."""
        head = self.opened(note)
        verify_inclusion(leaf_hash(receipt.leaf), receipt.index, head.size, inclusion, head.root)
        return head

    def _require_no_other(self, database: sqlite3.Connection, receipt: Receipt) -> None:
        for (known,) in database.execute("SELECT data FROM receipt WHERE leaf_index = ?", (receipt.index,)):
            if Receipt.from_bytes(known).leaf != receipt.leaf:
                raise LogWentBack(
                    _went_back(f"two acts of this device stand at place {receipt.index} of its audit log")
                )

    def _keep_head(self, database: sqlite3.Connection, head: TreeHead, note: str) -> None:
        size, known = database.execute("SELECT size, head FROM log").fetchone()
        if head.size == size and known and known != note and self.opened(known).root != head.root:
            raise LogWentBack(_went_back(f"it shows two different logs of {size} leaves"))
        if head.size > size or not known:
            database.execute("UPDATE log SET size = ?, head = ?", (head.size, note))

    @contextmanager
    def _keeping_evidence(self, shown: str | bytes, since: str | None = None) -> Iterator[None]:
        """Keep what shows that the log went back, and the heads that it does not fit: one proves nothing alone."""
        try:
            yield
        except LogWentBack as error:
            try:
                with self._writing() as database:
                    for signed in filter(None, (since, self.head, shown)):
                        database.execute(
                            "INSERT OR IGNORE INTO evidence (data) SELECT ? WHERE (SELECT count(*) FROM evidence) < ?",
                            (signed.encode() if isinstance(signed, str) else signed, MOST_EVIDENCE),
                        )
            except StoreFailed as failure:
                error.add_note(f"what shows it could not be kept: {failure}")
            raise

    # The file

    def _log(self) -> tuple[bytes, int, str]:
        with self._reading() as database:
            found = database.execute("SELECT public_keys, size, head FROM log").fetchone()
        return (b"", 0, "") if found is None else (bytes(found[0]), int(found[1]), str(found[2]))

    def _open(self) -> sqlite3.Connection:
        os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
        refuse_others(self._path, "600")
        database = sqlite3.connect(self._path, BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        # What a power cut takes are the newest heads: the log is then compared with an older one.
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        database.executescript(_SCHEMA)
        return database

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._failures():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
                self._database.execute("COMMIT")
            except BaseException:
                self._database.execute("ROLLBACK")
                raise

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._failures():
            yield self._database

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise StoreFailed(f"the receipts in {self._path} cannot be used ({error}); check the disk") from error


def receipts_folder(home: Path) -> Path:
    """Where a device keeps its books: one folder for each store, in it one for each tenant."""
    return home / "receipts"


def _require_goes_on(old: TreeHead, new: TreeHead, consistency: Sequence[bytes]) -> None:
    if new.size < old.size:
        raise LogWentBack(_went_back(f"its audit log has {new.size} leaves, this device has seen {old.size} of it"))
    try:
        verify_consistency(old.size, old.root, new.size, new.root, consistency)
    except ProofBroken as error:
        raise LogWentBack(_went_back(f"its audit log is another one than before ({error})")) from error


def _require_about(receipt: Receipt, act: Act) -> None:
    fields = leaf_fields(receipt.leaf)
    if (fields.get("act"), fields.get("outcome"), fields.get("request", "")) != (
        act.method,
        DONE,
        act.request_id.hex(),
    ):
        raise ProofBroken("the server gave a receipt for another act than the one that was asked for")


def _went_back(what: str) -> str:
    return (
        f"the server went back or shows another log: {what}. Ask its operator whether it was restored from a backup; "
        "`unseen audit accept` begins anew after that. What was erased or withdrawn since may be back"
    )
