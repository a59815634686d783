"""Data and key ring keep step: after a crash anywhere, and when one of them is brought back from a copy."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import apsw
import numpy as np
import pytest

from bench.folders import contents
from tests.core.store.version2 import write_version_2
from tests.key_rings import rings_beside
from unseen.entropy import random_uid
from unseen.errors import InvalidConfiguration, RowNotFound, SealBroken, StoreFailed, WrongKey
from unseen.keys import durable_file
from unseen.keys.ring import KeyRing
from unseen.store import collections, migrations, mutations, row_keys
from unseen.store.interface import NewCollection
from unseen.store.recovery import Recovery
from unseen.store.sqlite import FILE_NAME, SqliteStore
from unseen.types import RowBatch

MakeBatch = Callable[..., RowBatch]
MakeNew = Callable[..., NewCollection]


class Crash(BaseException):
    """The process is gone."""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def opened(data: Path) -> SqliteStore:
    return SqliteStore(data, rings_beside(data))


def ring_folder(data: Path) -> Path:
    return rings_beside(data).folder


def rows(store: SqliteStore) -> dict[bytes, tuple[list[int], bytes]]:
    """Every live row of the first collection: its vector and its record."""
    uid = store.collections()[0].info.uid
    entries = {entry.slot: entry for page in store.changes(uid, 0, 1 << 60, 1 << 20, 1 << 30) for entry in page.added}
    found = {
        entries[int(slot)].row_id: (vector.tolist(), entries[int(slot)].sealed_record)
        for page in store.vectors(uid)
        for slot, vector in zip(page.slots, page.vectors, strict=True)
    }
    assert len(found) == len(entries) == store.collections()[0].info.rows
    return found


def as_rows(batch: RowBatch) -> dict[bytes, tuple[list[int], bytes]]:
    return {
        row_id: (vector.tolist(), record)
        for row_id, vector, record in zip(batch.row_ids, batch.vectors, batch.sealed_records, strict=True)
    }


@pytest.fixture
def filled(data: Path, new_collection: MakeNew, make_batch: MakeBatch) -> tuple[bytes, RowBatch]:
    """A closed store with one collection of twenty rows, one of them withheld."""
    store = opened(data)
    uid = store.create(random_uid(), new_collection()).info.uid
    batch = make_batch(20, record_bytes=100)
    store.enrol(random_uid(), uid, batch)
    store.close()
    return uid, batch


# A crash between ring and data


def test_erasure_that_a_crash_cut_short_is_finished_at_the_next_opening(
    data: Path, filled: tuple[bytes, RowBatch], monkeypatch: pytest.MonkeyPatch
) -> None:
    uid, batch = filled
    store, request_id = opened(data), random_uid()

    def crash(*_: object) -> int:
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(mutations, "remove", crash)
        with pytest.raises(Crash):
            store.erase(request_id, uid, batch.row_ids[3:5])
    store.close()
    store = opened(data)
    assert store.recovery == Recovery(erased_rows=2)
    assert rows(store) == {row: cells for row, cells in as_rows(batch).items() if row not in batch.row_ids[3:5]}
    assert store.erase(request_id, uid, batch.row_ids[3:5]).repeated, "who asked is answered"
    told = [row for page in store.changes(uid, 1, 1 << 60, 1 << 20, 1 << 30) for row in page.erased]
    assert set(told) == set(batch.row_ids[3:5]), "mirrors are told"
    store.close()
    assert opened(data).recovery == Recovery()


def test_deletion_that_a_crash_cut_short_is_finished_at_the_next_opening(
    data: Path, filled: tuple[bytes, RowBatch], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(data)
    with monkeypatch.context() as patch:
        patch.setattr(collections, "remove_collection", lambda *_: (_ for _ in ()).throw(Crash))
        with pytest.raises(Crash):
            store.delete(random_uid(), filled[0])
    store.close()
    store = opened(data)
    assert (store.recovery, store.collections()) == (Recovery(deleted_collections=1), ())
    store.close()


def test_creation_that_a_crash_cut_short_leaves_nothing_to_see(
    data: Path, filled: tuple[bytes, RowBatch], new_collection: MakeNew, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, grow = opened(data), KeyRing.add_tree

    def grow_and_crash(ring: KeyRing, uid: bytes) -> bytes:
        grow(ring, uid)
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(KeyRing, "add_tree", grow_and_crash)
        with pytest.raises(Crash):
            store.create(random_uid(), new_collection("another"))
    store.close()
    store = opened(data)
    assert store.recovery == Recovery()
    assert rows(store) == as_rows(filled[1])
    store.create(random_uid(), new_collection("another"))
    store.close()


def test_ring_that_cannot_be_written_stops_the_store_and_loses_nothing(
    data: Path, filled: tuple[bytes, RowBatch], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    store = opened(data)
    with monkeypatch.context() as patch:
        patch.setattr(durable_file, "replace", full)
        with pytest.raises(StoreFailed, match="key ring"):
            store.erase(random_uid(), filled[0], filled[1].row_ids[:1])
    with pytest.raises(StoreFailed):
        store.collections()
    store.close()
    store = opened(data)
    assert rows(store) == as_rows(filled[1])
    store.close()


def test_refused_erasure_cuts_nothing(data: Path, filled: tuple[bytes, RowBatch]) -> None:
    store = opened(data)
    before = contents(ring_folder(data))
    with pytest.raises(RowNotFound):
        store.erase(random_uid(), filled[0], (filled[1].row_ids[0], random_uid()))
    store.close()
    assert contents(ring_folder(data)) == before


def test_enrolling_writes_nothing_to_the_ring(
    data: Path, filled: tuple[bytes, RowBatch], make_batch: MakeBatch
) -> None:
    before = contents(ring_folder(data))
    store = opened(data)
    for _ in range(3):
        store.enrol(random_uid(), filled[0], make_batch(50))
    store.close()
    assert contents(ring_folder(data)) == before


# One of them from a copy


def test_copy_of_the_data_from_before_erasures_comes_up_without_the_erased_rows(
    data: Path, filled: tuple[bytes, RowBatch], make_batch: MakeBatch
) -> None:
    uid, batch = filled
    shutil.copytree(data, data.with_name("copy"))
    store = opened(data)
    later = make_batch(4)
    store.enrol(random_uid(), uid, later)
    for row_id in (*batch.row_ids[::3], later.row_ids[0]):
        store.erase(random_uid(), uid, (row_id,))
    store.close()
    shutil.rmtree(data)
    data.with_name("copy").rename(data)
    store = opened(data)
    assert store.recovery == Recovery(erased_rows=7)
    assert rows(store) == {row: cells for row, cells in as_rows(batch).items() if row not in batch.row_ids[::3]}
    store.enrol(random_uid(), uid, later)
    assert rows(store).keys() > set(later.row_ids), "a row that the copy does not know can be enrolled"
    store.close()


def test_two_histories_of_one_store_never_share_a_serial(
    data: Path, filled: tuple[bytes, RowBatch], make_batch: MakeBatch
) -> None:
    """Else an erasure in one would take a row of the other with it."""
    uid, _ = filled
    copy = data.with_name("copy")
    shutil.copytree(data, copy)
    batches = []
    for place in (data, copy):
        store = SqliteStore(place, rings_beside(data))
        batches.append(make_batch(50))
        store.enrol(random_uid(), uid, batches[-1])
        store.close()
    store = SqliteStore(copy, rings_beside(data))
    store.erase(random_uid(), uid, batches[1].row_ids)
    store.close()
    store = opened(data)
    assert store.recovery == Recovery()
    assert rows(store).keys() >= set(batches[0].row_ids)
    store.close()


def test_ring_from_before_an_erasure_is_cut_again(data: Path, filled: tuple[bytes, RowBatch]) -> None:
    uid, batch = filled
    shutil.copytree(ring_folder(data), data.with_name("old-ring"))
    store = opened(data)
    store.erase(random_uid(), uid, batch.row_ids[5:8])
    store.close()
    shutil.rmtree(ring_folder(data))
    data.with_name("old-ring").rename(ring_folder(data))
    store = opened(data)
    assert store.recovery == Recovery(repeated_cuts=3)
    assert len(rows(store)) == 17
    with store._database.reading() as tx:
        erased = [serial for (serial,) in tx.fetch("SELECT serial FROM erasures")]
    tree = store.ring.tree(store.ring.trees_of(uid)[0])
    assert tree is not None
    assert not any(tree.holds(serial) for serial in erased)
    store.close()
    assert opened(data).recovery == Recovery()


def test_ring_from_before_a_collection_was_made_is_refused_and_nothing_written(
    data: Path, filled: tuple[bytes, RowBatch], new_collection: MakeNew
) -> None:
    shutil.copytree(ring_folder(data), data.with_name("old-ring"))
    store = opened(data)
    store.create(random_uid(), new_collection("later"))
    store.close()
    shutil.rmtree(ring_folder(data))
    data.with_name("old-ring").rename(ring_folder(data))
    before = contents(data.parent)
    with pytest.raises(InvalidConfiguration, match=r"key ring .* is older than the data"):
        opened(data)
    assert contents(data.parent) == before


def test_lost_ring_is_refused_and_nothing_written(data: Path, filled: tuple[bytes, RowBatch]) -> None:
    shutil.rmtree(ring_folder(data))
    before = contents(data.parent)
    with pytest.raises(InvalidConfiguration, match=r"key ring .* is missing"):
        opened(data)
    assert contents(data.parent) == before


def test_row_whose_key_is_destroyed_never_opens_also_without_a_restart(
    data: Path, filled: tuple[bytes, RowBatch]
) -> None:
    store = opened(data)
    with store._database.reading() as tx:
        serial = tx.fetch("SELECT serial FROM live_rows WHERE slot = 4")[0][0]
    store.ring.cut(filled[0], [serial], None)
    with pytest.raises(SealBroken, match="key was destroyed"):
        list(store.vectors(filled[0]))
    store.close()


# Fresh keys


def test_renewed_keys_open_every_row_and_older_copies_open_no_more(
    data: Path, filled: tuple[bytes, RowBatch], make_batch: MakeBatch
) -> None:
    uid, batch = filled
    store = opened(data)
    store.withhold(random_uid(), uid, batch.row_ids[:1])
    store.erase(random_uid(), uid, batch.row_ids[1:6])
    nodes = [len(one.tree.numbers) for one in store.ring.content.trees]
    before = rows(store)
    store.close()
    shutil.copytree(data, data.with_name("copy"))
    store = opened(data)
    assert store.renew_keys(uid) == 15, "the withheld row too"
    assert rows(store) == before
    assert [len(one.tree.numbers) for one in store.ring.content.trees] == [1] < nodes, "the ring is small again"
    store.erase(random_uid(), uid, batch.row_ids[:1])
    store.enrol(random_uid(), uid, make_batch(3))
    store.close()
    store = opened(data)
    assert store.recovery == Recovery()
    assert len(rows(store)) == 17
    store.close()
    with pytest.raises(InvalidConfiguration, match="before its keys were renewed"):
        SqliteStore(data.with_name("copy"), rings_beside(data))


def test_old_sealed_bytes_are_nowhere_after_renewal(data: Path, filled: tuple[bytes, RowBatch]) -> None:
    store = opened(data)
    with store._database.reading() as tx:
        cells = [cell for name in ("vectors_1", "records_1") for (cell,) in tx.fetch(f"SELECT sealed FROM {name}")]
    assert all(cell in b"".join(contents(data).values()) for cell in cells)
    store.renew_keys(filled[0])
    disk = b"".join(contents(data).values())
    assert not any(cell[-24:] in disk for cell in cells)
    store.close()


@pytest.mark.parametrize("step", ["reseal", "scrub", "destroy"])
def test_renewal_that_a_crash_cut_short_loses_nothing_and_can_be_done_again(
    data: Path, filled: tuple[bytes, RowBatch], monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    uid, batch = filled
    store = opened(data)

    def crash(*_: object, **__: object) -> int:
        raise Crash

    with monkeypatch.context() as patch:
        owner = {"reseal": row_keys, "scrub": store._database, "destroy": KeyRing}[step]
        patch.setattr(owner, step, crash)
        with pytest.raises(Crash):
            store.renew_keys(uid)
    store.close()
    store = opened(data)
    assert rows(store) == as_rows(batch)
    assert len(store.ring.trees_of(uid)) == 2
    store.erase(random_uid(), uid, batch.row_ids[:2])
    store.close()
    shutil.copytree(data, data.with_name("copy"))
    store = opened(data)
    assert store.renew_keys(uid) == 18
    assert len(store.ring.trees_of(uid)) == 1
    assert rows(store) == {row: cells for row, cells in as_rows(batch).items() if row not in batch.row_ids[:2]}
    store.close()


def test_erasure_while_a_renewal_is_unfinished_reaches_copies_from_before_it(
    data: Path, filled: tuple[bytes, RowBatch], monkeypatch: pytest.MonkeyPatch
) -> None:
    uid, batch = filled
    shutil.copytree(data, data.with_name("copy"))
    store = opened(data)

    def crash(*_: object) -> None:
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(KeyRing, "destroy", crash)
        with pytest.raises(Crash):
            store.renew_keys(uid)
    store.close()
    store = opened(data)
    store.erase(random_uid(), uid, batch.row_ids[:2])
    store.close()
    copy = SqliteStore(data.with_name("copy"), rings_beside(data))
    assert copy.recovery.erased_rows == 2
    assert set(rows(copy)) == set(batch.row_ids[2:])
    copy.close()


# From version 2


def test_store_of_version_2_comes_up_with_every_row_sealed_anew(data: Path, make_batch: MakeBatch) -> None:
    uid, batch = random_uid(), make_batch(12, record_bytes=70)
    key = write_version_2(data, uid, batch, erased=5, withheld=6)
    store = opened(data)
    kept = {row: cells for row, cells in as_rows(batch).items() if row not in (batch.row_ids[5], batch.row_ids[6])}
    assert rows(store) == kept
    assert [fact.body for fact in store.facts("policy")] == [b"what was agreed"]
    disk = b"".join(contents(data).values())
    assert not any(record in disk for record in batch.sealed_records)
    store.erase(random_uid(), uid, (batch.row_ids[6], batch.row_ids[0]))
    again = make_batch(3, record_bytes=70)
    store.enrol(random_uid(), uid, again)
    store.close()
    store = opened(data)
    del kept[batch.row_ids[0]]
    assert rows(store) == kept | as_rows(again)
    with store._database.reading() as tx:
        tables = tx.fetch("SELECT group_concat(sql) FROM sqlite_schema")[0][0]
    assert "wrapped_key" not in tables
    assert key not in disk
    store.close()


def test_store_of_version_2_is_left_as_it_is_by_the_wrong_key(data: Path, make_batch: MakeBatch) -> None:
    write_version_2(data, random_uid(), make_batch(4), erased=1, withheld=2)
    before = contents(data.parent)
    with pytest.raises(WrongKey):
        SqliteStore(data, rings_beside(data, bytes(32)))
    assert contents(data.parent) == before


@pytest.mark.parametrize("step", ["_give_serials", "_seal_anew", "row_keys.note_ring_state"])
def test_migration_that_a_crash_cut_short_is_done_again(
    data: Path, make_batch: MakeBatch, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    batch = make_batch(6)
    write_version_2(data, random_uid(), batch, erased=1, withheld=2)

    def crash(*_: object) -> None:
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(f"{migrations.__name__}.{step}", crash)
        with pytest.raises(Crash):
            opened(data)
    with apsw.Connection(str(data / FILE_NAME)) as db:
        assert db.pragma("user_version") == 2
    db.close()
    store = opened(data)
    assert set(rows(store)) == set(batch.row_ids) - set(batch.row_ids[1:3])
    assert len(store.ring.content.trees) == 1
    store.close()


def test_first_sealed_vector_of_a_migrated_store_opens_with_its_own_key_only(data: Path, make_batch: MakeBatch) -> None:
    uid, batch = random_uid(), make_batch(4)
    write_version_2(data, uid, batch, erased=1, withheld=2)
    store = opened(data)
    with store._database.reading() as tx:
        serials = [serial for (serial,) in tx.fetch("SELECT serial FROM live_rows ORDER BY slot")]
    assert len(set(serials)) == 3
    np.testing.assert_array_equal(np.diff(serials), 1)
    store.close()
