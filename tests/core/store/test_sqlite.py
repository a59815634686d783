"""What the embedded store promises beyond the suite: whom it opens for, and what is left on the disk."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import apsw
import numpy as np
import pytest

from tests.key_rings import MASTER_KEY, rings_beside
from unseen.entropy import random_uid
from unseen.envelope import SEAL_OVERHEAD_BYTES, context
from unseen.errors import IntegrityError, InvalidConfiguration, SealBroken, StoreFailed, WrongKey
from unseen.keys.ring_content import Destroyed
from unseen.keys.tree import KeyTree
from unseen.store import schema, sealing
from unseen.store.checked_pages import PAGE_BYTES, CheckedFiles, PageAltered
from unseen.store.interface import NewCollection
from unseen.store.sqlite import FILE_NAME, SqliteStore
from unseen.types import RowBatch

MakeBatch = Callable[..., RowBatch]
MakeNew = Callable[..., NewCollection]


def everything_on_disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir()))


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def altered(folder: Path, statement: str, values: tuple[object, ...] = ()) -> None:
    """Change the file behind the store's back, as somebody would who knows its format."""
    checked = CheckedFiles("unseen-altering")
    with apsw.Connection(str(folder / FILE_NAME), vfs=checked.name) as db:
        db.execute(statement, values)
    db.close()
    checked.unregister()


@pytest.fixture
def filled(tmp_path: Path, new_collection: MakeNew, make_batch: MakeBatch) -> tuple[bytes, RowBatch]:
    """A closed store with one collection of four rows."""
    store = SqliteStore(tmp_path, rings_beside(tmp_path))
    uid = store.create(random_uid(), new_collection()).info.uid
    batch = make_batch(4)
    store.enrol(random_uid(), uid, batch)
    store.close()
    return uid, batch


@pytest.mark.usefixtures("filled")
def test_wrong_key_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    before = files(tmp_path)
    with pytest.raises(WrongKey):
        SqliteStore(tmp_path, rings_beside(tmp_path, bytes(32)))
    assert files(tmp_path) == before


def test_wrong_key_after_a_crash_leaves_the_log_for_the_right_one(tmp_path: Path) -> None:
    program = (
        "import os, sys; sys.path[:0] = ['core', '.']\n"
        "from tests.key_rings import rings_beside\n"
        "from pathlib import Path\n"
        "from unseen.entropy import random_uid\n"
        "from unseen.store.interface import NewCollection\n"
        "from unseen.store.sqlite import SqliteStore\n"
        "store = SqliteStore(Path(sys.argv[1]), rings_beside(Path(sys.argv[1])))\n"
        "store.create(random_uid(), NewCollection('photos', 8, '0' * 16, 'none', 8))\n"
        "os._exit(9)\n"
    )
    root = Path(__file__).resolve().parents[3]
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], cwd=root, check=False)
    before = files(tmp_path)
    assert before[f"{FILE_NAME}-wal"]
    with pytest.raises(WrongKey):
        SqliteStore(tmp_path, rings_beside(tmp_path, bytes(32)))
    assert files(tmp_path) == before
    store = SqliteStore(tmp_path, rings_beside(tmp_path))
    assert [stored.info.name for stored in store.collections()] == ["photos"]
    store.close()


@pytest.mark.parametrize("content", [b"not a database at all" * 100, os.urandom(5000)], ids=["text", "noise"])
def test_foreign_file_is_refused_in_one_sentence_and_kept(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.raises(InvalidConfiguration, match="not an Unseen store"):
        SqliteStore(tmp_path, rings_beside(tmp_path))
    assert files(tmp_path) == {FILE_NAME: content}


def test_database_of_another_program_is_refused_and_kept(tmp_path: Path) -> None:
    altered(tmp_path, "CREATE TABLE notes (text TEXT)")
    before = files(tmp_path)
    with pytest.raises(InvalidConfiguration, match="not an Unseen store"):
        SqliteStore(tmp_path, rings_beside(tmp_path))
    assert files(tmp_path) == before


@pytest.mark.usefixtures("filled")
def test_newer_schema_is_refused_and_kept(tmp_path: Path) -> None:
    altered(tmp_path, f"PRAGMA user_version = {schema.SCHEMA_VERSION + 1}")
    before = files(tmp_path)
    with pytest.raises(InvalidConfiguration, match="schema version 4"):
        SqliteStore(tmp_path, rings_beside(tmp_path))
    assert files(tmp_path) == before


def test_second_opening_is_refused_while_the_first_lasts(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path, rings_beside(tmp_path))
    with pytest.raises(InvalidConfiguration, match="in use"):
        SqliteStore(tmp_path, rings_beside(tmp_path))
    store.close()
    SqliteStore(tmp_path, rings_beside(tmp_path)).close()


def test_empty_file_is_a_store_that_lost_everything_and_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).touch()
    with pytest.raises(IntegrityError, match="damaged"):
        SqliteStore(tmp_path, rings_beside(tmp_path))
    assert files(tmp_path) == {FILE_NAME: b""}


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("missing_bytes", [1, 5000, PAGE_BYTES - 1])
def test_file_that_ends_within_a_page_is_refused_and_kept(tmp_path: Path, missing_bytes: int) -> None:
    path = tmp_path / FILE_NAME
    os.truncate(path, path.stat().st_size - missing_bytes)
    before = files(tmp_path)
    with pytest.raises(IntegrityError, match="within a page"):
        SqliteStore(tmp_path, rings_beside(tmp_path))
    assert files(tmp_path) == before


def test_file_that_a_crash_left_within_a_page_is_finished_from_the_log(
    tmp_path: Path, filled: tuple[bytes, RowBatch], make_batch: MakeBatch
) -> None:
    uid, first = filled
    store = SqliteStore(tmp_path, rings_beside(tmp_path))
    second = make_batch(200)
    store.enrol(random_uid(), uid, second)
    crashed = files(tmp_path)
    store.close()
    assert len(crashed[f"{FILE_NAME}-wal"]) > PAGE_BYTES
    crashed[FILE_NAME] += bytes(1000)  # a checkpoint had begun to append what the log has
    for name, content in crashed.items():
        (tmp_path / name).write_bytes(content)
    store = SqliteStore(tmp_path, rings_beside(tmp_path))
    (page,) = store.changes(uid, 0, 1 << 60, 1 << 20, 1 << 30)
    assert {entry.row_id for entry in page.added} == {*first.row_ids, *second.row_ids}
    store.close()
    assert (tmp_path / FILE_NAME).stat().st_size % PAGE_BYTES == 0


def test_store_whose_making_was_interrupted_is_made_at_the_next_start(tmp_path: Path) -> None:
    (tmp_path / f"{FILE_NAME}.unfinished").write_bytes(bytes(5000))
    (tmp_path / f"{FILE_NAME}.unfinished-journal").write_bytes(bytes(5000))
    SqliteStore(tmp_path, rings_beside(tmp_path)).close()
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_disk_holds_no_vector_and_no_key_in_the_clear(
    tmp_path: Path, new_collection: MakeNew, make_batch: MakeBatch
) -> None:
    store = SqliteStore(tmp_path, rings_beside(tmp_path))
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
    store = SqliteStore(tmp_path, rings_beside(tmp_path))
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
    store = SqliteStore(tmp_path, rings_beside(tmp_path))
    with pytest.raises(SealBroken):
        list(store.vectors(filled[0]))
    store.close()


def test_erased_rows_are_found_nowhere_on_disk_when_erase_returns(
    tmp_path: Path, new_collection: MakeNew, make_batch: MakeBatch
) -> None:
    """Records of many sizes in several collections, so that SQLite has every reason to move cells about."""
    store = SqliteStore(tmp_path, rings_beside(tmp_path))
    random = np.random.default_rng(5)
    collections = {store.create(random_uid(), new_collection(name)).info.uid: name for name in ("a", "b", "c")}
    live: list[tuple[bytes, bytes]] = []
    erased: list[bytes] = []
    for step in range(150):
        uid = list(collections)[step % 3]
        batch = make_batch(8, record_bytes=int(random.integers(30, 3000)))
        store.enrol(random_uid(), uid, batch)
        live += [(uid, row_id) for row_id in batch.row_ids]
        if step % 3 == 2:
            uid, row_id = live.pop(int(random.integers(len(live))))
            erased += sealed_cells(store, uid, [row_id])[row_id]
            store.erase(random_uid(), uid, (row_id,))
            disk = everything_on_disk(tmp_path)
            assert not any(secret[:24] in disk or secret[-24:] in disk for secret in erased[-2:])
    disk = everything_on_disk(tmp_path)
    assert not any(secret[:24] in disk or secret[-24:] in disk for secret in erased)
    for uid in collections:
        cells = sealed_cells(store, uid, [row_id for owner, row_id in live if owner == uid])
        assert all(vector in disk for vector, _ in cells.values())
        assert all(record in disk for _, record in cells.values() if len(record) < 1000)
    store.close()


def sealed_cells(store: SqliteStore, uid: bytes, row_ids: Iterable[bytes]) -> dict[bytes, tuple[bytes, bytes]]:
    """The sealed vector and record of rows, as they lie on disk."""
    wanted = set(row_ids)
    with store._database.reading() as tx:
        number = tx.fetch("SELECT number FROM collections WHERE uid = ?", (uid,))[0][0]
        found = tx.fetch(
            f"SELECT row_id, v.sealed, r.sealed FROM live_rows JOIN vectors_{number} AS v USING (slot)"
            f" JOIN records_{number} AS r USING (record) WHERE collection = ?",
            (number,),
        )
    return {row_id: (vector, record) for row_id, vector, record in found if row_id in wanted}


def test_deleted_collection_is_found_nowhere_on_disk(
    tmp_path: Path, new_collection: MakeNew, make_batch: MakeBatch
) -> None:
    store = SqliteStore(tmp_path, rings_beside(tmp_path))
    doomed, kept = (store.create(random_uid(), new_collection(name)).info.uid for name in ("doomed", "kept"))
    batches = [make_batch(200, record_bytes=500) for _ in range(3)]
    for batch in batches:
        store.enrol(random_uid(), doomed, batch)
        store.enrol(random_uid(), kept, make_batch(50, record_bytes=700))
    sealed = [cell for cells in sealed_cells(store, doomed, batches[1].row_ids).values() for cell in cells]
    assert all(secret in everything_on_disk(tmp_path) for secret in sealed)
    ring = store._seals.ring
    tree_id = ring.trees_of(doomed)[0]
    store.delete(random_uid(), doomed)
    disk = everything_on_disk(tmp_path)
    assert (ring.trees_of(doomed), ring.why_destroyed(tree_id)) == ([], Destroyed.COLLECTION_DELETED)
    assert not any(secret[-24:] in disk for secret in sealed)
    store.close()


def test_room_of_erased_rows_is_used_again(tmp_path: Path, new_collection: MakeNew, make_batch: MakeBatch) -> None:
    store = SqliteStore(tmp_path, rings_beside(tmp_path))
    uid = store.create(random_uid(), new_collection()).info.uid
    sizes = []
    for _ in range(30):
        batch = make_batch(64, record_bytes=1024)
        store.enrol(random_uid(), uid, batch)
        store.erase(random_uid(), uid, batch.row_ids)
        with store._database.reading() as tx:
            sizes.append(tx.fetch("SELECT count(*), sum(length(sealed)) FROM records_1")[0])
    assert set(sizes) == {(64, 64 * (1024 + SEAL_OVERHEAD_BYTES))}
    store.close()


def test_write_that_fails_stops_the_store(
    tmp_path: Path, filled: tuple[bytes, RowBatch], make_batch: MakeBatch
) -> None:
    store = SqliteStore(tmp_path, rings_beside(tmp_path))
    with store._database.reading() as tx:
        tx.run("PRAGMA max_page_count = 1")
        tx.run(f"PRAGMA max_page_count = {tx.fetch('PRAGMA page_count')[0][0]}")
    with pytest.raises(StoreFailed):
        store.enrol(random_uid(), filled[0], make_batch(1000, record_bytes=3000))
    for refused in (store.collections, lambda: store.enrol(random_uid(), filled[0], make_batch(1))):
        with pytest.raises(StoreFailed):
            refused()
    store.close()
    again = SqliteStore(tmp_path, rings_beside(tmp_path))
    assert again.collections()[0].info.rows == 4
    again.close()


def test_row_place_is_the_context_that_the_format_says() -> None:
    seal = sealing.CollectionSeal(bytes(16), KeyTree.grown_from(MASTER_KEY))
    place = sealing.SealPlace(bytes(range(16)), 7, 9, 1234)
    for kind, name in ((seal._vector_place, ("vector", 2)), (seal._record_place, ("record at rest", 1))):
        assert sealing._row_place(kind, place) == context(*name, bytes(16), bytes(range(16)), 7, 9)


def test_disk_format_has_not_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_batch: MakeBatch) -> None:
    counter = iter(range(10_000))

    def fixed_bytes(count: int) -> bytes:
        return hashlib.shake_256(str(next(counter)).encode()).digest(count)

    for module in ("unseen.entropy", "unseen.envelope", "unseen.keys.ring", "unseen.keys.serials"):
        monkeypatch.setattr(f"{module}.random_bytes", fixed_bytes)
    store = SqliteStore(tmp_path, rings_beside(tmp_path))
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


TRIPWIRE = "7dcc895d1149aa85d2c9bf4868e8f5ff61a9773dc449ec5f1901395038e89e45"


def test_page_that_is_written_to_the_log_in_two_parts_is_not_held_against_its_old_sum(tmp_path: Path) -> None:
    files = CheckedFiles("unseen-splitting")
    (tmp_path / "unseen.sqlite").touch()  # SQLite takes the log's permissions from it
    path = tmp_path / "unseen.sqlite-wal"
    flags = apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_CREATE | apsw.SQLITE_OPEN_READWRITE
    file = files.xOpen(str(path), [flags, 0])
    places = [32 + 24 + number * (PAGE_BYTES + 24) for number in range(3)]
    for number, place in enumerate(places):
        file.xWrite(bytes([number]) * PAGE_BYTES, place)
    file.xWrite(b"x" * 1000, places[1])
    file.xWrite(b"y" * (PAGE_BYTES - 1000), places[1] + 1000)
    assert file.xRead(PAGE_BYTES, places[1]) == b"x" * 1000 + b"y" * (PAGE_BYTES - 1000)
    with path.open("r+b") as behind:
        for place in (places[0], places[2]):
            behind.seek(place + 5)
            behind.write(b"z")
    for place in (places[0], places[2]):
        with pytest.raises(PageAltered, match="in the log"):
            file.xRead(PAGE_BYTES, place)
    file.xClose()
    files.unregister()
