"""The mirror: this device's synchronised copy of a collection's catalogue. It turns scores into rows on the device.

Because every client holds the whole catalogue, nothing about the hits of a search leaves it. Sealed records stay sealed
in the file; slots, epochs and sizes, which the server knows as well, are in the clear. Whoever holds the file and the
record key reads the records.

One SQLite file per store and collection. Beside it in memory: the epoch of every slot, so that ranking a million
scores touches no disk. Processes may share a file: each looks at the file's epoch before it trusts its memory.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from unseen.errors import IntegrityError, StoreFailed
from unseen.types import CatalogueEntry
from unseen_client.home import private_folder, refuse_others

BUSY_TIMEOUT_S = 30.0
"""Another process of this device may be writing a large synchronisation."""
SLOT_LIMIT = 1 << 28
"""The slot array is as long as the largest slot: a server may not make a device allocate more than 2 GiB for it."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS state (one INTEGER PRIMARY KEY CHECK (one = 1), epoch INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS row (
    slot INTEGER PRIMARY KEY, row_id BLOB NOT NULL UNIQUE, epoch INTEGER NOT NULL, sealed_record BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS row_by_epoch ON row (epoch, slot);
INSERT OR IGNORE INTO state VALUES (1, 0);
"""


@dataclass(frozen=True)
class MirroredHit:
    """A row among the best of a search, its record still sealed."""

    row_id: bytes
    score: float
    sealed_record: bytes
    slot: int


class Mirror:
    """The catalogue of one collection of one store. Safe to share between threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._epoch = self._moved_epoch = 0
        self._slot_epochs: npt.NDArray[np.int64] = np.zeros(0, np.int64)
        self._lock = threading.Lock()
        private_folder(path.parent)
        with _store_failures(path):
            self._database = self._open()
            self._load_in_one()

    def close(self) -> None:
        with self._lock:
            self._database.close()

    @property
    def epoch(self) -> int:
        """The epoch up to which this copy is complete."""
        with self._reading():
            return self._epoch

    @property
    def moved_epoch(self) -> int:
        """A reply of an earlier epoch may have scored rows where they stand no more."""
        return self._moved_epoch

    @property
    def rows(self) -> int:
        """Live rows."""
        with self._reading():
            return int(np.count_nonzero(self._slot_epochs))

    def apply(
        self,
        since_epoch: int,
        epoch: int,
        erased: Sequence[bytes],
        added: Iterable[CatalogueEntry],
        *,
        replace_all: bool = False,
        forget: Callable[[list[bytes]], None] | None = None,
    ) -> bool:
        """Take a whole synchronisation stream that began at ``since_epoch`` and ends at ``epoch``, or nothing of it.

        Gives False, and changes nothing, when this copy has moved since: another thread or process was faster.
        Erasures go first: a row that was erased and enrolled again stands in both lists. ``replace_all``: the store
        went back in time, so a stream from epoch 0 takes the place of what this copy has at ``since_epoch``.
        ``forget`` is given the erased rows that did not come back before this copy is written: where it fails, or the
        device stops between the two, the next synchronisation names them again.
        """
        slots, epochs = array("q"), array("q")
        begins_empty = replace_all or not since_epoch
        with self._writing():
            if self._epoch != since_epoch:
                return False
            if replace_all:
                self._empty()
            for row_id in erased:
                self._delete(row_id, slots, epochs)
            for entry in added:
                if not begins_empty and self._delete(entry.row_id, slots, epochs):
                    self._moved_epoch = max(self._moved_epoch, entry.epoch)
                self._insert(entry, slots, epochs)
            self._database.execute("UPDATE state SET epoch = ?", (epoch,))
            if begins_empty:
                self._load()  # a server may name a row at two slots: the file has it at one
            else:
                self._keep(epoch, slots, epochs)
            if forget and (gone := [row_id for row_id in erased if not self._has(row_id)]):
                forget(gone)
        return True

    def _delete(self, row_id: bytes, slots: array[int], epochs: array[int]) -> bool:
        found = self._database.execute("DELETE FROM row WHERE row_id = ? RETURNING slot", (row_id,)).fetchall()
        slots.extend(slot for (slot,) in found)
        epochs.extend(0 for _ in found)
        return bool(found)

    def _insert(self, entry: CatalogueEntry, slots: array[int], epochs: array[int]) -> None:
        if entry.slot >= SLOT_LIMIT:
            raise IntegrityError(f"the server names slot {entry.slot}, slots end at {SLOT_LIMIT}; ask its operator")
        query = "INSERT OR REPLACE INTO row VALUES (?, ?, ?, ?)"
        self._database.execute(query, (entry.slot, entry.row_id, entry.epoch, entry.sealed_record))
        slots.append(entry.slot)
        epochs.append(entry.epoch)

    def _keep(self, epoch: int, slots: array[int], epochs: array[int]) -> None:
        """Follow in memory what was written, in the order in which it was."""
        length = max(len(self._slot_epochs), max(slots, default=-1) + 1)
        if length > len(self._slot_epochs):
            self._slot_epochs = np.concatenate([self._slot_epochs, np.zeros(length - len(self._slot_epochs), np.int64)])
        for slot, slot_epoch in zip(slots, epochs, strict=True):
            self._slot_epochs[slot] = slot_epoch
        self._epoch = epoch

    def _empty(self) -> None:
        """Forget every row, inside a transaction that fills this copy again."""
        self._database.execute("DELETE FROM row")
        self._slot_epochs = np.zeros(0, np.int64)

    def has(self, row_ids: Iterable[bytes]) -> set[bytes]:
        """Which of these rows are live."""
        with self._reading():
            return set(filter(self._has, row_ids))

    def _has(self, row_id: bytes) -> bool:
        return self._database.execute("SELECT 1 FROM row WHERE row_id = ?", (row_id,)).fetchone() is not None

    def sealed_record(self, row_id: bytes) -> bytes | None:
        """The sealed record of one row, or None."""
        with self._reading():
            found = self._database.execute("SELECT sealed_record FROM row WHERE row_id = ?", (row_id,)).fetchone()
        return None if found is None else bytes(found[0])

    def page(self, limit: int, offset: int) -> list[tuple[bytes, bytes]]:
        """Row ids and sealed records in the order of enrolment; ``limit`` -1 for all."""
        with self._reading():
            query = "SELECT row_id, sealed_record FROM row ORDER BY epoch, slot LIMIT ? OFFSET ?"
            return list(self._database.execute(query, (limit, offset)))

    def slots(self, row_ids: Iterable[bytes]) -> list[int]:
        """Where these rows stand; none for a row that is not there."""
        with self._reading():
            query = "SELECT slot FROM row WHERE row_id = ?"
            return [int(one[0]) for row in row_ids if (one := self._database.execute(query, (row,)).fetchone())]

    def taken_slots(self) -> npt.NDArray[np.intp]:
        """The slots of all live rows, rising."""
        with self._reading():
            return np.flatnonzero(self._slot_epochs)

    def rows_between(self, first: int, end: int) -> list[tuple[int, bytes, bytes]]:
        """Slot, id and sealed record of the live rows in slots from ``first`` to before ``end``."""
        with self._reading():
            query = "SELECT slot, row_id, sealed_record FROM row WHERE slot >= ? AND slot < ? ORDER BY slot"
            return list(self._database.execute(query, (first, end)))

    def live(self, scores: npt.NDArray[np.float32], reply_epoch: int) -> npt.NDArray[np.intp] | None:
        """The slots of the rows that ``best`` ranks, rising; None as there."""
        with self._reading():
            return None if self._epoch < reply_epoch else self._live(scores, reply_epoch)

    def best(self, scores: npt.NDArray[np.float32], reply_epoch: int, top_k: int) -> list[MirroredHit] | None:
        """The ``top_k`` best live rows for scores by slot (n,), best first; ties go to the lower slot.

        A slot whose score is NaN was not scored.

        None when this copy is behind the reply: it cannot tell which rows were scored.
        Rows newer than the reply are left out: the score in their slot may be of a row that was there before.
        """
        with self._reading():
            if self._epoch < reply_epoch:
                return None
            live = self._live(scores, reply_epoch)
            return [self._hit(int(slot), float(scores[slot])) for slot in _best(scores, live, top_k)]

    def _live(self, scores: npt.NDArray[np.float32], reply_epoch: int) -> npt.NDArray[np.intp]:
        epochs = self._slot_epochs[: len(scores)]
        return np.flatnonzero((epochs > 0) & (epochs <= reply_epoch) & ~np.isnan(scores[: len(epochs)]))

    def _hit(self, slot: int, score: float) -> MirroredHit:
        query = "SELECT row_id, sealed_record FROM row WHERE slot = ?"
        row_id, sealed = self._database.execute(query, (slot,)).fetchone()
        return MirroredHit(row_id, score, sealed, slot)

    def _open(self) -> sqlite3.Connection:
        os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
        refuse_others(self._path, "600")
        # isolation_level None: transactions are written out below. The lock, not sqlite3, keeps threads apart.
        database = sqlite3.connect(self._path, BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        database.execute("PRAGMA journal_mode = DELETE")
        database.execute("PRAGMA secure_delete = ON")
        database.executescript(_SCHEMA)
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
        table = np.array(self._database.execute("SELECT slot, epoch FROM row").fetchall(), np.int64).reshape(-1, 2)
        self._slot_epochs = np.zeros(int(table[:, 0].max()) + 1 if len(table) else 0, dtype=np.int64)
        self._slot_epochs[table[:, 0]] = table[:, 1]
        self._epoch = self._moved_epoch = self._stored_epoch()
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


def _best(scores: npt.NDArray[np.float32], live: npt.NDArray[np.intp], count: int) -> npt.NDArray[np.intp]:
    """The ``count`` slots among ``live`` with the highest scores, best first, ties by slot."""
    candidates = live
    if count < len(live):
        cut = np.partition(scores[live], len(live) - count)[len(live) - count]
        candidates = live[scores[live] >= cut]
    order = np.lexsort((candidates, -scores[candidates]))
    return candidates[order][:count]


@contextlib.contextmanager
def _store_failures(path: Path) -> Iterator[None]:
    """Translate what SQLite raises."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise StoreFailed(
            f"the mirror {path} cannot be used ({error}); delete the file, it is rebuilt from the server"
        ) from error
