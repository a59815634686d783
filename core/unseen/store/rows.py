"""Rows as they lie in tables. Each function runs inside the transaction of the caller (``mutations.py``).

Sealed cells are appended, overwritten with bytes of the same length, and never moved: see ``schema.py``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from unseen.envelope import SEAL_OVERHEAD_BYTES
from unseen.errors import InvalidInput, RowExists, RowNotFound
from unseen.store.database import Transaction, Values
from unseen.store.interface import PlacedRow
from unseen.store.schema import records_table, vectors_table
from unseen.store.sealing import SealPlace

ENTRY_OVERHEAD_BYTES = 48 - SEAL_OVERHEAD_BYTES
"""Row id, slot, epoch and framing of one catalogue entry on the wire, rounded up, less the seal that stays here."""
SealedRow = tuple[SealPlace, bytes]
"""A row's place and the vector or record that is sealed for it."""

PLACE = "row_id, slot, epoch, serial"
"""The columns of a SealPlace."""


@dataclass(frozen=True)
class RowPlace:
    """Where a row's sealed bytes lie: its vector under ``slot``, its record under ``record``; ``serial`` is its key."""

    slot: int
    record: int
    withheld: bool
    serial: int


def require_distinct(row_ids: Sequence[bytes]) -> None:
    """InvalidInput when a row comes twice in one request."""
    if len(set(row_ids)) != len(row_ids):
        raise InvalidInput("a row id comes twice in one request; name each row once")


def require_absent(tx: Transaction, collection: int, row_ids: Sequence[bytes]) -> None:
    """RowExists when one of the rows is there, withheld or not."""
    if find_rows(tx, collection, row_ids):
        raise RowExists("a row with one of these ids is enrolled already; erase it before enrolling it anew")


def require_rows(tx: Transaction, collection: int, row_ids: Sequence[bytes]) -> list[RowPlace]:
    """Where each row is, withheld ones included; RowNotFound when one is not there."""
    found = find_rows(tx, collection, row_ids)
    return [_require_row(found.get(row_id)) for row_id in row_ids]


def require_live(tx: Transaction, collection: int, row_ids: Sequence[bytes]) -> list[RowPlace]:
    """Where each row is; RowNotFound when one is not there or is withheld."""
    places = require_rows(tx, collection, row_ids)
    for place in places:
        _require_row(None if place.withheld else place)
    return places


def _require_row(place: RowPlace | None) -> RowPlace:
    if place is None:
        raise _not_there()
    return place


def _not_there() -> RowNotFound:
    return RowNotFound("a row with one of these ids is not enrolled here; nothing was changed")


def find_rows(tx: Transaction, collection: int, row_ids: Sequence[bytes]) -> dict[bytes, RowPlace]:
    """Where rows are, withheld or not; those that are not there are left out."""
    found = tx.fetch_each(
        "SELECT row_id, slot, record, withheld, serial FROM live_rows WHERE collection = ? AND row_id = ?",
        [(collection, row_id) for row_id in row_ids],
    )
    return {row_id: RowPlace(slot, record, bool(withheld), serial) for row_id, slot, record, withheld, serial in found}


def rows_resting_on(tx: Transaction, collection: int, consent: bytes) -> tuple[PlacedRow, ...]:
    """Every row under a consent, in slot order."""
    found = tx.fetch(
        "SELECT row_id, slot, withheld FROM live_rows WHERE collection = ? AND consent = ? AND length(consent) > 0"
        " ORDER BY slot",
        (collection, consent),
    )
    return tuple(PlacedRow(row_id, slot, bool(withheld)) for row_id, slot, withheld in found)


def withheld(tx: Transaction, collection: int) -> tuple[PlacedRow, ...]:
    """Every withheld row, in slot order."""
    found = tx.fetch(
        "SELECT row_id, slot FROM live_rows WHERE collection = ? AND withheld = 1 ORDER BY slot", (collection,)
    )
    return tuple(PlacedRow(row_id, slot, withheld=True) for row_id, slot in found)


def records_of(tx: Transaction, collection: int, row_ids: Sequence[bytes]) -> list[SealedRow]:
    """The records of these rows, withheld ones too, in the order given; RowNotFound when one is not there."""
    found = tx.fetch_each(
        f"SELECT {PLACE}, sealed FROM live_rows JOIN {records_table(collection)} USING (record)"  # noqa: S608
        " WHERE collection = ? AND row_id = ?",
        [(collection, row_id) for row_id in row_ids],
    )
    by_id = {place[0]: (SealPlace(*place), sealed) for *place, sealed in found}
    for row_id in row_ids:
        if row_id not in by_id:
            raise _not_there()
    return [by_id[row_id] for row_id in row_ids]


def withhold(tx: Transaction, collection: int, slots: Sequence[int]) -> None:
    """Mark rows as kept but not to be found."""
    tx.run_each(
        "UPDATE live_rows SET withheld = 1 WHERE collection = ? AND slot = ?", [(collection, slot) for slot in slots]
    )


def remember_erasures(
    tx: Transaction, collection: int, epoch: int, row_ids: Sequence[bytes], serials: Sequence[int] | None
) -> None:
    """Tell mirrors that rows are gone since an epoch, and a key ring which serials; None while they keep their keys."""
    tx.run_each("INSERT INTO erasures VALUES (?, ?, ?, NULL)", [(collection, epoch, row_id) for row_id in row_ids])
    if serials is not None:
        tx.run_each(
            "UPDATE erasures SET serial = ? WHERE collection = ? AND epoch = ? AND row_id = ?",
            [(serial, collection, epoch, row_id) for serial, row_id in zip(serials, row_ids, strict=True)],
        )


def write_rows(
    tx: Transaction,
    collection: int,
    places: Sequence[SealPlace],
    records: Sequence[int],
    consents: Sequence[bytes],
) -> None:
    """Write down which rows are there now, and where."""
    tx.run_each(
        "INSERT INTO live_rows VALUES (?, ?, ?, ?, ?, ?, 0, ?)",
        [
            (collection, place.slot, place.row_id, place.epoch, record, consent, place.serial)
            for place, record, consent in zip(places, records, consents, strict=True)
        ],
    )


def move_rows(tx: Transaction, collection: int, places: Sequence[SealPlace]) -> None:
    """Write down that rows stand in other slots now."""
    tx.run_each(
        "UPDATE live_rows SET slot = ?, epoch = ? WHERE collection = ? AND row_id = ?",
        [(place.slot, place.epoch, collection, place.row_id) for place in places],
    )


def remove_rows(tx: Transaction, collection: int, slots: Sequence[int]) -> None:
    """Forget which rows were there."""
    tx.run_each("DELETE FROM live_rows WHERE collection = ? AND slot = ?", [(collection, slot) for slot in slots])


def write_vectors(tx: Transaction, collection: int, cells: Iterable[tuple[int, bytes]]) -> None:
    """Write sealed vectors under their slots."""
    # A slot that is used again has a cell of this very length: it is overwritten where it lies.
    tx.run_each(
        f"INSERT INTO {vectors_table(collection)} (slot, sealed) VALUES (?, ?)"  # noqa: S608 - a number, see schema.py
        " ON CONFLICT (slot) DO UPDATE SET sealed = excluded.sealed",
        cells,
    )


def write_records(tx: Transaction, collection: int, sealed_records: Sequence[bytes]) -> list[int]:
    """Write sealed records, into erased room of exactly their length where there is some; returns their numbers."""
    table = records_table(collection)
    free = {
        size: take_free_records(tx, collection, size, count)
        for size, count in Counter(map(len, sealed_records)).items()
    }
    after_last = tx.fetch(f"SELECT coalesce(max(record), 0) + 1 FROM {table}")[0][0]  # noqa: S608
    numbers: list[int] = []
    fresh: list[Values] = []
    used_again: list[Values] = []
    for sealed in sealed_records:
        room = free[len(sealed)]
        if room:
            numbers.append(room.pop(0))
            used_again.append((sealed, numbers[-1]))
        else:
            numbers.append(after_last + len(fresh))
            fresh.append((numbers[-1], sealed))
    tx.run_each(f"INSERT INTO {table} (record, sealed) VALUES (?, ?)", fresh)  # noqa: S608
    tx.run_each(f"UPDATE {table} SET sealed = ? WHERE record = ?", used_again)  # noqa: S608
    return numbers


def take_free_records(tx: Transaction, collection: int, size_bytes: int, count: int) -> list[int]:
    """Up to ``count`` erased records of exactly this length, lowest first, no longer free."""
    found = tx.fetch(
        "SELECT record FROM free_records WHERE collection = ? AND size_bytes = ? ORDER BY record LIMIT ?",
        (collection, size_bytes, count),
    )
    numbers = [record for (record,) in found]
    tx.run_each(
        "DELETE FROM free_records WHERE collection = ? AND size_bytes = ? AND record = ?",
        [(collection, size_bytes, number) for number in numbers],
    )
    return numbers


def destroy_cells(tx: Transaction, collection: int, places: Sequence[RowPlace], with_vectors: bool = True) -> None:
    """Zero the sealed bytes of rows where they lie, and give the room of their records to later ones."""
    if with_vectors:
        tx.zero(vectors_table(collection), "slot", [place.slot for place in places])
    records = [place.record for place in places]
    sizes = tx.zero(records_table(collection), "record", records)
    tx.run_each(
        "INSERT INTO free_records VALUES (?, ?, ?)", zip([collection] * len(places), sizes, records, strict=True)
    )


def read_vectors(tx: Transaction, collection: int, first_slot: int, count: int) -> list[SealedRow]:
    """Up to ``count`` live rows from ``first_slot`` on, in slot order."""
    found = tx.fetch(
        f"SELECT {PLACE}, sealed FROM live_rows JOIN {vectors_table(collection)} USING (slot)"  # noqa: S608
        " WHERE collection = ? AND slot >= ? AND withheld = 0 ORDER BY slot LIMIT ?",
        (collection, first_slot, count),
    )
    return [(SealPlace(*place), sealed) for *place, sealed in found]


def read_erased(
    tx: Transaction, collection: int, after: tuple[int, bytes], until_epoch: int, count: int
) -> list[tuple[int, bytes]]:
    """Up to ``count`` pairs of epoch and row id erased after such a pair and no later than an epoch, in that order."""
    return tx.fetch(
        "SELECT epoch, row_id FROM erasures WHERE collection = ? AND (epoch, row_id) > (?, ?) AND epoch <= ?"
        " ORDER BY epoch, row_id LIMIT ?",
        (collection, *after, until_epoch, count),
    )


def epoch_after(tx: Transaction, collection: int, since_epoch: int, rows: int) -> int | None:
    """The epoch that added the last of the first ``rows`` live rows after an epoch; None when there are fewer."""
    found = tx.fetch(
        "SELECT epoch FROM live_rows WHERE collection = ? AND epoch > ? AND withheld = 0"
        " ORDER BY epoch, slot LIMIT 1 OFFSET ?",
        (collection, since_epoch, rows - 1),
    )
    return int(found[0][0]) if found else None


def read_records(
    tx: Transaction, collection: int, after: tuple[int, int], until_epoch: int, size_bytes: int
) -> list[SealedRow]:
    """Records of live rows added after (epoch, slot) and no later than an epoch, in that order: one, and what fits."""
    query = (
        f"SELECT {PLACE}, sealed FROM live_rows JOIN {records_table(collection)} USING (record)"  # noqa: S608
        " WHERE collection = ? AND (epoch, slot) > (?, ?) AND epoch <= ? AND withheld = 0 ORDER BY epoch, slot"
    )
    with tx.stream(query, (collection, *after, until_epoch)) as found:
        return list(_while_they_fit(((SealPlace(*place), sealed) for *place, sealed in found), size_bytes))


def _while_they_fit(found: Iterator[SealedRow], size_bytes: int) -> Iterator[SealedRow]:
    for number, row in enumerate(found):
        size_bytes -= len(row[1]) + ENTRY_OVERHEAD_BYTES
        if number and size_bytes < 0:
            return
        yield row
