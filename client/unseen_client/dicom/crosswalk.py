"""The crosswalk: from a row of a collection back to the object of this site that it was made of. Never sent anywhere.

One SQLite file per store and collection in ``home/crosswalks``, for its owner alone. Every entry is sealed with
AES-256-GCM under a key that is derived from the collection's record key and this site's key together: a member of the
collection at another site cannot open it, nor can somebody who holds the site key alone. In the clear are the row ids
that the server knows as well, how many there are, and which of them are of one study. Losing the file loses the way
back and nothing else: enrolling the same objects again, on a device with the same site key, skips the rows and writes
it anew.

    entry    row id (16 bytes) -> sealed JSON {study, series, instance, frame, source}, padded to 256 bytes
    of_study HMAC of the real study UID -> row ids                          to find a study's rows by its real name
    grant    account of this machine -> sealed JSON {until_s}                who may be shown an entry: ``reveal``
"""

from __future__ import annotations

import hmac
import json
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from unseen import envelope
from unseen.errors import IntegrityError, SealBroken, StoreFailed
from unseen.json_text import read_json
from unseen_client.home import private_folder, refuse_others
from unseen_client.keys.keystore import CollectionKey
from unseen_client.records import pad, unpad

BUSY_TIMEOUT_S = 30.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS entry (row_id BLOB PRIMARY KEY, sealed BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS of_study (study BLOB, row_id BLOB, PRIMARY KEY (study, row_id)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS of_row ON of_study (row_id);
CREATE TABLE IF NOT EXISTS granted (account TEXT PRIMARY KEY, sealed BLOB NOT NULL) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class WayBack:
    """The object that a row was made of, under its real names."""

    study: str
    """Study Instance UID; empty where the object named none. So the others."""
    series: str
    instance: str
    frame: int
    """Counted from 1."""
    source: str
    """The file that it was read from."""

    def __repr__(self) -> str:
        return "WayBack(...)"


class Crosswalk:
    """The ways back of one collection. Safe to share between threads."""

    def __init__(self, path: Path, key: CollectionKey, site_key: bytes) -> None:
        """Open the file, or make it; StoreFailed, InvalidConfiguration when others can reach it.

        IntegrityError for one of other keys: a site key that was made anew, because the old one was lost, gives every
        object another pseudonym, and would enrol all of them a second time.
        """
        shared = hmac.digest(site_key, b"unseen crosswalk" + key.record_key, "sha256")
        self._key = envelope.SealingKey(envelope.derive_key(shared, b"unseen/crosswalk"))
        self._names = envelope.derive_key(shared, b"unseen/crosswalk/study")
        self._collection = key.collection_uid
        self._path = path
        self._lock = threading.Lock()
        for folder in (path.parent.parent, path.parent):
            private_folder(folder)
        with _store_failures(path):
            self._database = _opened(path)
        try:
            self._require_own_keys()
        except BaseException:
            self._database.close()
            raise

    def put(self, entries: Mapping[bytes, WayBack]) -> None:
        """Keep ways back by row id; on disk when this returns. Those that are there are replaced."""
        sealed = [(row, self._sealed("entry", row, asdict(way))) for row, way in entries.items()]
        with self._writing():
            self._database.executemany("INSERT OR REPLACE INTO entry VALUES (?, ?)", sealed)
            self._database.executemany("DELETE FROM of_study WHERE row_id = ?", [(row,) for row in entries])
            of_study = [(self._study(way.study), row) for row, way in entries.items() if way.study]
            self._database.executemany("INSERT INTO of_study VALUES (?, ?)", of_study)

    def rows_of(self, study: str) -> list[bytes]:
        """The ids of the rows that were made of a study, by its real UID."""
        with self._lock, _store_failures(self._path):
            found = self._database.execute("SELECT row_id FROM of_study WHERE study = ?", (self._study(study),))
            return [bytes(row) for (row,) in found]

    def get(self, row: bytes) -> WayBack | None:
        """The way back from a row, or None; IntegrityError for an entry that does not open."""
        fields = self._opened_of("entry", "SELECT sealed FROM entry WHERE row_id = ?", row)
        match fields:
            case None:
                return None
            case {
                "study": str(study),
                "series": str(series),
                "instance": str(instance),
                "frame": int(frame),
                "source": str(source),
            }:
                return WayBack(study, series, instance, frame, source)
        raise _damaged(self._path)

    def grant(self, account: str, until_s: int) -> None:
        """Let an account of this machine be shown entries until then (seconds since 1970); 0 ends it."""
        with self._writing():
            if until_s:
                columns = (account, self._sealed("grant", account.encode(), {"until_s": until_s}))
                self._database.execute("INSERT OR REPLACE INTO granted VALUES (?, ?)", columns)
            else:
                self._database.execute("DELETE FROM granted WHERE account = ?", (account,))

    def granted_until_s(self, account: str) -> int:
        """Until when an account may be shown entries; 0 for one that was never let."""
        query = "SELECT sealed FROM granted WHERE account = ?"
        match self._opened_of("grant", query, account):
            case None:
                return 0
            case {"until_s": int(until_s)}:
                return until_s
        raise _damaged(self._path)

    def __len__(self) -> int:
        with self._lock, _store_failures(self._path):
            return int(self._database.execute("SELECT count(*) FROM entry").fetchone()[0])

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._database.close()

    def _require_own_keys(self) -> None:
        with _store_failures(self._path):
            entry = self._database.execute("SELECT row_id FROM entry LIMIT 1").fetchone()
            grant = self._database.execute("SELECT account FROM granted LIMIT 1").fetchone()
        if entry is not None:
            self.get(entry[0])
        if grant is not None:
            self.granted_until_s(grant[0])

    def _study(self, uid: str) -> bytes:
        # A file, or whoever asks, may call a study anything: half a pair of surrogates too, which UTF-8 does not have.
        return hmac.digest(self._names, uid.encode("utf-8", "surrogatepass"), "sha256")

    def _sealed(self, kind: str, name: bytes, fields: Mapping[str, object]) -> bytes:
        plain = pad(json.dumps(fields).encode())
        return self._key.seal(plain, envelope.context("crosswalk", kind, self._collection, name))

    def _opened_of(self, kind: str, query: str, name: bytes | str) -> object:
        with self._lock, _store_failures(self._path):
            found = self._database.execute(query, (name,)).fetchone()
        if found is None:
            return None
        where = envelope.context("crosswalk", kind, self._collection, name.encode() if isinstance(name, str) else name)
        try:
            return read_json(unpad(self._key.open(bytes(found[0]), where)))
        except (SealBroken, ValueError):
            raise _damaged(self._path) from None

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._lock, _store_failures(self._path):
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._database.execute("COMMIT")
            except BaseException:
                self._database.execute("ROLLBACK")
                raise


def forget_rows(path: Path, rows: Iterable[bytes]) -> None:
    """Destroy the ways back from rows that were erased; needs no key. Nothing happens where there is no crosswalk."""
    if not path.exists():
        return
    with _store_failures(path):
        database = _opened(path)
        try:
            database.execute("BEGIN IMMEDIATE")
            erased = [(row,) for row in rows]
            database.executemany("DELETE FROM entry WHERE row_id = ?", erased)
            database.executemany("DELETE FROM of_study WHERE row_id = ?", erased)
            database.execute("COMMIT")
        finally:
            database.close()


def _opened(path: Path) -> sqlite3.Connection:
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    refuse_others(path, "600")
    # isolation_level None: transactions are written out. The lock, not sqlite3, keeps threads apart.
    database = sqlite3.connect(path, BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    try:
        database.execute("PRAGMA journal_mode = DELETE")
        database.execute("PRAGMA secure_delete = ON")
        database.execute("PRAGMA synchronous = FULL")
        database.executescript(_SCHEMA)
    except BaseException:
        database.close()
        raise
    return database


def _damaged(path: Path) -> IntegrityError:
    return IntegrityError(
        f"the crosswalk {path} was altered, or written under another site key or record key; put a copy of it and of "
        "the site key back, or delete it and enrol the objects again: their rows are skipped, the ways back written"
    )


@contextmanager
def _store_failures(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise StoreFailed(
            f"the crosswalk {path} cannot be used ({error}); put a copy back, or delete it and enrol the objects again"
        ) from error
