"""What every store promises, whatever lies beneath: the suite behind unseen.store.interface."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unseen.entropy import random_uid
from unseen.errors import (
    CollectionExists,
    CollectionNotFound,
    InvalidInput,
    Mismatch,
    RequestReplayed,
    RowExists,
    RowNotFound,
    StoreFailed,
)
from unseen.store.interface import NewCollection, Store, StoredCollection
from unseen.types import CatalogueEntry, RowBatch

OpenStore = Callable[[], Store]
MakeBatch = Callable[..., RowBatch]
MakeNew = Callable[..., NewCollection]

EVERY_ROW = 1 << 30
NEWEST = 1 << 60
"""Beyond any epoch."""
PAGE_BYTES = 1 << 20


@pytest.fixture
def uid(store: Store, new_collection: MakeNew) -> bytes:
    return store.create(random_uid(), new_collection()).info.uid


def collection(store: Store, uid: bytes) -> StoredCollection:
    return next(stored for stored in store.collections() if stored.info.uid == uid)


def vectors_by_slot(store: Store, uid: bytes) -> dict[int, list[int]]:
    return {
        int(slot): vector.tolist()
        for page in store.vectors(uid)
        for slot, vector in zip(page.slots, page.vectors, strict=True)
    }


def mirror(store: Store, uid: bytes, since: int = 0, known: dict[bytes, CatalogueEntry] | None = None) -> object:
    entries = dict(known or {})
    for page in store.changes(uid, since, NEWEST, PAGE_BYTES, EVERY_ROW):
        for row_id in page.erased:
            entries.pop(row_id, None)
        entries.update({entry.row_id: entry for entry in page.added})
    return entries


# Collections


def test_new_store_is_empty_and_keeps_its_uid(open_store: OpenStore) -> None:
    first = open_store()
    uid = first.uid
    assert len(uid) == 16
    assert first.collections() == ()
    first.close()
    assert open_store().uid == uid


def test_collections_come_back_by_name_after_reopening(open_store: OpenStore, new_collection: MakeNew) -> None:
    first = open_store()
    made = [first.create(random_uid(), new_collection(name)) for name in ("b", "c", "a")]
    assert [stored.info.epoch for stored in made] == [0, 0, 0]
    first.close()
    assert open_store().collections() == (made[2], made[0], made[1])


def test_taken_name_is_refused(store: Store, new_collection: MakeNew) -> None:
    store.create(random_uid(), new_collection())
    with pytest.raises(CollectionExists):
        store.create(random_uid(), new_collection())


def test_repeated_create_gives_the_same_collection(store: Store, new_collection: MakeNew) -> None:
    request_id = random_uid()
    assert store.create(request_id, new_collection()) == store.create(request_id, new_collection())
    assert len(store.collections()) == 1


def test_create_replayed_after_deletion_makes_nothing(store: Store, new_collection: MakeNew) -> None:
    request_id = random_uid()
    made = store.create(request_id, new_collection())
    store.delete(random_uid(), made.info.uid)
    with pytest.raises(RequestReplayed):
        store.create(request_id, new_collection())
    assert store.collections() == ()


def test_deleted_collection_is_gone_and_its_name_free(
    store: Store, new_collection: MakeNew, make_batch: MakeBatch
) -> None:
    made = store.create(random_uid(), new_collection())
    store.enrol(random_uid(), made.info.uid, make_batch(3))
    store.delete(random_uid(), made.info.uid)
    assert store.collections() == ()
    with pytest.raises(CollectionNotFound):
        list(store.vectors(made.info.uid))
    with pytest.raises(CollectionNotFound):
        store.enrol(random_uid(), made.info.uid, make_batch(1))
    again = store.create(random_uid(), new_collection())
    assert again.info.uid != made.info.uid
    assert vectors_by_slot(store, again.info.uid) == {}


def test_repeated_delete_answers_again_and_leaves_the_namesake(store: Store, new_collection: MakeNew) -> None:
    made = store.create(random_uid(), new_collection())
    request_id = random_uid()
    store.delete(request_id, made.info.uid)
    namesake = store.create(random_uid(), new_collection())
    store.delete(request_id, made.info.uid)
    assert store.collections() == (namesake,)


def test_unknown_collection_is_not_found(store: Store, make_batch: MakeBatch) -> None:
    with pytest.raises(CollectionNotFound):
        store.delete(random_uid(), random_uid())
    with pytest.raises(CollectionNotFound):
        store.enrol(random_uid(), random_uid(), make_batch(1))
    with pytest.raises(CollectionNotFound):
        store.erase(random_uid(), random_uid(), (random_uid(),))
    with pytest.raises(CollectionNotFound):
        list(store.changes(random_uid(), 0, NEWEST, PAGE_BYTES, EVERY_ROW))


def test_repacking_is_remembered_and_leaves_the_epoch(open_store: OpenStore, new_collection: MakeNew) -> None:
    first = open_store()
    made = first.create(random_uid(), new_collection())
    after = first.repacked(made.info.uid, 4, 5000)
    assert (after.info.packing_factor, after.packed_at_slots, after.info.epoch) == (4, 5000, 0)
    first.close()
    assert open_store().collections() == (after,)


# Rows


def test_enrolled_rows_come_back_exactly_after_reopening(
    open_store: OpenStore, new_collection: MakeNew, make_batch: MakeBatch
) -> None:
    first = open_store()
    uid = first.create(random_uid(), new_collection()).info.uid
    batches = [make_batch(count) for count in (1, 5, 3)]
    changes = [first.enrol(random_uid(), uid, batch) for batch in batches]
    first.close()
    store = open_store()
    everything = np.concatenate([batch.vectors for batch in batches])
    assert vectors_by_slot(store, uid) == dict(enumerate(everything.tolist()))
    assert [change.epoch for change in changes] == [1, 2, 3]
    assert [change.slots.tolist() for change in changes] == [[0], [1, 2, 3, 4, 5], [6, 7, 8]]
    info = collection(store, uid).info
    assert (info.rows, info.slots, info.epoch) == (9, 9, 3)
    assert changes[-1].collection == collection(store, uid)


def test_more_rows_than_one_page_come_back_in_slot_order(store: Store, uid: bytes, make_batch: MakeBatch) -> None:
    batch = make_batch(9000)
    store.enrol(random_uid(), uid, batch)
    pages = list(store.vectors(uid))
    assert np.concatenate([page.slots for page in pages]).tolist() == list(range(9000))
    np.testing.assert_array_equal(np.concatenate([page.vectors for page in pages]), batch.vectors)


def test_row_that_exists_or_comes_twice_adds_nothing(store: Store, uid: bytes, make_batch: MakeBatch) -> None:
    first = make_batch(2)
    store.enrol(random_uid(), uid, first)
    before = collection(store, uid)
    fresh = make_batch(2)
    with pytest.raises(RowExists):
        store.enrol(
            random_uid(), uid, RowBatch((fresh.row_ids[0], first.row_ids[1]), fresh.vectors, fresh.sealed_records)
        )
    with pytest.raises(InvalidInput):
        store.enrol(random_uid(), uid, RowBatch((fresh.row_ids[0],) * 2, fresh.vectors, fresh.sealed_records))
    assert collection(store, uid) == before
    assert len(vectors_by_slot(store, uid)) == 2


@pytest.mark.parametrize(("rows", "dimension", "records"), [(0, 8, 0), (2, 7, 2), (1, 8, 2), (2, 8, 1), (2, 9, 2)])
def test_rows_of_another_shape_are_refused(
    store: Store, uid: bytes, make_batch: MakeBatch, rows: int, dimension: int, records: int
) -> None:
    batch = RowBatch(make_batch(rows).row_ids, make_batch(rows, dimension).vectors, make_batch(records).sealed_records)
    with pytest.raises(InvalidInput):
        store.enrol(random_uid(), uid, batch)
    assert collection(store, uid).info.epoch == 0


def test_erased_rows_are_gone_and_the_lowest_slots_are_used_again(
    open_store: OpenStore, new_collection: MakeNew, make_batch: MakeBatch
) -> None:
    store = open_store()
    uid = store.create(random_uid(), new_collection()).info.uid
    batch = make_batch(6)
    store.enrol(random_uid(), uid, batch)
    erased = store.erase(random_uid(), uid, (batch.row_ids[4], batch.row_ids[1]))
    assert erased.slots.tolist() == [4, 1]
    assert sorted(vectors_by_slot(store, uid)) == [0, 2, 3, 5]
    assert (erased.collection.info.rows, erased.collection.info.slots, erased.epoch) == (4, 6, 2)
    store.close()
    store = open_store()
    later = make_batch(3, record_bytes=99)
    assert store.enrol(random_uid(), uid, later).slots.tolist() == [1, 4, 6]
    assert vectors_by_slot(store, uid)[1] == later.vectors[0].tolist()
    assert collection(store, uid).info.slots == 7


def test_erasing_an_unknown_row_erases_none(store: Store, uid: bytes, make_batch: MakeBatch) -> None:
    batch = make_batch(2)
    store.enrol(random_uid(), uid, batch)
    with pytest.raises(RowNotFound):
        store.erase(random_uid(), uid, (batch.row_ids[0], random_uid()))
    with pytest.raises(InvalidInput):
        store.erase(random_uid(), uid, (batch.row_ids[0], batch.row_ids[0]))
    assert len(vectors_by_slot(store, uid)) == 2


def test_row_of_one_collection_cannot_be_erased_through_another(
    store: Store, uid: bytes, new_collection: MakeNew, make_batch: MakeBatch
) -> None:
    other = store.create(random_uid(), new_collection("other")).info.uid
    batch = make_batch(1)
    store.enrol(random_uid(), uid, batch)
    store.enrol(random_uid(), other, batch)
    store.erase(random_uid(), other, batch.row_ids)
    assert vectors_by_slot(store, uid) == {0: batch.vectors[0].tolist()}


# Requests


def test_repeated_enrolment_changes_nothing_also_after_reopening(
    open_store: OpenStore, new_collection: MakeNew, make_batch: MakeBatch
) -> None:
    store = open_store()
    uid = store.create(random_uid(), new_collection()).info.uid
    request_id, batch = random_uid(), make_batch(3)
    first = store.enrol(request_id, uid, batch)
    store.enrol(random_uid(), uid, make_batch(1))
    store.close()
    store = open_store()
    again = store.enrol(request_id, uid, batch)
    assert (first.repeated, again.repeated) == (False, True)
    assert (again.epoch, again.slots.tolist(), again.collection.info.epoch) == (1, [], 2)


def test_request_id_with_other_content_is_refused(
    store: Store, uid: bytes, new_collection: MakeNew, make_batch: MakeBatch
) -> None:
    request_id, batch, other = random_uid(), make_batch(2), make_batch(2)
    store.enrol(request_id, uid, batch)
    changed = [
        RowBatch(other.row_ids, batch.vectors, batch.sealed_records),
        RowBatch(batch.row_ids, other.vectors, batch.sealed_records),
        RowBatch(batch.row_ids, batch.vectors, other.sealed_records),
        RowBatch(batch.row_ids[::-1], batch.vectors, batch.sealed_records),
    ]
    for content in changed:
        with pytest.raises(RequestReplayed):
            store.enrol(request_id, uid, content)
    with pytest.raises(RequestReplayed):
        store.erase(request_id, uid, batch.row_ids)
    with pytest.raises(RequestReplayed):
        store.delete(request_id, uid)
    with pytest.raises(RequestReplayed):
        store.create(request_id, new_collection("another"))
    elsewhere = store.create(random_uid(), new_collection("elsewhere")).info.uid
    with pytest.raises(RequestReplayed):
        store.enrol(request_id, elsewhere, batch)
    assert collection(store, uid).info.epoch == 1


def test_enrolment_replayed_after_erasure_brings_nothing_back(store: Store, uid: bytes, make_batch: MakeBatch) -> None:
    request_id, batch = random_uid(), make_batch(3)
    store.enrol(request_id, uid, batch)
    store.erase(random_uid(), uid, batch.row_ids[:1])
    with pytest.raises(RequestReplayed):
        store.enrol(request_id, uid, batch)
    assert sorted(vectors_by_slot(store, uid)) == [1, 2]


def test_enrolment_replayed_after_deletion_brings_nothing_back(store: Store, uid: bytes, make_batch: MakeBatch) -> None:
    request_id, batch = random_uid(), make_batch(3)
    store.enrol(request_id, uid, batch)
    store.delete(random_uid(), uid)
    with pytest.raises(RequestReplayed):
        store.enrol(request_id, uid, batch)


def test_repeated_erasure_answers_again_until_the_row_is_back(store: Store, uid: bytes, make_batch: MakeBatch) -> None:
    request_id, batch = random_uid(), make_batch(2)
    store.enrol(random_uid(), uid, batch)
    store.erase(request_id, uid, batch.row_ids[:1])
    again = store.erase(request_id, uid, batch.row_ids[:1])
    assert (again.repeated, again.epoch, again.slots.tolist()) == (True, 2, [])
    back = RowBatch(batch.row_ids[:1], batch.vectors[:1], batch.sealed_records[:1])
    store.enrol(random_uid(), uid, back)
    with pytest.raises(RequestReplayed):
        store.erase(request_id, uid, batch.row_ids[:1])
    assert len(vectors_by_slot(store, uid)) == 2


# The catalogue


def test_mirror_from_nothing_holds_every_live_row(store: Store, uid: bytes, make_batch: MakeBatch) -> None:
    batch = make_batch(700, record_bytes=100)
    store.enrol(random_uid(), uid, batch)
    store.erase(random_uid(), uid, batch.row_ids[10:20])
    assert mirror(store, uid) == {
        row_id: CatalogueEntry(row_id, slot, 1, record)
        for slot, (row_id, record) in enumerate(zip(batch.row_ids, batch.sealed_records, strict=True))
        if not 10 <= slot < 20
    }


def test_pages_keep_to_their_size_and_end_at_one_epoch(store: Store, uid: bytes, make_batch: MakeBatch) -> None:
    store.enrol(random_uid(), uid, make_batch(50, record_bytes=100))
    store.enrol(random_uid(), uid, make_batch(50, record_bytes=100))
    pages = list(store.changes(uid, 0, NEWEST, 1000, EVERY_ROW))
    assert all(sum(len(entry.sealed_record) for entry in page.added) <= 1000 for page in pages)
    assert {page.epoch for page in pages} == {2}
    assert sum(len(page.added) for page in pages) == 100


def test_a_long_catalogue_comes_in_parts_that_end_at_an_epoch(store: Store, uid: bytes, make_batch: MakeBatch) -> None:
    batches = [make_batch(40) for _ in range(5)]
    for batch in batches:
        store.enrol(random_uid(), uid, batch)
    store.erase(random_uid(), uid, batches[0].row_ids[:30])
    store.enrol(random_uid(), uid, make_batch(10))
    entries: dict[bytes, CatalogueEntry] = {}
    epoch, ends = 0, []
    while epoch < 7:
        for page in list(store.changes(uid, epoch, NEWEST, PAGE_BYTES, 60)):
            for row_id in page.erased:
                entries.pop(row_id, None)
            entries.update({entry.row_id: entry for entry in page.added})
            assert all(epoch < entry.epoch <= page.epoch for entry in page.added)
        ends.append(epoch := page.epoch)
    assert ends == [3, 5, 7]
    assert entries == mirror(store, uid)


def test_record_larger_than_a_page_still_comes(store: Store, uid: bytes, make_batch: MakeBatch) -> None:
    store.enrol(random_uid(), uid, make_batch(3, record_bytes=5000))
    assert [len(page.added) for page in store.changes(uid, 0, NEWEST, 1000, EVERY_ROW)] == [1, 1, 1]


def test_mirror_that_is_up_to_date_gets_one_empty_page(store: Store, uid: bytes, make_batch: MakeBatch) -> None:
    store.enrol(random_uid(), uid, make_batch(3))
    pages = list(store.changes(uid, 1, NEWEST, PAGE_BYTES, EVERY_ROW))
    assert [(page.epoch, page.added, page.erased) for page in pages] == [(1, (), ())]


def test_mirror_ahead_of_the_store_is_told_so(store: Store, uid: bytes) -> None:
    with pytest.raises(Mismatch):
        list(store.changes(uid, 1, NEWEST, PAGE_BYTES, EVERY_ROW))


def test_changes_end_at_the_epoch_asked_for(store: Store, uid: bytes, make_batch: MakeBatch) -> None:
    first, second, third = (make_batch(5) for _ in range(3))
    store.enrol(random_uid(), uid, first)
    store.enrol(random_uid(), uid, second)
    store.erase(random_uid(), uid, second.row_ids[:2])
    store.enrol(random_uid(), uid, third)

    def taken(since: int, until: int, rows: int = EVERY_ROW) -> tuple[set[int], int, int]:
        pages = list(store.changes(uid, since, until, PAGE_BYTES, rows))
        return (
            {page.epoch for page in pages},
            sum(len(page.added) for page in pages),
            sum(len(page.erased) for page in pages),
        )

    assert taken(0, 1) == ({1}, 5, 0)
    assert taken(1, 2) == ({2}, 3, 0)
    assert taken(1, 3) == ({3}, 3, 2)
    assert taken(0, 4, rows=6) == ({2}, 8, 0)
    assert taken(0, 1, rows=6) == ({1}, 5, 0)
    assert taken(2, 2) == ({2}, 0, 0)
    assert taken(3, 2) == ({3}, 0, 0), "who is ahead of the caller's epoch is not sent back"


def test_erased_ids_come_in_pages_each_once(
    store: Store, uid: bytes, make_batch: MakeBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unseen.store.catalogue.ERASED_IDS_PER_PAGE", 7)
    batch = make_batch(50)
    store.enrol(random_uid(), uid, batch)
    for start in (0, 10, 30):
        store.erase(random_uid(), uid, batch.row_ids[start : start + 10])
    pages = list(store.changes(uid, 2, NEWEST, PAGE_BYTES, EVERY_ROW))
    assert [len(page.erased) for page in pages] == [7, 7, 6]
    erased = [row_id for page in pages for row_id in page.erased]
    assert sorted(erased) == sorted(batch.row_ids[10:20] + batch.row_ids[30:40])
    assert len(list(store.changes(uid, 3, 3, PAGE_BYTES, EVERY_ROW))) == 1


def test_change_during_reading_belongs_to_the_next_synchronisation(
    store: Store, uid: bytes, make_batch: MakeBatch
) -> None:
    batch = make_batch(600)
    store.enrol(random_uid(), uid, batch)
    pages = store.changes(uid, 0, NEWEST, 500, EVERY_ROW)
    first = next(pages)
    store.erase(random_uid(), uid, (batch.row_ids[0], batch.row_ids[599]))
    store.enrol(random_uid(), uid, make_batch(1))
    known = {entry.row_id: entry for page in [first, *pages] for entry in page.added}
    assert first.epoch == 1
    assert batch.row_ids[0] in known
    assert batch.row_ids[599] not in known
    assert mirror(store, uid, 1, known) == mirror(store, uid)


steps = st.lists(st.tuples(st.booleans(), st.integers(1, 4), st.integers(0, 2**32 - 1)), min_size=1, max_size=12)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps, st.integers(0, 12))
def test_store_agrees_with_a_dictionary_after_any_changes(
    store: Store, new_collection: MakeNew, make_batch: MakeBatch, steps: list[tuple[bool, int, int]], stop: int
) -> None:
    uid = store.create(random_uid(), new_collection(random_uid().hex())).info.uid
    twin: dict[int, tuple[bytes, list[int], bytes, int]] = {}
    free: set[int] = set()
    known: object = {}
    known_epoch = 0
    for number, (is_erasure, count, seed) in enumerate(steps):
        if is_erasure and twin:
            slots = sorted(twin)[seed % len(twin) :][:count]
            store.erase(random_uid(), uid, tuple(twin.pop(slot)[0] for slot in slots))
            free |= set(slots)
        else:
            batch = make_batch(count, record_bytes=20 + seed % 3)
            epoch = store.enrol(random_uid(), uid, batch).epoch
            for row_id, vector, record in zip(batch.row_ids, batch.vectors.tolist(), batch.sealed_records, strict=True):
                slot = min(free, default=len(twin))
                free.discard(slot)
                twin[slot] = (row_id, vector, record, epoch)
        if number == stop:
            known, known_epoch = mirror(store, uid), collection(store, uid).info.epoch
    assert vectors_by_slot(store, uid) == {slot: row[1] for slot, row in sorted(twin.items())}
    expected = {row[0]: CatalogueEntry(row[0], slot, row[3], row[2]) for slot, row in twin.items()}
    assert mirror(store, uid) == expected
    assert mirror(store, uid, known_epoch, known) == expected  # type: ignore[arg-type]
    info = collection(store, uid).info
    assert (info.rows, info.slots) == (len(twin), len(twin) + len(free))


def test_closed_store_refuses_and_closing_twice_is_fine(store: Store, uid: bytes, make_batch: MakeBatch) -> None:
    store.close()
    store.close()
    with pytest.raises(StoreFailed):
        store.enrol(random_uid(), uid, make_batch(1))
