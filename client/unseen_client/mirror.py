"""The mirror: this device's synchronised copy of a collection's catalogue. It turns scores into rows on the device.

Because every client holds the whole catalogue, nothing about the hits of a search leaves it. Sealed records stay sealed
in the file; slots, epochs and sizes, which the server knows as well, are in the clear. Whoever holds the file and the
record key reads the records.

One SQLite file per store and collection. Beside it in memory: the epoch of every slot, so that ranking a million
scores touches no disk. Processes may share a file: each looks at the file's epoch before it trusts its memory.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unseen.errors import IntegrityError
from unseen.types import CatalogueEntry
from unseen_client import erased_copies
from unseen_client.mirror_file import MirrorFile

SLOT_LIMIT = 1 << 28
"""The slot array is as long as the largest slot: a server may not make a device allocate more than 2 GiB for it."""


@dataclass(frozen=True)
class MirroredHit:
    """A row among the best of a search, its record still sealed."""

    row_id: bytes
    score: float
    sealed_record: bytes
    slot: int


class Mirror(MirrorFile):
    """The catalogue of one collection of one store. Safe to share between threads."""

    @property
    def epoch(self) -> int:
        """The epoch up to which this copy is complete."""
        with self._reading():
            return self._epoch

    @property
    def moved_epoch(self) -> int:
        """A reply of an earlier epoch may have scored rows where they stand no more."""
        with self._reading():  # another process may have taken moves in
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
        remembers: bool = False,
        forget: Callable[[list[bytes]], None] | None = None,
    ) -> bool:
        """Take a whole synchronisation stream that began at ``since_epoch`` and ends at ``epoch``, or nothing of it.

        Gives False, and changes nothing, when this copy has moved since: another thread or process was faster.
        Erasures go first: a row that was erased and enrolled again stands in both lists. ``replace_all``: the store
        went back in time, so a stream from epoch 0 takes the place of what this copy has at ``since_epoch``.
        ``remembers``: a sealed copy that was erased may not come back; IntegrityError when one does.
        ``forget`` is given the erased rows that did not come back before this copy is written: where it fails, or the
        device stops between the two, the next synchronisation names them again.
        """
        slots, epochs = array("q"), array("q")
        begins_empty = replace_all or not since_epoch
        gone: set[bytes] = set()
        with self._writing():
            if self._epoch != since_epoch:
                return False
            if replace_all:
                self._empty()
            for row_id in erased:
                gone |= self._delete(row_id, slots, epochs)
            for entry in added:
                if not begins_empty and self._delete(entry.row_id, slots, epochs):
                    self._moved_epoch = max(self._moved_epoch, entry.epoch)
                self._insert(entry, slots, epochs)
                if remembers:
                    gone.discard(self._require_not_erased(entry))  # moved, not erased
            if remembers:
                erased_copies.remember(self._database, gone)
            self._database.execute("UPDATE state SET epoch = ?", (epoch,))
            if begins_empty:
                self._load()  # a server may name a row at two slots: the file has it at one
            else:
                self._keep(epoch, slots, epochs)
            if forget and (left := [row_id for row_id in erased if not self._has(row_id)]):
                forget(left)
        return True

    def copies(self, row_ids: Iterable[bytes]) -> list[bytes]:
        """The sealed records of these rows; none for a row that is not there."""
        found = map(self.sealed_record, row_ids)
        return [copy for copy in found if copy is not None]

    def remember_erased(self, copies: Iterable[bytes]) -> None:
        """Note what a server has just acknowledged: these copies may stand in no catalogue after it."""
        with self._writing():
            erased_copies.remember(self._database, map(erased_copies.mark_of, copies))

    def holds_erased(self, row_ids: Iterable[bytes]) -> bool:
        """Whether this copy of the catalogue still has one of these rows as it was erased."""
        marks = [erased_copies.mark_of(copy) for copy in self.copies(row_ids)]
        with self._reading():
            return erased_copies.known(self._database, marks)

    def _require_not_erased(self, entry: CatalogueEntry) -> bytes:
        mark = erased_copies.mark_of(entry.sealed_record)
        if erased_copies.known(self._database, [mark]):
            raise IntegrityError(
                "the server names a row again that was erased: its sealed copy is back; nothing was taken. Ask its "
                f"operator; to believe this server once more, delete this device's mirror {self._path}"
            )
        return mark

    def _delete(self, row_id: bytes, slots: array[int], epochs: array[int]) -> set[bytes]:
        """Take a row out; the marks of its copies."""
        query = "DELETE FROM row WHERE row_id = ? RETURNING slot, sealed_record"
        found = self._database.execute(query, (row_id,)).fetchall()
        slots.extend(slot for slot, _ in found)
        epochs.extend(0 for _ in found)
        return {erased_copies.mark_of(copy) for _, copy in found}

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

    def standing(self) -> tuple[int, npt.NDArray[np.int64]]:
        """The epoch of this copy, and of every slot that of its row: 0 for none."""
        with self._reading():
            return self._epoch, self._slot_epochs.copy()

    def standing_at(self, slots: Iterable[int]) -> list[tuple[int, int, bytes, bytes]]:
        """Slot, epoch, id and sealed record of the rows that stand in these slots."""
        with self._reading():
            query = "SELECT slot, epoch, row_id, sealed_record FROM row WHERE slot = ?"
            return [row for slot in slots for row in self._database.execute(query, (slot,))]

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


def _best(scores: npt.NDArray[np.float32], live: npt.NDArray[np.intp], count: int) -> npt.NDArray[np.intp]:
    """The ``count`` slots among ``live`` with the highest scores, best first, ties by slot."""
    candidates = live
    if count < len(live):
        cut = np.partition(scores[live], len(live) - count)[len(live) - count]
        candidates = live[scores[live] >= cut]
    order = np.lexsort((candidates, -scores[candidates]))
    return candidates[order][:count]
