"""What mirrors are told: rows that came and went between two epochs, a page at a time.

Each page is read in a transaction of its own, so that a slow caller keeps nobody waiting. What changes in between has a
later epoch and belongs to the next synchronisation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from unseen.errors import Mismatch
from unseen.store import rows
from unseen.store.collections import find_collection
from unseen.store.database import Database, Transaction
from unseen.store.sealing import CollectionSeal
from unseen.types import CatalogueChanges, CatalogueEntry

ERASED_IDS_PER_PAGE = 32768
"""Half a MiB of row ids."""
BEYOND_ANY_SLOT = 1 << 62
BEYOND_ANY_ROW_ID = b"\xff" * 17


SealOf = Callable[[Transaction, bytes], CollectionSeal]
"""The keys of a collection's rows as they stand in a transaction."""


def changes(
    database: Database,
    seal_of: SealOf,
    uid: bytes,
    since_epoch: int,
    until_epoch: int,
    page_bytes: int,
    most_rows: int,
) -> Iterator[CatalogueChanges]:
    """As ``Store.changes``."""
    with database.reading() as tx:
        number, stored = find_collection(tx, uid)
        if since_epoch > stored.info.epoch:
            raise Mismatch(
                f"the mirror is at epoch {since_epoch} and the collection at {stored.info.epoch}: the server went "
                "back to an older state; drop the mirror and synchronise from 0"
            )
        enough = rows.epoch_after(tx, number, since_epoch, most_rows) or until_epoch
    until = max(since_epoch, min(until_epoch, stored.info.epoch, enough))
    nothing = True
    for erased in _erased(database, uid, since_epoch, until):
        nothing = False
        yield CatalogueChanges(until, (), erased)
    for added in _added(database, seal_of, uid, since_epoch, until, page_bytes):
        nothing = False
        yield CatalogueChanges(until, added, ())
    if nothing:
        yield CatalogueChanges(until, (), ())


def entries(database: Database, seal_of: SealOf, uid: bytes, row_ids: Sequence[bytes]) -> tuple[CatalogueEntry, ...]:
    """As ``Store.entries``."""
    with database.reading() as tx:
        number, _ = find_collection(tx, uid)
        found = rows.records_of(tx, number, row_ids)
        seal = seal_of(tx, uid)
    return _opened(seal, found)


def _erased(database: Database, uid: bytes, since_epoch: int, until_epoch: int) -> Iterator[tuple[bytes, ...]]:
    if not since_epoch:
        return  # who has no row yet needs none taken away
    after = (since_epoch, BEYOND_ANY_ROW_ID)
    while True:
        with database.reading() as tx:
            number, _ = find_collection(tx, uid)
            found = rows.read_erased(tx, number, after, until_epoch, ERASED_IDS_PER_PAGE)
        if not found:
            return
        yield tuple(row_id for _, row_id in found)
        after = found[-1]


def _added(
    database: Database, seal_of: SealOf, uid: bytes, since_epoch: int, until_epoch: int, page_bytes: int
) -> Iterator[tuple[CatalogueEntry, ...]]:
    after = (since_epoch, BEYOND_ANY_SLOT)
    while True:
        with database.reading() as tx:
            number, _ = find_collection(tx, uid)
            found = rows.read_records(tx, number, after, until_epoch, page_bytes)
            seal = seal_of(tx, uid)
        if not found:
            return
        yield _opened(seal, found)
        last = found[-1][0]
        after = (last.epoch, last.slot)


def _opened(seal: CollectionSeal, found: Sequence[rows.SealedRow]) -> tuple[CatalogueEntry, ...]:
    places = [place for place, _ in found]
    records = zip(places, seal.open_records(places, (sealed for _, sealed in found)), strict=True)
    return tuple(CatalogueEntry(place.row_id, place.slot, place.epoch, record) for place, record in records)
