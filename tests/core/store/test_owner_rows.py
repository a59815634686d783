"""Blocks and rows of owner-encrypted collections at rest: nobody's write is lost, and nothing erased stays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench.folders import contents
from tests.key_rings import rings_beside
from unseen.entropy import random_uid
from unseen.errors import BlockChanged, InvalidInput, RowExists, RowNotFound
from unseen.params import OWNER_DEFAULT
from unseen.store import collections, mutations
from unseen.store.interface import NewCollection, Store
from unseen.store.sqlite import FILE_NAME, SqliteStore
from unseen.store.sqlite_examination import examine_file
from unseen.types import EncryptedBlock, RowBatch

OpenStore = Callable[[], Store]


class Crash(BaseException):
    """The process is gone."""


@pytest.fixture
def uid(store: Store) -> bytes:
    return made(store)


def made(store: Store) -> bytes:
    new = NewCollection("secret", 8, OWNER_DEFAULT.id, "none", packing_factor=8)
    return store.create(random_uid(), new).info.uid


def batch(slots: tuple[int, ...], *blocks: EncryptedBlock) -> RowBatch:
    ids = tuple(random_uid() for _ in slots)
    return RowBatch(ids, np.zeros((len(slots), 0), np.int16), tuple(b"record" for _ in slots), (), slots, blocks)


def block(number: int, known_epoch: int, content: bytes) -> EncryptedBlock:
    return EncryptedBlock(number, known_epoch, content * 50)


def held(store: Store, uid: bytes) -> dict[int, bytes]:
    return {one.number: one.ciphertexts[: len(one.ciphertexts) // 50] for one in store.blocks(uid)}


def test_rows_and_blocks_are_there_after_reopening(open_store: OpenStore, store: Store, uid: bytes) -> None:
    rows = batch((5, 300), block(0, 0, b"first"), block(33, 0, b"second"))
    change = store.enrol_encrypted(random_uid(), uid, rows)
    assert (change.epoch, change.slots.tolist(), change.collection.info.slots) == (1, [5, 300], 301)
    store.close()
    again = open_store()
    assert held(again, uid) == {0: b"first", 33: b"second"}
    assert again.taken_slots(uid) == (5, 300)
    assert again.taken_slots(uid, rows.row_ids[::-1]) == (300, 5)


def test_second_of_two_writers_who_knew_the_same_block_is_refused_and_nothing_is_lost(store: Store, uid: bytes) -> None:
    store.enrol_encrypted(random_uid(), uid, batch((0,), block(0, 0, b"mine")))
    with pytest.raises(BlockChanged):
        store.enrol_encrypted(random_uid(), uid, batch((1,), block(0, 0, b"theirs")))
    assert held(store, uid) == {0: b"mine"}
    assert store.taken_slots(uid) == (0,)
    # A writer of another block is not in the way, though it knows as little.
    store.enrol_encrypted(random_uid(), uid, batch((40,), block(1, 0, b"theirs")))
    store.enrol_encrypted(random_uid(), uid, batch((1,), block(0, 1, b"both")))
    assert held(store, uid) == {0: b"both", 1: b"theirs"}


@pytest.mark.parametrize(
    ("slots", "refusal"), [((0,), BlockChanged), ((1, 1), InvalidInput)], ids=["taken slot", "one slot twice"]
)
def test_rows_never_share_a_slot(store: Store, uid: bytes, slots: tuple[int, ...], refusal: type[Exception]) -> None:
    store.enrol_encrypted(random_uid(), uid, batch((0,), block(0, 0, b"mine")))
    with pytest.raises(refusal):
        store.enrol_encrypted(random_uid(), uid, batch(slots, block(0, 1, b"theirs")))
    assert held(store, uid) == {0: b"mine"}


def test_epoch_that_never_was_is_no_knowledge(store: Store, uid: bytes) -> None:
    with pytest.raises(BlockChanged):
        store.enrol_encrypted(random_uid(), uid, batch((0,), block(0, 9, b"x")))


def test_row_that_is_there_already_changes_nothing(store: Store, uid: bytes) -> None:
    rows = batch((0,), block(0, 0, b"mine"))
    store.enrol_encrypted(random_uid(), uid, rows)
    again = RowBatch(rows.row_ids, rows.vectors, rows.sealed_records, (), (1,), (block(0, 1, b"x"),))
    with pytest.raises(RowExists):
        store.enrol_encrypted(random_uid(), uid, again)
    assert held(store, uid) == {0: b"mine"}


def test_repeated_requests_are_answered_again_and_write_nothing(store: Store, uid: bytes) -> None:
    rows, request = batch((0, 1), block(0, 0, b"mine")), random_uid()
    assert not store.enrol_encrypted(request, uid, rows).repeated
    assert store.enrol_encrypted(request, uid, rows).repeated
    erasing, anew = random_uid(), block(0, 1, b"less")
    assert store.erase_encrypted(erasing, uid, rows.row_ids[:1], anew).epoch == 2
    assert store.erase_encrypted(erasing, uid, rows.row_ids[:1], anew).repeated
    assert held(store, uid) == {0: b"less"}


def test_erasing_takes_the_old_block_out_of_every_file(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path, rings_beside(tmp_path))
    uid = made(store)
    rows = batch((0, 1), block(0, 0, b"OLD-CIPHERTEXT"))
    store.enrol_encrypted(random_uid(), uid, rows)
    size = max(len(cell) for cell in _cells(store))
    sealed = next(cell for cell in _cells(store) if len(cell) == size)[-200:]
    assert any(sealed in data for data in contents(tmp_path).values())
    store.erase_encrypted(random_uid(), uid, rows.row_ids[:1], block(0, 1, b"NEW-CIPHERTEXT"))
    assert not any(sealed in data for data in contents(tmp_path).values())
    assert held(store, uid) == {0: b"NEW-CIPHERTEXT"}
    store.close()
    assert examine_all(tmp_path) == []


def _cells(store: SqliteStore) -> list[bytes]:
    with store._database.reading() as tx:
        return [sealed for (sealed,) in tx.fetch("SELECT sealed FROM facts WHERE forgotten = 0")]


def examine_all(folder: Path) -> list[str]:
    return [finding.what for finding in examine_file(folder / FILE_NAME, rings_beside(folder)).findings]


def test_erasing_a_row_that_is_not_there_leaves_the_block(store: Store, uid: bytes) -> None:
    store.enrol_encrypted(random_uid(), uid, batch((0,), block(0, 0, b"mine")))
    with pytest.raises(RowNotFound):
        store.erase_encrypted(random_uid(), uid, (random_uid(),), block(0, 1, b"less"))
    assert held(store, uid) == {0: b"mine"}


@pytest.mark.parametrize("cut_at", ["before", "after"])
def test_stop_in_the_middle_of_an_erasure_leaves_rows_and_blocks_in_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut_at: str
) -> None:
    """Before the row's key is destroyed the old block stands, after it the new one; the repetition ends it."""
    store = SqliteStore(tmp_path, rings_beside(tmp_path))
    uid = made(store)
    rows, erasing, anew = batch((0, 1), block(0, 0, b"both")), random_uid(), block(0, 1, b"one")
    store.enrol_encrypted(random_uid(), uid, rows)

    def crash(*_: object) -> None:
        raise Crash

    with monkeypatch.context() as patched:
        patched.setattr(mutations, "find_finished" if cut_at == "before" else "remove", crash)
        with pytest.raises(Crash):
            store.erase_encrypted(erasing, uid, rows.row_ids[:1], anew)
    store.close()
    again = SqliteStore(tmp_path, rings_beside(tmp_path))
    assert again.recovery.erased_rows == (0 if cut_at == "before" else 1)
    assert held(again, uid) == {0: b"both" if cut_at == "before" else b"one"}
    again.erase_encrypted(erasing, uid, rows.row_ids[:1], anew)
    assert held(again, uid) == {0: b"one"}
    assert again.taken_slots(uid) == (1,)
    again.close()
    assert examine_all(tmp_path) == []


def test_deleted_collection_leaves_no_block(store: Store, uid: bytes) -> None:
    other = store.create(random_uid(), NewCollection("other", 8, OWNER_DEFAULT.id, "none", packing_factor=8)).info.uid
    for one in (uid, other):
        store.enrol_encrypted(random_uid(), one, batch((0,), block(0, 0, b"mine")))
    store.delete(random_uid(), uid)
    assert held(store, other) == {0: b"mine"}
    assert not [fact for fact in store.facts("owner block") if fact.key.startswith(uid)]


def successor(store: Store, uid: bytes) -> bytes:
    """One that is to take the place of another, with a row in it; the other has one too."""
    other = store.create(
        random_uid(), NewCollection("secret.rotating", 8, OWNER_DEFAULT.id, "none", packing_factor=8)
    ).info.uid
    store.enrol_encrypted(random_uid(), uid, batch((0,), block(0, 0, b"old")))
    store.enrol_encrypted(random_uid(), other, batch((0,), block(0, 0, b"new")))
    return other


def test_a_collection_takes_the_place_of_another_whole_and_once(
    open_store: OpenStore, store: Store, uid: bytes
) -> None:
    other, request_id = successor(store, uid), random_uid()
    with pytest.raises(BlockChanged):
        store.replace(random_uid(), other, uid, 0, "secret")
    assert {one.info.name: one.info.uid for one in store.collections()} == {"secret": uid, "secret.rotating": other}
    for _ in range(2):  # the second time is a repetition
        assert store.replace(request_id, other, uid, 1, "secret").info.name == "secret"
        assert [(one.info.name, one.info.uid) for one in store.collections()] == [("secret", other)]
    assert held(store, other) == {0: b"new"}
    assert not [fact for fact in store.facts("owner block") if fact.key.startswith(uid)]
    store.close()
    assert [one.info.uid for one in open_store().collections()] == [other]


def test_what_is_replaced_is_of_this_tenant_and_has_this_name(store: Store, uid: bytes) -> None:
    theirs = NewCollection("secret", 8, OWNER_DEFAULT.id, "none", packing_factor=8, tenant="theirs")
    other, foreign = successor(store, uid), store.create(random_uid(), theirs).info.uid
    for replaced, name in ((foreign, "secret"), (uid, "another name")):
        with pytest.raises(InvalidInput):
            store.replace(random_uid(), other, replaced, 0 if replaced == foreign else 1, name)
    assert len(store.collections()) == 3


def test_a_crash_in_the_middle_of_a_replacement_is_finished_by_repeating_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The keys of the old one are gone, the rest of the change was not written: opening finishes the destruction."""
    store = SqliteStore(tmp_path, rings_beside(tmp_path))
    uid = made(store)
    other, request_id = successor(store, uid), random_uid()
    with monkeypatch.context() as patched:
        patched.setattr(collections, "update_name", lambda *_: (_ for _ in ()).throw(Crash))
        with pytest.raises(Crash):
            store.replace(request_id, other, uid, 1, "secret")
    store.close()
    again = SqliteStore(tmp_path, rings_beside(tmp_path))
    assert [one.info.name for one in again.collections()] == ["secret.rotating"]
    assert again.replace(request_id, other, uid, 1, "secret").info.name == "secret"
    assert held(again, other) == {0: b"new"}
    again.close()


@pytest.mark.parametrize("written_since", [False, True], ids=["newest copy", "older copy"])
def test_copy_of_the_data_has_the_blocks_that_were_not_written_anew_since(tmp_path: Path, written_since: bool) -> None:
    """Put back with today's keys: a block that was written anew is gone with its old key, and its rows are not."""
    data, copy = tmp_path / "data", tmp_path / "copy.sqlite"
    data.mkdir()
    store = SqliteStore(data, rings_beside(data))
    uid = made(store)
    rows = batch((0, 300), block(0, 0, b"first"), block(33, 0, b"second"))
    store.enrol_encrypted(random_uid(), uid, rows)
    store.snapshot(copy)
    if written_since:
        store.enrol_encrypted(random_uid(), uid, batch((1,), block(0, 1, b"both")))
    store.close()
    for path in data.iterdir():
        path.unlink()
    copy.rename(data / FILE_NAME)
    again = SqliteStore(data, rings_beside(data))
    assert held(again, uid) == ({} if written_since else {0: b"first"}) | {33: b"second"}
    assert again.taken_slots(uid) == (0, 300)
    again.close()
