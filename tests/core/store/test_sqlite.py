"""What the embedded store promises beyond the suite: whom it opens for, and what is left on the disk."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import apsw
import numpy as np
import pytest

from unseen.entropy import random_uid
from unseen.envelope import context
from unseen.errors import InvalidConfiguration, SealBroken, StoreFailed, WrongKey
from unseen.store import schema, sealing
from unseen.store.interface import NewCollection
from unseen.store.sqlite import FILE_NAME, SqliteStore
from unseen.types import RowBatch

MASTER_KEY = bytes(range(32))
MakeBatch = Callable[..., RowBatch]
MakeNew = Callable[..., NewCollection]


def everything_on_disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir()))


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def altered(folder: Path, statement: str, values: tuple[object, ...] = ()) -> None:
    """Change the file behind the store's back."""
    with apsw.Connection(str(folder / FILE_NAME)) as db:
        db.execute(statement, values)
    db.close()


@pytest.fixture
def filled(tmp_path: Path, new_collection: MakeNew, make_batch: MakeBatch) -> tuple[bytes, RowBatch]:
    """A closed store with one collection of four rows."""
    store = SqliteStore(tmp_path, MASTER_KEY)
    uid = store.create(random_uid(), new_collection()).info.uid
    batch = make_batch(4)
    store.enrol(random_uid(), uid, batch)
    store.close()
    return uid, batch


@pytest.mark.usefixtures("filled")
def test_wrong_key_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    before = files(tmp_path)
    with pytest.raises(WrongKey):
        SqliteStore(tmp_path, bytes(32))
    assert files(tmp_path) == before


def test_wrong_key_after_a_crash_leaves_the_log_for_the_right_one(tmp_path: Path) -> None:
    program = (
        "import os, sys; sys.path.insert(0, 'core')\n"
        "from pathlib import Path\n"
        "from unseen.entropy import random_uid\n"
        "from unseen.store.interface import NewCollection\n"
        "from unseen.store.sqlite import SqliteStore\n"
        "store = SqliteStore(Path(sys.argv[1]), bytes(range(32)))\n"
        "store.create(random_uid(), NewCollection('photos', 8, '0' * 16, 'none', 8))\n"
        "os._exit(9)\n"
    )
    root = Path(__file__).resolve().parents[3]
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], cwd=root, check=False)
    before = files(tmp_path)
    assert before[f"{FILE_NAME}-wal"]
    with pytest.raises(WrongKey):
        SqliteStore(tmp_path, bytes(32))
    assert files(tmp_path) == before
    store = SqliteStore(tmp_path, MASTER_KEY)
    assert [stored.info.name for stored in store.collections()] == ["photos"]
    store.close()


@pytest.mark.parametrize("content", [b"not a database at all" * 100, os.urandom(5000)])
def test_foreign_file_is_refused_in_one_sentence_and_kept(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.raises(InvalidConfiguration, match="not an Unseen store"):
        SqliteStore(tmp_path, MASTER_KEY)
    assert files(tmp_path) == {FILE_NAME: content}


def test_database_of_another_program_is_refused_and_kept(tmp_path: Path) -> None:
    altered(tmp_path, "CREATE TABLE notes (text TEXT)")
    before = files(tmp_path)
    with pytest.raises(InvalidConfiguration, match="not an Unseen store"):
        SqliteStore(tmp_path, MASTER_KEY)
    assert files(tmp_path) == before


@pytest.mark.usefixtures("filled")
def test_newer_schema_is_refused_and_kept(tmp_path: Path) -> None:
    altered(tmp_path, f"PRAGMA user_version = {schema.SCHEMA_VERSION + 1}")
    before = files(tmp_path)
    with pytest.raises(InvalidConfiguration, match="schema version 3"):
        SqliteStore(tmp_path, MASTER_KEY)
    assert files(tmp_path) == before


def test_second_opening_is_refused_while_the_first_lasts(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path, MASTER_KEY)
    with pytest.raises(InvalidConfiguration, match="in use"):
        SqliteStore(tmp_path, MASTER_KEY)
    store.close()
    SqliteStore(tmp_path, MASTER_KEY).close()


def test_empty_file_becomes_a_store(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).touch()
    SqliteStore(tmp_path, MASTER_KEY).close()
    assert (tmp_path / FILE_NAME).stat().st_size > 0


def test_disk_holds_no_vector_and_no_key_in_the_clear(
    tmp_path: Path, new_collection: MakeNew, make_batch: MakeBatch
) -> None:
    store = SqliteStore(tmp_path, MASTER_KEY)
    uid = store.create(random_uid(), new_collection(dimension=64)).info.uid
    batch = make_batch(20, dimension=64)
    store.enrol(random_uid(), uid, batch)
    for disk in (everything_on_disk(tmp_path), (store.close(), everything_on_disk(tmp_path))[1]):
        assert MASTER_KEY not in disk
        for vector in batch.vectors:
            assert vector.tobytes()[:16] not in disk
            assert vector.astype(np.float32).tobytes()[:16] not in disk


def test_altered_sealed_vector_is_noticed(tmp_path: Path, filled: tuple[bytes, RowBatch]) -> None:
    altered(tmp_path, "UPDATE vectors_1 SET sealed = zeroblob(length(sealed)) WHERE slot = 2")
    store = SqliteStore(tmp_path, MASTER_KEY)
    with pytest.raises(SealBroken):
        list(store.vectors(filled[0]))
    store.close()


@pytest.mark.parametrize(
    "swap",
    [
        "UPDATE vectors_1 SET sealed = (SELECT sealed FROM vectors_1 WHERE slot = 1) WHERE slot = 2",
        "UPDATE live_rows SET epoch = 9 WHERE slot = 2",
        "UPDATE live_rows SET row_id = zeroblob(16) WHERE slot = 2",
    ],
)
def test_sealed_vector_opens_only_for_its_row_slot_and_epoch(
    tmp_path: Path, filled: tuple[bytes, RowBatch], swap: str
) -> None:
    altered(tmp_path, swap)
    store = SqliteStore(tmp_path, MASTER_KEY)
    with pytest.raises(SealBroken):
        list(store.vectors(filled[0]))
    store.close()


def test_erased_rows_are_found_nowhere_on_disk_when_erase_returns(
    tmp_path: Path, new_collection: MakeNew, make_batch: MakeBatch
) -> None:
    """Records of many sizes in several collections, so that SQLite has every reason to move cells about."""
    store = SqliteStore(tmp_path, MASTER_KEY)
    random = np.random.default_rng(5)
    collections = {store.create(random_uid(), new_collection(name)).info.uid: name for name in ("a", "b", "c")}
    live: list[tuple[bytes, bytes, bytes]] = []
    erased: list[bytes] = []
    for step in range(150):
        uid = list(collections)[step % 3]
        batch = make_batch(8, record_bytes=int(random.integers(30, 3000)))
        store.enrol(random_uid(), uid, batch)
        sealed = sealed_vectors(store, uid, batch.row_ids)
        live += [(uid, *row) for row in zip(batch.row_ids, batch.sealed_records, strict=True)]
        if step % 3 == 2:
            uid, row_id, record = live.pop(int(random.integers(len(live))))
            erased += [record, sealed.get(row_id) or sealed_vectors(store, uid, [row_id])[row_id]]
            store.erase(random_uid(), uid, (row_id,))
            disk = everything_on_disk(tmp_path)
            assert not any(secret[:24] in disk or secret[-24:] in disk for secret in erased[-2:])
    disk = everything_on_disk(tmp_path)
    assert not any(secret[:24] in disk or secret[-24:] in disk for secret in erased)
    assert all(record in disk for _, _, record in live if len(record) < 1000)
    store.close()


def sealed_vectors(store: SqliteStore, uid: bytes, row_ids: object) -> dict[bytes, bytes]:
    """A row's sealed bytes, as they lie on disk."""
    with store._database.reading() as tx:
        number = tx.fetch("SELECT number FROM collections WHERE uid = ?", (uid,))[0][0]
        found = tx.fetch(
            f"SELECT row_id, sealed FROM live_rows JOIN vectors_{number} USING (slot) WHERE collection = ?", (number,)
        )
    return {row_id: sealed for row_id, sealed in found if row_id in set(row_ids)}  # type: ignore[call-overload]


def test_deleted_collection_is_found_nowhere_on_disk(
    tmp_path: Path, new_collection: MakeNew, make_batch: MakeBatch
) -> None:
    store = SqliteStore(tmp_path, MASTER_KEY)
    doomed, kept = (store.create(random_uid(), new_collection(name)).info.uid for name in ("doomed", "kept"))
    batches = [make_batch(200, record_bytes=500) for _ in range(3)]
    for batch in batches:
        store.enrol(random_uid(), doomed, batch)
        store.enrol(random_uid(), kept, make_batch(50, record_bytes=700))
    sealed = sealed_vectors(store, doomed, batches[1].row_ids)
    with store._database.reading() as tx:
        wrapped = tx.fetch("SELECT wrapped_key FROM collections WHERE uid = ?", (doomed,))[0][0]
    assert isinstance(wrapped, bytes)
    assert wrapped in everything_on_disk(tmp_path)
    store.delete(random_uid(), doomed)
    disk = everything_on_disk(tmp_path)
    assert wrapped[40:] not in disk
    assert not any(secret[-24:] in disk for secret in (*sealed.values(), *batches[1].sealed_records))
    store.close()


def test_room_of_erased_rows_is_used_again(tmp_path: Path, new_collection: MakeNew, make_batch: MakeBatch) -> None:
    store = SqliteStore(tmp_path, MASTER_KEY)
    uid = store.create(random_uid(), new_collection()).info.uid
    sizes = []
    for _ in range(30):
        batch = make_batch(64, record_bytes=1024)
        store.enrol(random_uid(), uid, batch)
        store.erase(random_uid(), uid, batch.row_ids)
        with store._database.reading() as tx:
            sizes.append(tx.fetch("SELECT count(*), sum(length(sealed)) FROM records_1")[0])
    assert set(sizes) == {(64, 64 * 1024)}
    store.close()


def test_write_that_fails_stops_the_store(
    tmp_path: Path, filled: tuple[bytes, RowBatch], make_batch: MakeBatch
) -> None:
    store = SqliteStore(tmp_path, MASTER_KEY)
    with store._database.reading() as tx:
        tx.run("PRAGMA max_page_count = 1")
        tx.run(f"PRAGMA max_page_count = {tx.fetch('PRAGMA page_count')[0][0]}")
    with pytest.raises(StoreFailed):
        store.enrol(random_uid(), filled[0], make_batch(1000, record_bytes=3000))
    for refused in (store.collections, lambda: store.enrol(random_uid(), filled[0], make_batch(1))):
        with pytest.raises(StoreFailed):
            refused()
    store.close()
    again = SqliteStore(tmp_path, MASTER_KEY)
    assert again.collections()[0].info.rows == 4
    again.close()


def test_row_place_is_the_context_that_the_format_says() -> None:
    place = sealing.CollectionSeal(bytes(16), MASTER_KEY)._row_place(bytes(range(16)), 7, 9)
    assert place == context("vector", 1, bytes(16), bytes(range(16)), 7, 9)


def test_disk_format_has_not_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_batch: MakeBatch) -> None:
    counter = iter(range(10_000))

    def fixed_bytes(count: int) -> bytes:
        return hashlib.shake_256(str(next(counter)).encode()).digest(count)

    for module in ("unseen.entropy", "unseen.envelope", "unseen.store.sealing"):
        monkeypatch.setattr(f"{module}.random_bytes", fixed_bytes)
    store = SqliteStore(tmp_path, MASTER_KEY)
    uid = store.create(bytes(16), NewCollection("photos", 8, "0123456789abcdef", "none", 8)).info.uid
    batch = make_batch(5, seed=1)
    store.enrol(bytes(range(16)), uid, batch)
    store.erase(bytes(range(1, 17)), uid, batch.row_ids[1:3])
    store.append_fact("policy", uid, b"body")
    with store._database.reading() as tx:
        tables = tx.fetch("SELECT name, sql FROM sqlite_schema ORDER BY name")
        content = [(name, sorted(tx.fetch(f"SELECT * FROM {name}"))) for name, sql in tables if "TABLE" in str(sql)]
    store.close()
    assert hashlib.sha256(repr((tables, content)).encode()).hexdigest() == TRIPWIRE


TRIPWIRE = "c6eaaa31c622db9f0a1904892b64b319328c3535ba07e048c2ced3a8949dcabb"
