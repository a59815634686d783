"""Noised vectors that were charged and that no server has acknowledged yet: kept so that a retry sends the same bytes.

To draw anew would be a second release, and would be charged as one. The device holds the file; what is in it was paid
for and may be seen by the server, which probably has it already. The true vector is not in it: rows are found again by
a keyed hash over it, under the collection's record key.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from unseen.errors import IntegrityError, StoreFailed
from unseen_client.home import private_folder, refuse_others

Float32Array = npt.NDArray[np.float32]

FILE_NAME = "unacknowledged.sqlite"
USER_VERSION = 1
BUSY_TIMEOUT_S = 30.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS release (
    collection_uid BLOB NOT NULL, row_id BLOB NOT NULL, cause BLOB NOT NULL, vector BLOB NOT NULL,
    PRIMARY KEY (collection_uid, row_id, cause)
) WITHOUT ROWID
"""


@dataclass(frozen=True)
class Cause:
    """Which release this is: the row it is for, and a keyed hash of the true vector and the mechanism."""

    collection_uid: bytes
    row_id: bytes
    digest: bytes


class Unacknowledged:
    """Releases under way. Every call opens the file anew: threads, processes and forks may share it."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME

    def keep(self, released: Mapping[Cause, Float32Array]) -> None:
        """Have these on disk when this returns; raises StoreFailed."""
        rows = [
            (cause.collection_uid, cause.row_id, cause.digest, vector.astype("<f4").tobytes())
            for cause, vector in released.items()
        ]
        with self._opened() as database, database:
            database.executemany("INSERT OR REPLACE INTO release VALUES (?, ?, ?, ?)", rows)

    def find(self, causes: Sequence[Cause]) -> dict[Cause, Float32Array]:
        """Those of these releases that were drawn before; raises StoreFailed, IntegrityError."""
        found: dict[Cause, Float32Array] = {}
        query = "SELECT vector FROM release WHERE collection_uid = ? AND row_id = ? AND cause = ?"
        with self._opened() as database:
            for cause in causes:
                row = database.execute(query, (cause.collection_uid, cause.row_id, cause.digest)).fetchone()
                if row is not None:
                    found[cause] = np.frombuffer(row[0], "<f4").astype(np.float32)
        return found

    def forget(self, collection_uid: bytes, row_ids: Iterable[bytes]) -> None:
        """Drop what these rows' releases were kept for: the server has them."""
        with self._opened() as database, database:
            database.executemany(
                "DELETE FROM release WHERE collection_uid = ? AND row_id = ?",
                [(collection_uid, row) for row in row_ids],
            )

    def forget_collection(self, collection_uid: bytes) -> None:
        """Drop every release for a collection that is no more; does nothing where none was ever kept."""
        if self._path.exists():
            with self._opened() as database, database:
                database.execute("DELETE FROM release WHERE collection_uid = ?", (collection_uid,))

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        private_folder(self._path.parent)
        try:
            if not self._path.exists():
                self._path.touch(mode=0o600)
            refuse_others(self._path, "600")
            with closing(sqlite3.connect(self._path, timeout=BUSY_TIMEOUT_S)) as database:
                database.execute("PRAGMA synchronous = EXTRA")  # the journal's end is on disk too
                self._require_version(database)
                yield database
        except (OSError, sqlite3.OperationalError) as error:
            raise StoreFailed(
                f"the disk refused {self._path} ({type(error).__name__}); nothing was sent, check space and rights"
            ) from error
        except sqlite3.DatabaseError as error:
            raise IntegrityError(
                f"{self._path} is damaged: remove it; releases that were under way will be charged again"
            ) from error

    def _require_version(self, database: sqlite3.Connection) -> None:
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, USER_VERSION):
            raise IntegrityError(
                f"{self._path} has version {version}, expected {USER_VERSION}: a newer Unseen wrote it"
            )
        if not version:
            with database:
                database.execute(_SCHEMA)
                database.execute(f"PRAGMA user_version = {USER_VERSION}")
