"""An examination passes what a store did, and names every invariant that was broken behind its back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.key_rings import rings_beside
from unseen.entropy import random_uid
from unseen.errors import InvalidConfiguration, WrongKey
from unseen.store.durable import DurableStore
from unseen.store.examination import Finding, Report, examine, in_words
from unseen.store.interface import NewCollection
from unseen.types import RowBatch

OpenStore = Callable[[], DurableStore]
MakeBatch = Callable[..., RowBatch]
MakeNew = Callable[..., NewCollection]


ReportOf = Callable[[DurableStore], Report]


@pytest.fixture
def report_of(tmp_path: Path) -> ReportOf:
    def examined(store: DurableStore) -> Report:
        report = Report()
        with store._database.reading() as tx:
            examine(tx, rings_beside(tmp_path), report)
        return report

    return examined


def lived(store: DurableStore, new_collection: MakeNew, make_batch: MakeBatch) -> bytes:
    """Rows of two compartments enrolled, erased, enrolled anew, withheld; facts written and forgotten."""
    uid = store.create(random_uid(), new_collection()).info.uid
    store.create(random_uid(), new_collection("empty"))
    store.delete(random_uid(), store.create(random_uid(), new_collection("gone")).info.uid)
    first, second = make_batch(6, record_bytes=40), make_batch(4, record_bytes=50)
    store.enrol(random_uid(), uid, first)
    store.enrol(random_uid(), uid, second, compartment=1)
    store.erase(random_uid(), uid, first.row_ids[:3])
    store.enrol(random_uid(), uid, RowBatch(first.row_ids[:1], first.vectors[:1], first.sealed_records[:1]))
    store.withhold(random_uid(), uid, second.row_ids[:2])
    for key in (b"a", b"b", b"a"):
        store.append_fact("consent", key, b"body", random_uid())
    store.forget_facts("consent", b"a")
    return uid


@pytest.fixture
def store(open_store: OpenStore, new_collection: MakeNew, make_batch: MakeBatch) -> DurableStore:
    store = open_store()
    lived(store, new_collection, make_batch)
    return store


def test_store_that_lived_is_sound_and_everything_was_looked_at(store: DurableStore, report_of: ReportOf) -> None:
    report = report_of(store)
    assert report.findings == []
    assert report.checked == {
        "collections": 2,
        "epochs": 5,
        "erasures": 5,
        "facts": 3,
        "key rings": 1,
        "records": 8,
        "requests": 12,
        "slots": 2052,
        "vectors": 8,
    }
    assert list(in_words(report))[-1] == "the store is sound"


def test_another_master_key_and_a_missing_ring_are_refused(store: DurableStore, tmp_path: Path) -> None:
    with store._database.reading() as tx, pytest.raises(WrongKey):
        examine(tx, rings_beside(tmp_path, bytes(32)), Report())
    with store._database.reading() as tx, pytest.raises(InvalidConfiguration, match="key ring"):
        examine(tx, rings_beside(tmp_path / "elsewhere"), Report())


JUNK = b"\x01" + bytes(range(1, 40))
BROKEN = [
    ("UPDATE collections SET tree_id = ? WHERE number = 1", "it lacks the keys of a collection"),
    ("UPDATE live_rows SET serial = serial + 1000 WHERE slot = 4", "1 vectors do not open for their slot: 4"),
    ("UPDATE live_rows SET serial = (SELECT min(serial) FROM live_rows) WHERE slot = 4", "two rows have one key"),
    ("UPDATE erasures SET serial = (SELECT min(serial) FROM live_rows) WHERE epoch = 3", "could still be opened"),
    ("UPDATE records_1 SET sealed = ? WHERE record = 5", "1 records do not open for their slot: 4"),
    ("UPDATE collections SET live_rows = 9 WHERE number = 1", "it says 9 rows and has 6"),
    ("UPDATE live_rows SET withheld = 2 WHERE slot = 0", "1 rows have an id of a wrong length, no clear state"),
    ("UPDATE live_rows SET epoch = 77 WHERE slot = 0", "an epoch that never was"),
    ("UPDATE live_rows SET row_id = ? WHERE slot = 4", "1 vectors do not open for their slot: 4"),
    ("UPDATE live_rows SET epoch = 2 WHERE slot = 4", "1 vectors do not open for their slot: 4"),
    ("UPDATE vectors_1 SET sealed = ? WHERE slot = 5", "1 vectors do not open for their slot: 5"),
    ("DELETE FROM vectors_1 WHERE slot = 5", "1 rows have no vector"),
    ("DELETE FROM live_rows WHERE slot = 2048", "1 slots are no row's and not free: 2048"),
    ("DELETE FROM live_rows WHERE slot = 2050", "1 slots hold bytes of a vector and no row: 2050"),
    ("DELETE FROM live_rows WHERE slot = 2050", "1 records are no row's and not free"),
    ("INSERT INTO free_slots VALUES (1, 4)", "1 slots are a row's and free at once: 4"),
    ("INSERT INTO free_slots VALUES (1, 5000)", "1 slots were never handed out: 5000"),
    ("DELETE FROM free_slots WHERE slot = 1", "1 slots are no row's and not free: 1"),
    ("UPDATE vectors_1 SET sealed = ? WHERE slot = 1", "1 slots hold bytes of a vector and no row: 1"),
    ("DELETE FROM extents WHERE extent = 1", "its extents do not cover its slots"),
    ("UPDATE live_rows SET record = 9 WHERE slot = 4", "two rows have one record"),
    ("UPDATE live_rows SET record = 500 WHERE slot = 4", "1 rows have no record: 500"),
    ("INSERT INTO free_records VALUES (1, 69, 5)", "1 records are a row's and free at once: 5"),
    ("UPDATE records_1 SET sealed = ? WHERE record = 2", "1 records are free and hold bytes"),
    ("UPDATE free_records SET size_bytes = 70 WHERE record = 2", "1 records are free and hold bytes, or have another"),
    ("DELETE FROM requests WHERE kind = 'withhold'", "it is at epoch 5, and its requests do not lead there"),
    ("UPDATE collections SET epoch = 6 WHERE number = 1", "it is at epoch 6, and its requests do not lead there"),
    ("UPDATE requests SET row_count = 2 WHERE kind = 'erase'", "1 epochs hold other rows than their request said: 3"),
    ("DELETE FROM erasures WHERE epoch = 3", "1 epochs hold other rows than their request said: 3"),
    ("INSERT INTO erasures VALUES (1, 2, ?, NULL)", "1 epochs hold rows or erasures that no request made: 2"),
    ("UPDATE live_rows SET withheld = 0 WHERE slot = 2048", "1 rows are live although they were erased later: 2048"),
    ("UPDATE live_rows SET withheld = 1 WHERE slot = 4", "1 rows are withheld and mirrors were not told: 4"),
    ("UPDATE facts SET kind = 'policy' WHERE sequence = 2", "facts: number 2 does not open"),
    ("UPDATE facts SET sealed = ? WHERE sequence = 2", "facts: number 2 does not open"),
    ("DELETE FROM facts WHERE sequence = 2", "facts: number 2 is missing"),
    ("UPDATE facts SET forgotten = 0 WHERE sequence = 1", "facts: number 1 does not open"),
    ("UPDATE facts SET sealed = ? WHERE sequence = 1", "facts: number 1 is forgotten and its bytes are still there"),
    ("UPDATE requests SET digest = ? WHERE kind = 'erase'", "1 have an id or digest of a wrong length"),
]


@pytest.mark.parametrize(("statement", "expected"), BROKEN, ids=[statement for statement, _ in BROKEN])
def test_every_broken_invariant_is_named(
    store: DurableStore, report_of: ReportOf, statement: str, expected: str
) -> None:
    is_id = "row_id" in statement or "erasures" in statement
    with store._database.changing() as tx:
        tx.run(statement, [JUNK[:16] if is_id else JUNK][: statement.count("?")])
    found = [f"{finding.where}: {finding.what}" for finding in report_of(store).findings]
    assert any(expected in line for line in found), found


def test_faults_are_told_without_content(
    store: DurableStore, report_of: ReportOf, new_collection: MakeNew, make_batch: MakeBatch
) -> None:
    uid = store.create(random_uid(), new_collection("name-of-a-collection")).info.uid
    batch = make_batch(3)
    store.enrol(random_uid(), uid, batch)
    with store._database.changing() as tx:
        tx.run("UPDATE vectors_4 SET sealed = ?", (b"junk",))
    words = "\n".join(in_words(report_of(store)))
    assert f"collection {uid.hex()}: 3 vectors do not open for their slot: 0, 1, 2" in words
    assert "name-of-a-collection" not in words
    assert not any(row_id.hex() in words for row_id in batch.row_ids)


def test_many_faults_end_in_a_count() -> None:
    report = Report()
    for number in range(2000):
        report.add("facts", f"number {number} does not open")
    assert len(report.findings) == 1000
    assert report.findings[0] == Finding("facts", "number 0 does not open")
    assert "and more; only the first 1000 are shown" in list(in_words(report))


steps = st.lists(st.tuples(st.sampled_from("aaewf"), st.integers(1, 4), st.integers(0, 2)), min_size=1, max_size=12)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps)
def test_store_is_sound_after_any_changes(
    store: DurableStore,
    report_of: ReportOf,
    new_collection: MakeNew,
    make_batch: MakeBatch,
    steps: list[tuple[str, int, int]],
) -> None:
    random = np.random.default_rng(1)
    uid = store.create(random_uid(), new_collection(random_uid().hex())).info.uid
    live: list[bytes] = []
    withheld: set[bytes] = set()
    for step, count, compartment in steps:
        chosen = [live[at] for at in random.permutation(len(live))[:count]]
        if step == "a":
            batch = make_batch(count, record_bytes=20 + count)
            store.enrol(random_uid(), uid, batch, compartment)
            live += batch.row_ids
        elif step == "e" and chosen:
            store.erase(random_uid(), uid, tuple(chosen))
            live = [row_id for row_id in live if row_id not in chosen]
        elif step == "w" and (fresh := [row_id for row_id in chosen if row_id not in withheld]):
            store.withhold(random_uid(), uid, tuple(fresh))
            withheld |= set(fresh)
        elif step == "f":
            store.append_fact("policy", bytes(count), bytes(count))
            store.forget_facts("policy", bytes(1))
    assert report_of(store).findings == []
