"""Every write, sync and cut of the disk fails once: no acknowledgement is a lie, and no change is there by half.

The disk is SQLite's own layer of files (VFS) with a counter in it: the k-th operation fails, for every k that a short
life of a store reaches. The store must say StoreFailed and stay silent; a restart must find what was acknowledged.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.core.store.failing_files import Disk
from tests.key_rings import rings_beside
from unseen.entropy import random_uid
from unseen.errors import StoreFailed
from unseen.store.interface import NewCollection
from unseen.store.sqlite import FILE_NAME, SqliteStore
from unseen.types import RowBatch


@dataclass
class Life:
    """What was acknowledged in a store's life."""

    created: bool = False
    enrolled: list[RowBatch] = field(default_factory=list)
    erased: list[bytes] = field(default_factory=list)
    asked_to_erase: list[bytes] = field(default_factory=list)
    batches: list[RowBatch] = field(default_factory=list)


def live(folder: Path, life: Life, make_batch: Callable[..., RowBatch]) -> None:
    """Open, create, enrol, erase, enrol, close; each step is noted once it was acknowledged."""
    store = SqliteStore(folder, rings_beside(folder))
    try:
        uid = store.create(random_uid(), NewCollection("photos", 8, "0" * 16, "none", 8)).info.uid
        life.created = True
        for _ in range(2):
            batch = make_batch(3, record_bytes=300)
            life.batches.append(batch)
            store.enrol(random_uid(), uid, batch)
            life.enrolled.append(batch)
            life.asked_to_erase += batch.row_ids[:2]
            store.erase(random_uid(), uid, batch.row_ids[:2])
            life.erased += batch.row_ids[:2]
    except StoreFailed:
        with pytest.raises(StoreFailed):
            store.collections()
        raise
    finally:
        store.close()


def check(folder: Path, life: Life) -> None:
    """A later start finds every acknowledged change, and each other one wholly or not at all."""
    store = SqliteStore(folder, rings_beside(folder))
    found = store.collections()
    assert found or not life.created
    if found:
        uid = found[0].info.uid
        pages = store.changes(uid, 0, 1 << 60, 1 << 20, 1 << 30)
        entries = {entry.row_id: entry for page in pages for entry in page.added}
        assert sum(len(page.slots) for page in store.vectors(uid)) == len(entries) == found[0].info.rows
        for batch in life.batches:
            kept = [row_id in entries for row_id in batch.row_ids if row_id not in life.asked_to_erase]
            assert all(kept) or not any(kept)
            assert all(kept) or batch not in life.enrolled
        assert not set(life.erased) & set(entries)
    store.close()


def test_every_operation_of_the_disk_may_fail(tmp_path: Path, disk: Disk, make_batch: Callable[..., RowBatch]) -> None:
    live(tmp_path / make(tmp_path, "whole"), Life(), make_batch)
    total = disk.operations
    assert total > 50
    for number in range(1, total + 1):
        folder = tmp_path / make(tmp_path, str(number))
        disk.operations, disk.fails_at = 0, number
        life = Life()
        with pytest.raises(StoreFailed):
            live(folder, life, make_batch)
        disk.fails_at = sys.maxsize
        check(folder, life)


def make(folder: Path, name: str) -> str:
    (folder / name).mkdir()
    return name


def unsynced(journal: list[tuple[str, str]]) -> set[str]:
    """The files that were written to after they were last synced."""
    dirty = set()
    for what, where in journal:
        if what == "write":
            dirty.add(where)
        elif what == "sync":
            dirty.discard(where)
    return dirty


def test_every_answer_comes_after_the_sync_of_what_it_says(
    tmp_path: Path, disk: Disk, make_batch: Callable[..., RowBatch]
) -> None:
    store = SqliteStore(tmp_path, rings_beside(tmp_path))
    batch = make_batch(30, record_bytes=500)
    uid = store.create(random_uid(), NewCollection("photos", 8, "0" * 16, "none", 8)).info.uid
    for change in (
        lambda: store.enrol(random_uid(), uid, batch),
        lambda: store.erase(random_uid(), uid, batch.row_ids[:3]),
        lambda: store.repacked(uid, 4, 30),
        lambda: store.delete(random_uid(), uid),
    ):
        disk.journal.clear()
        change()
        assert ("write", "log") in disk.journal
        assert ("sync", "log") in disk.journal
        assert unsynced(disk.journal) == set()
    store.close()


def test_erasure_empties_the_log_before_it_is_acknowledged(
    tmp_path: Path, disk: Disk, make_batch: Callable[..., RowBatch]
) -> None:
    store = SqliteStore(tmp_path, rings_beside(tmp_path))
    batch = make_batch(3)
    uid = store.create(random_uid(), NewCollection("photos", 8, "0" * 16, "none", 8)).info.uid
    store.enrol(random_uid(), uid, batch)
    disk.journal.clear()
    store.erase(random_uid(), uid, batch.row_ids[:1])
    assert disk.journal[-1] == ("cut", "log")
    assert (tmp_path / f"{FILE_NAME}-wal").stat().st_size == 0
    store.close()
