"""A store of an older release opens with every row intact, and a kill in between loses nothing."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.core.store import version_1
from tests.core.store.failing_files import Disk
from tests.key_rings import MASTER_KEY, rings_beside
from unseen.entropy import random_uid
from unseen.errors import RequestReplayed, StoreFailed, WrongKey
from unseen.store import migrations, schema
from unseen.store.checked_pages import PAGE_BYTES, is_whole
from unseen.store.interface import NewCollection
from unseen.store.sqlite import FILE_NAME, SqliteStore
from unseen.store.sqlite_examination import _tables, examine_file
from unseen.types import RowBatch

ROWS = 2100
"""Two extents, and more than one page of vectors: what comes after is more of the same, and slower."""
ERASED = (3, 2048, 2099)
MakeBatch = Callable[..., RowBatch]


@pytest.fixture
def old(tmp_path: Path, make_batch: MakeBatch) -> version_1.Version1:
    """A store of version 1 in tmp_path."""
    return version_1.write(tmp_path, MASTER_KEY, make_batch(ROWS, record_bytes=30), ERASED)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def require_everything(store: SqliteStore, old: version_1.Version1) -> None:
    """Every row is there as it was, and no more."""
    live = [slot for slot in range(ROWS) if slot not in ERASED]
    (stored,) = store.collections()
    assert (stored.tenant, stored.info.name, stored.info.rows, stored.info.slots) == ("", "photos", len(live), ROWS)
    pages = list(store.vectors(stored.info.uid))
    assert np.concatenate([page.slots for page in pages]).tolist() == live
    np.testing.assert_array_equal(np.concatenate([page.vectors for page in pages]), old.rows.vectors[live])
    entries = [entry for page in store.changes(stored.info.uid, 0, 1 << 60, 1 << 20, 1 << 30) for entry in page.added]
    assert [(entry.row_id, entry.slot, entry.epoch, entry.sealed_record) for entry in entries] == [
        (old.rows.row_ids[slot], slot, 1, old.rows.sealed_records[slot]) for slot in live
    ]
    erased = [row_id for page in store.changes(stored.info.uid, 1, 1 << 60, 1 << 20, 1 << 30) for row_id in page.erased]
    assert sorted(erased) == sorted(old.rows.row_ids[slot] for slot in ERASED)
    assert store.extents(stored.info.uid) == (0, 0)


def test_store_of_version_1_opens_with_every_row_and_its_tables_become_todays(
    tmp_path: Path,
    old: version_1.Version1,
    tmp_path_factory: pytest.TempPathFactory,
    new_collection: Callable[..., NewCollection],
) -> None:
    store = SqliteStore(tmp_path, rings_beside(tmp_path))
    require_everything(store, old)
    store.close()
    again = SqliteStore(tmp_path, rings_beside(tmp_path))
    require_everything(again, old)
    fresh_folder = tmp_path_factory.mktemp("fresh")
    fresh = SqliteStore(fresh_folder, rings_beside(fresh_folder))
    assert tables_of(again) == tables_of(fresh)
    again.create(random_uid(), new_collection("next"))
    with again._database.reading() as tx:
        assert tx.fetch("SELECT number FROM collections WHERE name = 'next'") == [(6,)], "a number was used twice"
    for opened in (again, fresh):
        opened.close()
    content = (tmp_path / FILE_NAME).read_bytes()
    pages = [content[start : start + PAGE_BYTES] for start in range(0, len(content), PAGE_BYTES)]
    assert all(is_whole(number, page) for number, page in enumerate(pages))
    assert examine_file(tmp_path / FILE_NAME, rings_beside(tmp_path)).findings == []


def tables_of(store: SqliteStore) -> set[tuple[object, ...]]:
    with store._database.reading() as tx:
        return {row for row in _tables(tx) if not str(row[0]).startswith(("vectors_", "records_"))}


def test_requests_of_version_1_are_still_known(tmp_path: Path, old: version_1.Version1) -> None:
    store = SqliteStore(tmp_path, rings_beside(tmp_path))
    uid, erased = version_1.COLLECTION_UID, tuple(old.rows.row_ids[slot] for slot in ERASED)
    new = NewCollection(version_1.NAME, version_1.DIMENSION, version_1.PARAMETER_ID, "none", packing_factor=8)
    assert store.create(old.create_id, new).info.uid == uid
    assert store.erase(old.erase_id, uid, erased).repeated
    with pytest.raises(RequestReplayed, match="erased since"):
        store.enrol(old.enrol_id, uid, old.rows)
    with pytest.raises(RequestReplayed, match="another request"):
        store.erase(old.erase_id, uid, erased[:1])
    store.close()


@pytest.mark.usefixtures("old")
def test_wrong_key_migrates_nothing(tmp_path: Path) -> None:
    before = files(tmp_path)
    with pytest.raises(WrongKey):
        SqliteStore(tmp_path, rings_beside(tmp_path, bytes(32)))
    assert files(tmp_path) == before


def test_every_write_of_a_migration_may_fail(tmp_path: Path, make_batch: MakeBatch, disk: Disk) -> None:
    (tmp_path / "old").mkdir()
    old = version_1.write(tmp_path / "old", MASTER_KEY, make_batch(ROWS, record_bytes=30), ERASED)
    total = sys.maxsize
    number = 0
    while number < total:
        folder = tmp_path / str(number)
        shutil.copytree(tmp_path / "old", folder)
        disk.operations, disk.fails_at = 0, number or sys.maxsize
        if number:
            with pytest.raises(StoreFailed):
                SqliteStore(folder, rings_beside(folder))
        else:
            SqliteStore(folder, rings_beside(folder)).close()
            total = disk.operations
        disk.fails_at = sys.maxsize
        store = SqliteStore(folder, rings_beside(folder))
        require_everything(store, old)
        store.close()
        shutil.rmtree(folder)
        number += 1 if number < 12 or number > total - 12 else 13
    assert total > 30


def test_there_is_a_step_from_every_older_version() -> None:
    assert sorted(migrations.STEPS) == list(schema.MIGRATED_VERSIONS) == list(range(1, schema.SCHEMA_VERSION))
