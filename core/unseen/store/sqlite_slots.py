"""Which slots new rows take. Runs inside the store's transactions.

Slots come in extents of SLOTS_PER_EXTENT, and an extent belongs to one compartment for good: so no block of any packing
holds rows of two. A compartment fills what is free in its extents, lowest first, then the end of its own last extent
if that is the last of all, then new extents. What an extent has left when another one is begun after it is free.
"""

from __future__ import annotations

from collections.abc import Sequence

import apsw

from unseen.store.interface import SLOTS_PER_EXTENT


def take_slots(
    db: apsw.Connection, collection: int, slots_handed_out: int, count: int, compartment: int
) -> tuple[list[int], int]:
    """``count`` places in a compartment, and how many slots are handed out after that."""
    slots = _take_free(db, collection, count, compartment)
    missing = count - len(slots)
    if not missing:
        return slots, slots_handed_out
    first = _tail(db, collection, slots_handed_out, compartment)
    end = first + missing
    slots += range(first, end)
    _claim(db, collection, first // SLOTS_PER_EXTENT, _extents_in(end), compartment)
    return slots, end


def read_extents(db: apsw.Connection, collection: int) -> tuple[int, ...]:
    """The compartment of each extent, in order."""
    found = db.execute("SELECT compartment FROM extents WHERE collection = ? ORDER BY extent", (collection,))
    return tuple(int(str(compartment)) for (compartment,) in found.fetchall())


def free(db: apsw.Connection, collection: int, slots: Sequence[int] | range) -> None:
    """Give slots to later rows of their extents' compartments."""
    db.executemany("INSERT INTO free_slots VALUES (?, ?)", [(collection, slot) for slot in slots])


def _take_free(db: apsw.Connection, collection: int, count: int, compartment: int) -> list[int]:
    found = db.execute(
        "SELECT slot FROM free_slots JOIN extents"
        " ON extents.collection = free_slots.collection AND extent = slot / ?"
        " WHERE free_slots.collection = ? AND compartment = ? ORDER BY slot LIMIT ?",
        (SLOTS_PER_EXTENT, collection, compartment, count),
    )
    slots = [int(str(slot)) for (slot,) in found.fetchall()]
    db.executemany("DELETE FROM free_slots WHERE collection = ? AND slot = ?", [(collection, slot) for slot in slots])
    return slots


def _tail(db: apsw.Connection, collection: int, slots_handed_out: int, compartment: int) -> int:
    """Where new slots of a compartment begin: at the end, or at a new extent when the last one is another's."""
    extents = _extents_in(slots_handed_out)
    at_an_edge = slots_handed_out == extents * SLOTS_PER_EXTENT
    if at_an_edge or _compartment_of(db, collection, extents - 1) == compartment:
        return slots_handed_out
    first = extents * SLOTS_PER_EXTENT
    free(db, collection, range(slots_handed_out, first))
    return first


def _compartment_of(db: apsw.Connection, collection: int, extent: int) -> int:
    found = db.execute("SELECT compartment FROM extents WHERE collection = ? AND extent = ?", (collection, extent))
    return int(str(found.get))


def _claim(db: apsw.Connection, collection: int, first_extent: int, end_extent: int, compartment: int) -> None:
    db.executemany(
        "INSERT INTO extents VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        [(collection, extent, compartment) for extent in range(first_extent, end_extent)],
    )


def _extents_in(slots: int) -> int:
    return -(-slots // SLOTS_PER_EXTENT)
