"""What every store promises of facts, of withheld rows and of compartments."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unseen.entropy import random_uid
from unseen.errors import CollectionExists, InvalidInput, RequestReplayed, RowExists, RowNotFound
from unseen.store.interface import SLOTS_PER_EXTENT, NewCollection, Store
from unseen.types import RowBatch

OpenStore = Callable[[], Store]
MakeBatch = Callable[..., RowBatch]
MakeNew = Callable[..., NewCollection]


@pytest.fixture
def uid(store: Store, new_collection: MakeNew) -> bytes:
    return store.create(random_uid(), new_collection()).info.uid


def found(store: Store, uid: bytes, since: int = 0) -> tuple[set[bytes], set[bytes]]:
    """Row ids that mirrors are told of as added and as erased."""
    pages = list(store.changes(uid, since, 1 << 60, 1 << 20, 1 << 30))
    return {entry.row_id for page in pages for entry in page.added}, {row for page in pages for row in page.erased}


def live_slots(store: Store, uid: bytes) -> list[int]:
    return [int(slot) for page in store.vectors(uid) for slot in page.slots]


# Facts


def test_facts_come_back_in_order_after_reopening(open_store: OpenStore) -> None:
    first = open_store()
    written = [first.append_fact("policy", bytes([at % 2]), str(at).encode()) for at in range(6)]
    first.append_fact("token", b"", b"")
    first.close()
    again = open_store()
    assert again.facts("policy") == tuple(written)
    assert again.facts("policy", b"\x01") == tuple(written[1::2])
    assert again.facts("policy", b"\x01", after=written[1].sequence) == tuple(written[3::2])
    assert [fact.sequence for fact in again.facts("token")] == [7]
    assert again.facts("consent") == ()


def test_repeated_request_writes_one_fact_and_another_content_is_refused(store: Store) -> None:
    request_id = random_uid()
    fact = store.append_fact("policy", b"key", b"body", request_id)
    assert store.append_fact("policy", b"key", b"body", request_id) == fact
    for kind, key, body in (("consent", b"key", b"body"), ("policy", b"", b"body"), ("policy", b"key", b"other")):
        with pytest.raises(RequestReplayed):
            store.append_fact(kind, key, body, request_id)
    assert store.facts("policy") == (fact,)


def test_forgotten_facts_come_no_more_and_the_others_stay(open_store: OpenStore) -> None:
    store = open_store()
    request_id = random_uid()
    store.append_fact("consent", b"a", b"1", request_id)
    kept = store.append_fact("consent", b"b", b"2")
    store.append_fact("consent", b"a", b"3")
    assert store.forget_facts("consent", b"a") == 2
    assert store.forget_facts("consent", b"a") == 0
    with pytest.raises(RequestReplayed):
        store.append_fact("consent", b"a", b"1", request_id)
    store.close()
    again = open_store()
    assert again.facts("consent") == (kept,)
    assert again.append_fact("consent", b"a", b"4").sequence == 4


# Tenants


def test_names_are_unique_within_a_tenant_only(store: Store) -> None:
    def new(tenant: str) -> NewCollection:
        return NewCollection("photos", 8, "0123456789abcdef", "none", 8, tenant)

    made = [store.create(random_uid(), new(tenant)) for tenant in ("b", "a")]
    with pytest.raises(CollectionExists):
        store.create(random_uid(), new("a"))
    assert store.collections() == (made[1], made[0])
    assert [stored.tenant for stored in store.collections()] == ["a", "b"]


# Rows withheld


def test_withheld_row_is_found_nowhere_until_it_is_erased(
    open_store: OpenStore, uid: bytes, store: Store, make_batch: MakeBatch
) -> None:
    batch = make_batch(5)
    store.enrol(random_uid(), uid, batch)
    change = store.withhold(random_uid(), uid, batch.row_ids[1:3])
    assert change.slots.tolist() == [1, 2]
    assert (change.epoch, change.collection.info.rows, change.collection.info.slots) == (2, 3, 5)
    store.close()
    again = open_store()
    assert live_slots(again, uid) == [0, 3, 4]
    assert found(again, uid) == ({batch.row_ids[at] for at in (0, 3, 4)}, set())
    assert found(again, uid, since=1) == (set(), set(batch.row_ids[1:3]))
    with pytest.raises(RowExists):
        again.enrol(random_uid(), uid, RowBatch(batch.row_ids[1:2], batch.vectors[1:2], batch.sealed_records[1:2]))
    with pytest.raises(RowNotFound):
        again.withhold(random_uid(), uid, batch.row_ids[1:2])
    erased = again.erase(random_uid(), uid, batch.row_ids[1:4])
    assert (erased.slots.tolist(), erased.collection.info.rows) == ([1, 2, 3], 2)
    again.enrol(random_uid(), uid, RowBatch(batch.row_ids[1:2], batch.vectors[1:2], batch.sealed_records[1:2]))
    assert live_slots(again, uid) == [0, 1, 4]


def test_repeated_withholding_changes_nothing(store: Store, uid: bytes, make_batch: MakeBatch) -> None:
    batch = make_batch(2)
    store.enrol(random_uid(), uid, batch)
    request_id = random_uid()
    first = store.withhold(request_id, uid, batch.row_ids)
    again = store.withhold(request_id, uid, batch.row_ids)
    assert (again.repeated, again.epoch, again.collection) == (True, first.epoch, first.collection)


def test_withheld_rows_and_their_entries_are_still_there_to_be_shown(
    store: Store, uid: bytes, make_batch: MakeBatch
) -> None:
    batch = make_batch(4)
    store.enrol(random_uid(), uid, batch)
    live = {entry.row_id: entry for page in store.changes(uid, 0, 9, 1 << 20, 9) for entry in page.added}
    assert store.withheld(uid) == ()
    store.withhold(random_uid(), uid, (batch.row_ids[3], batch.row_ids[0]))
    assert [(row.row_id, row.slot, row.withheld) for row in store.withheld(uid)] == [
        (batch.row_ids[0], 0, True),
        (batch.row_ids[3], 3, True),
    ]
    assert store.entries(uid, batch.row_ids[2:]) == (live[batch.row_ids[2]], live[batch.row_ids[3]])
    store.erase(random_uid(), uid, batch.row_ids[3:])
    assert [row.row_id for row in store.withheld(uid)] == [batch.row_ids[0]]
    with pytest.raises(RowNotFound):
        store.entries(uid, batch.row_ids[2:])


# Consents


def test_rows_are_found_by_the_consent_they_rest_on(
    store: Store, uid: bytes, make_batch: MakeBatch, new_collection: MakeNew
) -> None:
    one, other = random_uid(), random_uid()
    batch = make_batch(4)
    store.enrol(random_uid(), uid, RowBatch(batch.row_ids, batch.vectors, batch.sealed_records, (one, b"", other, one)))
    store.enrol(random_uid(), uid, make_batch(2))
    store.withhold(random_uid(), uid, batch.row_ids[3:])
    rows = store.rows_resting_on(uid, one)
    assert [(row.row_id, row.slot, row.withheld) for row in rows] == [
        (batch.row_ids[0], 0, False),
        (batch.row_ids[3], 3, True),
    ]
    assert store.rows_resting_on(uid, b"") == ()
    another = store.create(random_uid(), new_collection("other")).info.uid
    assert store.rows_resting_on(another, one) == ()


def test_consents_that_do_not_match_the_rows_are_refused(store: Store, uid: bytes, make_batch: MakeBatch) -> None:
    batch = make_batch(2)
    with pytest.raises(InvalidInput, match="consents"):
        store.enrol(random_uid(), uid, RowBatch(batch.row_ids, batch.vectors, batch.sealed_records, (random_uid(),)))


# Compartments


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from([1, 700, 2047, 2048, 2049, 5000]), st.booleans()),
        min_size=1,
        max_size=6,
    )
)
def test_rows_of_two_compartments_never_share_an_extent(
    store: Store, new_collection: MakeNew, make_batch: MakeBatch, steps: list[tuple[int, int, bool]]
) -> None:
    uid = store.create(random_uid(), new_collection(random_uid().hex())).info.uid
    compartment_of: dict[int, int] = {}
    for compartment, count, erase in steps:
        batch = make_batch(count, record_bytes=1)
        slots = store.enrol(random_uid(), uid, batch, compartment).slots.tolist()
        assert not compartment_of.keys() & set(slots)
        compartment_of.update(dict.fromkeys(slots, compartment))
        if erase:
            gone = store.erase(random_uid(), uid, batch.row_ids[: count // 2 + 1]).slots.tolist()
            for slot in gone:
                del compartment_of[slot]
    extents = store.extents(uid)
    assert all(extents[slot // SLOTS_PER_EXTENT] == compartment for slot, compartment in compartment_of.items())
    assert sorted(compartment_of) == live_slots(store, uid)
    handed_out = next(stored.info.slots for stored in store.collections() if stored.info.uid == uid)
    assert len(extents) == -(-handed_out // SLOTS_PER_EXTENT)
    assert handed_out <= sum(count for _, count, _ in steps) + 2 * SLOTS_PER_EXTENT


def test_one_compartment_takes_slots_in_order_and_erased_ones_first(
    store: Store, uid: bytes, make_batch: MakeBatch
) -> None:
    batch = make_batch(3)
    store.enrol(random_uid(), uid, batch, compartment=1)
    store.erase(random_uid(), uid, batch.row_ids[1:2])
    assert store.enrol(random_uid(), uid, make_batch(2), compartment=2).slots.tolist() == [2048, 2049]
    assert store.enrol(random_uid(), uid, make_batch(3), compartment=1).slots.tolist() == [1, 3, 4]
    assert store.extents(uid) == (1, 2)
