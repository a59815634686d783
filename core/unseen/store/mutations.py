"""How rows come and go: the steps of each mutation, inside one transaction of the caller (``durable.py``).

carried out before? -> checks -> slots, epoch, seals -> written down, with the request
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unseen.errors import CollectionNotFound, InvalidInput
from unseen.keys.ring_content import Erasure
from unseen.params import is_owner
from unseen.store import rows, slots
from unseen.store.collections import find_collection, update_counts
from unseen.store.database import Transaction
from unseen.store.interface import Change, StoredCollection
from unseen.store.requests import (
    Finished,
    Request,
    find_finished,
    remember_finished,
    replayed,
    require_enrolment_stands,
    require_erasure_stands,
)
from unseen.store.row_keys import note_ring_state
from unseen.store.sealing import CollectionSeal, SealPlace, StoreSeals
from unseen.types import Int16Matrix, RowBatch


def require_shape(vectors: Int16Matrix, batch: RowBatch, dimension: int) -> None:
    """InvalidInput unless there is a vector of this dimension and a record for each row, and at least one row."""
    count = len(batch.row_ids)
    if batch.consents and len(batch.consents) != count:
        raise InvalidInput(f"got {len(batch.consents)} consents for {count} rows; give one for each, or none at all")
    if not count or vectors.shape != (count, dimension) or len(batch.sealed_records) != count:
        raise InvalidInput(
            f"got vectors of shape {vectors.shape} and {len(batch.sealed_records)} records for {count} rows; "
            f"expected at least one row, dimension {dimension}, one record a row"
        )


def repeated_enrolment(tx: Transaction, request: Request) -> Change | None:
    """The answer to an enrolment that was carried out before and stands; None when it is new."""
    done = find_finished(tx, request)
    if done is None:
        return None
    number, stored = standing(tx, done)
    require_enrolment_stands(tx, number, done)
    return _repetition(done, stored)


def enrol(
    tx: Transaction,
    request: Request,
    uid: bytes,
    batch: RowBatch,
    seal: CollectionSeal,
    serials: Sequence[int],
    compartment: int,
) -> Change:
    """Add rows whose shape was checked; RowExists when one is there already."""
    number, stored = find_collection(tx, uid)
    rows.require_absent(tx, number, batch.row_ids)
    taken, handed_out = slots.take_slots(tx, number, stored.info.slots, len(batch.row_ids), compartment)
    return place(tx, request, uid, batch, seal, serials, taken, handed_out)


def place(
    tx: Transaction,
    request: Request,
    uid: bytes,
    batch: RowBatch,
    seal: CollectionSeal,
    serials: Sequence[int],
    taken: Sequence[int],
    handed_out: int,
) -> Change:
    """Write rows into slots that were taken for them."""
    number, stored = find_collection(tx, uid)
    count, epoch = len(batch.row_ids), stored.info.epoch + 1
    of_rows = zip(batch.row_ids, taken, serials, strict=True)
    places = [SealPlace(row_id, slot, epoch, serial) for row_id, slot, serial in of_rows]
    if not is_owner(stored.info.parameter_id):  # whose rows stand in blocks
        vectors = seal.seal_vectors(places, (vector.tobytes() for vector in batch.vectors))
        rows.write_vectors(tx, number, zip(taken, vectors, strict=True))
    records = rows.write_records(tx, number, seal.seal_records(places, batch.sealed_records))
    rows.write_rows(tx, number, places, records, batch.consents or (b"",) * count)
    update_counts(tx, number, handed_out, stored.info.rows + count, epoch)
    return finished(tx, request, uid, epoch, taken)


def withhold(tx: Transaction, request: Request, uid: bytes, row_ids: Sequence[bytes]) -> Change:
    """Keep rows but let nobody find them."""
    if done := find_finished(tx, request):
        return _repetition(done, standing(tx, done)[1])
    number, stored = find_collection(tx, uid)
    epoch, count = stored.info.epoch + 1, len(row_ids)
    places = [place.slot for place in rows.require_live(tx, number, row_ids)]
    rows.withhold(tx, number, places)
    rows.remember_erasures(tx, number, epoch, row_ids, None)
    update_counts(tx, number, stored.info.slots, stored.info.rows - count, epoch)
    return finished(tx, request, uid, epoch, places)


def erase(tx: Transaction, request: Request, uid: bytes, row_ids: Sequence[bytes], seals: StoreSeals) -> Change:
    """Destroy rows: first their keys, then what they sealed."""
    if done := find_finished(tx, request):
        number, stored = standing(tx, done)
        require_erasure_stands(tx, number, done)
        return _repetition(done, stored)
    places = rows.require_rows(tx, find_collection(tx, uid)[0], row_ids)
    erasure = Erasure(request.request_id, request.digest, uid, len(row_ids))
    seals.erase(uid, (place.serial for place in places), erasure)
    note_ring_state(tx, seals.ring.content.state)
    change = remove(tx, uid, row_ids)
    remember_finished(tx, request, Finished(uid, change.epoch, len(row_ids)))
    return change


def remove(tx: Transaction, uid: bytes, row_ids: Sequence[bytes]) -> Change:
    """Overwrite rows whose keys are destroyed, and forget them."""
    number, stored = find_collection(tx, uid)
    epoch = stored.info.epoch + 1
    places = rows.require_rows(tx, number, row_ids)
    taken = [place.slot for place in places]
    # A withheld row is gone for mirrors already, and no longer counted.
    counted = sum(not place.withheld for place in places)
    rows.destroy_cells(tx, number, places, with_vectors=not is_owner(stored.info.parameter_id))
    rows.remove_rows(tx, number, taken)
    slots.free(tx, number, taken)
    rows.remember_erasures(tx, number, epoch, row_ids, [place.serial for place in places])
    update_counts(tx, number, stored.info.slots, stored.info.rows - counted, epoch)
    return Change(epoch, np.array(taken, np.int64), find_collection(tx, uid)[1], repeated=False)


def standing(tx: Transaction, done: Finished) -> tuple[int, StoredCollection]:
    """The collection that a finished request was about; RequestReplayed when it was deleted since."""
    try:
        return find_collection(tx, done.collection_uid)
    except CollectionNotFound:
        raise replayed("its collection was deleted since") from None


def finished(tx: Transaction, request: Request, uid: bytes, epoch: int, places: Sequence[int]) -> Change:
    """Write down that rows came to these slots, or left them, and give the change."""
    remember_finished(tx, request, Finished(uid, epoch, len(places)))
    return Change(epoch, np.array(places, np.int64), find_collection(tx, uid)[1], repeated=False)


def _repetition(done: Finished, stored: StoredCollection) -> Change:
    return Change(done.epoch, np.empty(0, np.int64), stored, repeated=True)
