"""One collection, examined: what ``examination.py`` says of slots, vectors, records and epochs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from unseen.errors import SealBroken
from unseen.keys.tree import KeyTree
from unseen.params import is_owner
from unseen.store.database import Transaction
from unseen.store.interface import VECTORS_AT_ONCE
from unseen.store.recovery import RECOVERY
from unseen.store.schema import records_table, vectors_table
from unseen.store.sealing import CollectionSeal, SealPlace
from unseen.store.slots import extents_in
from unseen.types import UID_BYTES, CollectionInfo

Numbers = npt.NDArray[np.int64]
OpenCells = Callable[[Sequence[SealPlace], Sequence[bytes]], list[bytes]]
RECORDS_AT_ONCE = 256
SHOWN = 3
"""Of a kind of fault, so many places are named and the others counted."""


class CollectionExamination:
    """The checks of one collection, in the order of the drawing in ``examination.py``."""

    def __init__(
        self,
        tx: Transaction,
        number: int,
        info: CollectionInfo,
        seal: CollectionSeal,
        trees: Sequence[KeyTree],
        checked: Counter[str],
    ) -> None:
        self._tx = tx
        self._number = number
        self._info = info
        self._seal = seal
        self._trees = trees
        self._without_key = 0
        self._checked = checked

    def findings(self) -> Iterator[str]:
        """Everything that is not as it must be."""
        yield from self._rows()
        yield from self._slots()
        if not is_owner(self._info.parameter_id):  # whose rows stand in blocks, which are facts
            yield from self._vectors()
        yield from self._records()
        yield from self._epochs()
        yield from self._erasures()

    def out_of_step(self) -> Iterator[str]:
        """What only data and key ring that are not in step may show."""
        if self._without_key:
            yield f"{self._without_key} rows stand here whose keys are destroyed: they were erased"
        cut = self._column(
            "SELECT serial FROM erasures WHERE collection = ? AND serial IS NOT NULL ORDER BY serial", self._number
        )
        held = sum(any(tree.holds(int(serial)) for tree in self._trees) for serial in cut)
        if held:
            yield f"{held} erased rows could still be opened: their keys are in the ring"

    def _column(self, query: str, *values: int) -> Numbers:
        """One column of whole numbers."""
        with self._tx.stream(query, values) as found:
            return np.fromiter((row[0] for row in found), np.int64)

    def _count(self, query: str, *values: int | bytes) -> int:
        return int(self._tx.fetch(query, (self._number, *values))[0][0])

    def _rows(self) -> Iterator[str]:
        counted = self._count("SELECT count(*) FROM live_rows WHERE collection = ? AND withheld = 0")
        if counted != self._info.rows:
            yield f"it says {self._info.rows} rows and has {counted}"
        strange = self._count(
            "SELECT count(*) FROM live_rows WHERE collection = ? AND (length(row_id) <> ? OR withheld NOT IN (0, 1)"
            " OR epoch < 1 OR epoch > ?)",
            UID_BYTES,
            self._info.epoch,
        )
        if strange:
            yield f"{strange} rows have an id of a wrong length, no clear state, or an epoch that never was"

    def _slots(self) -> Iterator[str]:
        taken = self._column("SELECT slot FROM live_rows WHERE collection = ? ORDER BY slot", self._number)
        free = self._column("SELECT slot FROM free_slots WHERE collection = ? ORDER BY slot", self._number)
        self._checked["slots"] += self._info.slots
        yield from _named("slots are a row's and free at once", np.intersect1d(taken, free))
        every = np.arange(self._info.slots)
        yield from _named("slots are no row's and not free", np.setdiff1d(every, np.union1d(taken, free)))
        yield from _named("slots were never handed out", np.setdiff1d(np.union1d(taken, free), every))
        extents = self._column("SELECT extent FROM extents WHERE collection = ? ORDER BY extent", self._number)
        if extents.tolist() != list(range(extents_in(self._info.slots))):
            yield "its extents do not cover its slots"

    def _vectors(self) -> Iterator[str]:
        broken, unerased, rows, next_slot = [], [], 0, 0
        query = (
            f"SELECT v.slot, sealed, row_id, epoch, serial FROM {vectors_table(self._number)} AS v"  # noqa: S608
            " LEFT JOIN live_rows AS r ON r.collection = ? AND r.slot = v.slot"
            " WHERE v.slot >= ? ORDER BY v.slot LIMIT ?"
        )
        while found := self._tx.fetch(query, (self._number, next_slot, VECTORS_AT_ONCE)):
            live = [(SealPlace(row[2], row[0], row[3], row[4]), row[1]) for row in found if row[2] is not None]
            unerased += [row[0] for row in found if row[2] is None and any(row[1])]
            held = [cell for cell in live if any(tree.holds(cell[0].serial) for tree in self._trees)]
            self._without_key += len(live) - len(held)
            broken += self._not_opening(self._seal.open_vectors, held, 2 * self._info.dimension)
            rows += len(live)
            next_slot = found[-1][0] + 1
        self._checked["vectors"] += rows
        yield from _named("vectors do not open for their slot", np.array(broken))
        yield from _named("slots hold bytes of a vector and no row", np.array(unerased))
        missing = self._count("SELECT count(*) FROM live_rows WHERE collection = ?") - rows
        if missing:
            yield f"{missing} rows have no vector"

    def _not_opening(
        self, open_cells: OpenCells, cells: Sequence[tuple[SealPlace, bytes]], size_bytes: int | None
    ) -> list[int]:
        """The slots of cells that do not open, or to another size."""
        try:
            opened = open_cells([place for place, _ in cells], [sealed for _, sealed in cells])
        except SealBroken:
            if len(cells) == 1:
                return [cells[0][0].slot]
            half = len(cells) // 2
            return [
                slot
                for part in (cells[:half], cells[half:])
                for slot in self._not_opening(open_cells, part, size_bytes)
            ]
        wrong = (place.slot for (place, _), one in zip(cells, opened, strict=True) if len(one) != size_bytes)
        return [] if size_bytes is None else list(wrong)

    def _records(self) -> Iterator[str]:
        table = records_table(self._number)
        taken = self._column("SELECT record FROM live_rows WHERE collection = ? ORDER BY record", self._number)
        free = self._column("SELECT record FROM free_records WHERE collection = ? ORDER BY record", self._number)
        there = self._column(f"SELECT record FROM {table} ORDER BY record")  # noqa: S608
        if len(np.unique(taken)) != len(taken):
            yield "two rows have one record"
        yield from _named("records are a row's and free at once", np.intersect1d(taken, free))
        yield from _named("rows have no record", np.setdiff1d(taken, there))
        yield from _named("records are no row's and not free", np.setdiff1d(there, np.union1d(taken, free)))
        yield from _named("records do not open for their slot", np.array(list(self._broken_records())))
        with self._tx.stream(
            f"SELECT record, size_bytes, sealed FROM free_records JOIN {table} USING (record) WHERE collection = ?",  # noqa: S608
            (self._number,),
        ) as found:
            unerased = [record for record, size, sealed in found if any(sealed) or len(sealed) != size]
        yield from _named("records are free and hold bytes, or have another length", np.array(unerased))

    def _broken_records(self) -> Iterator[int]:
        """The slots of rows whose record does not open."""
        next_slot = 0
        query = (
            f"SELECT row_id, slot, epoch, serial, sealed FROM live_rows JOIN {records_table(self._number)}"  # noqa: S608
            " USING (record) WHERE collection = ? AND slot >= ? ORDER BY slot LIMIT ?"
        )
        while found := self._tx.fetch(query, (self._number, next_slot, RECORDS_AT_ONCE)):
            every = [(SealPlace(*row[:4]), row[4]) for row in found]
            cells = [cell for cell in every if any(tree.holds(cell[0].serial) for tree in self._trees)]
            self._checked["records"] += len(cells)
            yield from self._not_opening(self._seal.open_records, cells, None)
            next_slot = found[-1][1] + 1

    def _epochs(self) -> Iterator[str]:
        """Each epoch is the work of one request, and what it did can still be counted."""
        of_rows: dict[int, int] = dict(
            self._tx.fetch("SELECT epoch, count(*) FROM live_rows WHERE collection = ? GROUP BY epoch", (self._number,))
        )
        of_erasures: dict[int, int] = dict(
            self._tx.fetch("SELECT epoch, count(*) FROM erasures WHERE collection = ? GROUP BY epoch", (self._number,))
        )
        done = self._tx.fetch(
            "SELECT epoch, kind, row_count FROM requests WHERE collection_uid = ? AND epoch > 0 ORDER BY epoch",
            (self._info.uid,),
        )
        self._checked["epochs"] += self._info.epoch
        if sorted({epoch for epoch, _, _ in done}) != list(range(1, self._info.epoch + 1)):
            yield f"it is at epoch {self._info.epoch}, and its requests do not lead there one by one"
        finished_at_opening = {epoch for epoch, kind, _ in done if kind == RECOVERY}
        # The request that an opening finished for its caller says how many rows it asked for, in whatever state.
        done = [row for row in done if row[0] not in finished_at_opening or row[1] == RECOVERY]
        wrong = [
            epoch
            for epoch, kind, row_count in done
            if (
                of_rows.pop(epoch, 0) > row_count
                if kind in ("enrol", "move")
                else of_erasures.pop(epoch, 0) != row_count
            )
        ]
        yield from _named("epochs hold other rows than their request said", np.array(wrong))
        yield from _named("epochs hold rows or erasures that no request made", np.array([*of_rows, *of_erasures]))

    def _erasures(self) -> Iterator[str]:
        """A row that was erased may come again, later; a withheld one was told to mirrors as erased, later."""
        again = self._tx.fetch(
            "SELECT r.slot, r.epoch, r.withheld, max(e.epoch) FROM erasures AS e JOIN live_rows AS r"
            " ON r.collection = e.collection AND r.row_id = e.row_id WHERE e.collection = ?"
            " GROUP BY r.slot, r.epoch, r.withheld",
            (self._number,),
        )
        back = [slot for slot, epoch, withheld, erased in again if not withheld and erased >= epoch]
        yield from _named("rows are live although they were erased later", np.array(back))
        told = {slot for slot, epoch, withheld, erased in again if withheld and erased > epoch}
        withheld = self._column("SELECT slot FROM live_rows WHERE collection = ? AND withheld = 1", self._number)
        yield from _named("rows are withheld and mirrors were not told", np.setdiff1d(withheld, list(told)))
        cut = self._column(
            "SELECT serial FROM erasures WHERE collection = ? AND serial IS NOT NULL ORDER BY serial", self._number
        )
        serials = self._column("SELECT serial FROM live_rows WHERE collection = ? ORDER BY serial", self._number)
        if len(np.unique(serials)) != len(serials) or len(np.intersect1d(serials, cut)):
            yield "two rows have one key"
        self._checked["erasures"] += self._count("SELECT count(*) FROM erasures WHERE collection = ?")


def _named(what: str, places: Numbers) -> Iterator[str]:
    """One finding for all places of a kind."""
    if len(places):
        shown = ", ".join(str(int(place)) for place in places[:SHOWN])
        yield f"{len(places)} {what}: {shown}{' and others' if len(places) > SHOWN else ''}"
