"""Which slots new rows take. Runs inside the store's transactions.

Slots come in extents of SLOTS_PER_EXTENT, and an extent belongs to one compartment for good: so no block of any packing
holds rows of two. A compartment fills what is free in its extents, lowest first, then the end of its own last extent
if that is the last of all, then new extents. What an extent has left when another one is begun after it is free.
"""

from __future__ import annotations

from collections.abc import Sequence

from unseen.store.database import Transaction
from unseen.store.interface import SLOTS_PER_EXTENT


def take_slots(
    tx: Transaction, collection: int, slots_handed_out: int, count: int, compartment: int
) -> tuple[list[int], int]:
    """``count`` places in a compartment, and how many slots are handed out after that."""
    slots = _take_free(tx, collection, count, compartment)
    missing = count - len(slots)
    if not missing:
        return slots, slots_handed_out
    first = _tail(tx, collection, slots_handed_out, compartment)
    end = first + missing
    slots += range(first, end)
    claim(tx, collection, first // SLOTS_PER_EXTENT, extents_in(end), compartment)
    return slots, end


def read_extents(tx: Transaction, collection: int) -> tuple[int, ...]:
    """The compartment of each extent, in order."""
    found = tx.fetch("SELECT compartment FROM extents WHERE collection = ? ORDER BY extent", (collection,))
    return tuple(compartment for (compartment,) in found)


def free(tx: Transaction, collection: int, slots: Sequence[int] | range) -> None:
    """Give slots to later rows of their extents' compartments."""
    tx.run_each("INSERT INTO free_slots VALUES (?, ?)", [(collection, slot) for slot in slots])


def extents_in(slots: int) -> int:
    """How many extents so many slots lie in."""
    return -(-slots // SLOTS_PER_EXTENT)


def _take_free(tx: Transaction, collection: int, count: int, compartment: int) -> list[int]:
    found = tx.fetch(
        "SELECT slot FROM free_slots JOIN extents"
        " ON extents.collection = free_slots.collection AND extent = slot / ?"
        " WHERE free_slots.collection = ? AND compartment = ? ORDER BY slot LIMIT ?",
        (SLOTS_PER_EXTENT, collection, compartment, count),
    )
    slots = [slot for (slot,) in found]
    tx.run_each("DELETE FROM free_slots WHERE collection = ? AND slot = ?", [(collection, slot) for slot in slots])
    return slots


def _tail(tx: Transaction, collection: int, slots_handed_out: int, compartment: int) -> int:
    """Where new slots of a compartment begin: at the end, or at a new extent when the last one is another's."""
    extents = extents_in(slots_handed_out)
    at_an_edge = slots_handed_out == extents * SLOTS_PER_EXTENT
    if at_an_edge or _compartment_of(tx, collection, extents - 1) == compartment:
        return slots_handed_out
    first = extents * SLOTS_PER_EXTENT
    free(tx, collection, range(slots_handed_out, first))
    return first


def _compartment_of(tx: Transaction, collection: int, extent: int) -> int:
    found = tx.fetch("SELECT compartment FROM extents WHERE collection = ? AND extent = ?", (collection, extent))
    return int(found[0][0])


def claim(tx: Transaction, collection: int, first_extent: int, end_extent: int, compartment: int) -> None:
    tx.run_each(
        "INSERT INTO extents VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        [(collection, extent, compartment) for extent in range(first_extent, end_extent)],
    )
