"""A backup holds a store as it was at one moment, and not a byte of it can be another one unnoticed."""

from __future__ import annotations

import errno
import io
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from bench.folders import contents
from tests.core.store.failing_files import Disk
from tests.key_rings import MASTER_KEY, rings_beside
from unseen.entropy import random_uid
from unseen.errors import (
    IntegrityError,
    InvalidConfiguration,
    InvalidInput,
    LimitExceeded,
    ServerBusy,
    StoreFailed,
    WrongKey,
)
from unseen.keys.ring import KeyRings
from unseen.store import backup
from unseen.store.checked_pages import PAGE_BYTES
from unseen.store.durable import DurableStore
from unseen.store.interface import NewCollection
from unseen.store.sqlite import FILE_NAME, SqliteStore
from unseen.store.sqlite_examination import examine_file
from unseen.types import RowBatch

OpenStore = Callable[[], DurableStore]
MakeBatch = Callable[..., RowBatch]
MakeNew = Callable[..., NewCollection]


@pytest.fixture
def rings(tmp_path: Path) -> KeyRings:
    return rings_beside(tmp_path)


@pytest.fixture
def copies(tmp_path: Path) -> Callable[[str], Path]:
    """New folders for copies of the store."""

    def folder(name: str) -> Path:
        path = tmp_path / name
        path.mkdir()
        return path

    return folder


def content(store: DurableStore) -> dict[str, object]:
    """Everything that a store answers."""
    found: dict[str, object] = {"facts": store.facts("consent"), "collections": store.collections()}
    for stored in store.collections():
        uid = stored.info.uid
        found[uid.hex()] = (
            [(page.slots.tolist(), page.vectors.tolist()) for page in store.vectors(uid)],
            [page.added for page in store.changes(uid, 0, 1 << 60, 1 << 20, 1 << 30)],
            sorted(row for page in store.changes(uid, 1, 1 << 60, 1 << 20, 1 << 30) for row in page.erased),
            store.extents(uid),
        )
    return found


@pytest.fixture
def store(open_store: OpenStore, new_collection: MakeNew, make_batch: MakeBatch) -> DurableStore:
    """Two collections with rows, some erased, some withheld, one collection deleted, a fact forgotten."""
    store = open_store()
    for name in ("photos", "gone", "more"):
        uid = store.create(random_uid(), new_collection(name)).info.uid
        batch = make_batch(3000)
        store.enrol(random_uid(), uid, batch, compartment=1)
        store.enrol(random_uid(), uid, make_batch(5), compartment=2)
        store.erase(random_uid(), uid, batch.row_ids[7:9])
        store.withhold(random_uid(), uid, batch.row_ids[100:103])
    store.delete(random_uid(), store.collections()[0].info.uid)
    for key in (b"a", b"b"):
        store.append_fact("consent", key, b"body")
    store.forget_facts("consent", b"a")
    return store


def test_snapshot_is_a_sound_store_with_the_same_content(
    store: DurableStore, copies: Callable[[str], Path], rings: KeyRings, new_collection: MakeNew
) -> None:
    folder = copies("copy")
    store.snapshot(folder / FILE_NAME)
    assert [path.name for path in folder.iterdir()] == [FILE_NAME]
    assert examine_file(folder / FILE_NAME, rings).findings == []
    copy = SqliteStore(folder, rings)
    assert copy.uid == store.uid
    assert content(copy) == content(store)
    made = copy.create(random_uid(), new_collection("later"))
    assert made in copy.collections()
    copy.close()


def test_snapshot_that_nobody_wants_any_more_ends_and_the_next_one_comes(
    store: DurableStore, copies: Callable[[str], Path], rings: KeyRings, make_batch: MakeBatch, new_collection: MakeNew
) -> None:
    uid = store.create(random_uid(), new_collection("large")).info.uid
    store.enrol(random_uid(), uid, make_batch(1500, record_bytes=2000))
    parts = []

    def go_on() -> None:
        parts.append(1)
        if len(parts) == 2:
            raise ServerBusy

    with pytest.raises(ServerBusy):
        store.snapshot(copies("first") / FILE_NAME, go_on)
    assert len(parts) == 2
    folder = copies("second")
    store.snapshot(folder / FILE_NAME, go_on)
    assert len(parts) > 3
    assert examine_file(folder / FILE_NAME, rings).findings == []


def test_snapshot_is_of_one_moment_while_rows_come_and_go(
    store: DurableStore, copies: Callable[[str], Path], rings: KeyRings, make_batch: MakeBatch, new_collection: MakeNew
) -> None:
    uid = store.create(random_uid(), new_collection("busy")).info.uid
    stop, batches, failures = threading.Event(), [], []

    def change() -> None:
        try:
            while not stop.is_set():
                batches.append(make_batch(20, record_bytes=2000))
                store.enrol(random_uid(), uid, batches[-1])
                if len(batches) % 3 == 0:
                    store.erase(random_uid(), uid, batches[-2].row_ids)
        except StoreFailed as error:
            failures.append(error)

    changing = threading.Thread(target=change)
    changing.start()
    folders = [copies(f"copy {number}") for number in range(5)]
    for folder in folders:
        store.snapshot(folder / FILE_NAME)
    stop.set()
    changing.join()
    assert failures == []
    epochs = []
    for folder in folders:
        # Rows that were erased after the copy have no key any more: an opening removes them, the report says so.
        report = examine_file(folder / FILE_NAME, rings)
        assert report.findings == []
        copy = SqliteStore(folder, rings)
        info = next(one.info for one in copy.collections() if one.info.uid == uid)
        there = {entry.row_id for page in copy.changes(uid, 0, 1 << 60, 1 << 20, 1 << 30) for entry in page.added}
        for batch in batches:
            assert len(there & set(batch.row_ids)) in (0, 20), "a change is there by half"
        assert sum(len(page.slots) for page in copy.vectors(uid)) == info.rows
        epochs.append(info.epoch)
        copy.close()
    assert epochs == sorted(epochs)


def test_snapshot_without_room_is_refused_and_the_store_goes_on(
    store: DurableStore, tmp_path: Path, make_batch: MakeBatch
) -> None:
    with pytest.raises(LimitExceeded, match="make room"):
        store.snapshot(tmp_path / "no folder" / FILE_NAME)
    uid = store.collections()[0].info.uid
    store.enrol(random_uid(), uid, make_batch(1))


@pytest.fixture(params=["absolute", "relative", "behind a link"])
def reopened(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    rings: KeyRings,
    new_collection: MakeNew,
    make_batch: MakeBatch,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[SqliteStore]:
    """A store of some pages, none of which it read but the first; its folder is named in one way or another."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "data")
    named = {"absolute": tmp_path / "data", "relative": Path("data"), "behind a link": tmp_path / "link"}
    store = SqliteStore(named[request.param], rings)
    store.enrol(random_uid(), store.create(random_uid(), new_collection()).info.uid, make_batch(500, record_bytes=800))
    store.close()
    store = SqliteStore(named[request.param], rings)
    yield store
    store.close()


@pytest.mark.parametrize("damage", ["an altered page", "a page that cannot be read"])
def test_damage_that_a_snapshot_finds_is_the_stores_and_stops_it(
    disk: Disk, reopened: SqliteStore, tmp_path: Path, damage: str
) -> None:
    if damage == "an altered page":
        with (tmp_path / "data" / FILE_NAME).open("r+b") as file:
            file.seek(20 * PAGE_BYTES)
            file.write(b"altered")
    else:
        disk.unreadable = str(tmp_path / "data" / FILE_NAME)
    told: list[str] = []
    reopened.when_failed(lambda: told.append("stop"))
    with pytest.raises(StoreFailed, match="is damaged"):
        reopened.snapshot(tmp_path / "copy")
    assert told == ["stop"]
    with pytest.raises(StoreFailed, match="has stopped"):
        reopened.collections()


def test_disk_that_refuses_a_snapshot_leaves_the_store_at_work(
    disk: Disk, reopened: SqliteStore, tmp_path: Path, make_batch: MakeBatch
) -> None:
    disk.fails_at = disk.operations + 5
    with pytest.raises(LimitExceeded, match="make room"):
        reopened.snapshot(tmp_path / "copy")
    disk.fails_at = sys.maxsize
    reopened.enrol(random_uid(), reopened.collections()[0].info.uid, make_batch(1))


def test_copy_and_examination_reach_a_store_behind_a_link(
    reopened: SqliteStore, tmp_path: Path, rings: KeyRings
) -> None:
    reopened.snapshot(tmp_path / "link" / "copy")
    reopened.close()
    for name in ("copy", FILE_NAME):
        report = examine_file(tmp_path / "link" / name, rings)
        assert (report.findings, report.checked["vectors"]) == ([], 500)


# The file


@pytest.fixture
def packed(tmp_path: Path, rings: KeyRings, new_collection: MakeNew, make_batch: MakeBatch) -> Iterator[bytes]:
    """A backup of a store with an audit log."""
    (tmp_path / "data").mkdir()
    store = SqliteStore(tmp_path / "data", rings)
    uid = store.create(random_uid(), new_collection()).info.uid
    store.enrol(random_uid(), uid, make_batch(3))
    folder = tmp_path / "copy"
    (folder / "audit" / "0123456789abcdef").mkdir(parents=True)
    (folder / "audit" / "0123456789abcdef" / "leaves").write_bytes(b"leaves" * 100)
    store.snapshot(folder / FILE_NAME)
    file = b"".join(backup.pack(folder, store.uid, store.ring))
    assert len(file) == backup.size_of(folder)
    yield file
    store.close()


def unpacked(file: bytes, folder: Path, rings: KeyRings) -> dict[str, bytes]:
    folder.mkdir(exist_ok=True)
    uid = backup.unpack(io.BytesIO(file), folder, rings)
    assert rings.has(uid)
    return contents(folder)


def test_backup_gives_back_every_byte_and_tar_can_look_inside(packed: bytes, tmp_path: Path, rings: KeyRings) -> None:
    found = unpacked(packed, tmp_path / "out", rings)
    copy = tmp_path / "copy"
    assert found == contents(copy)
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        names = archive.getnames()
    assert names == ["unseen-backup", "unseen.sqlite", "audit/0123456789abcdef/leaves", "seal"]


def test_backup_holds_no_key(packed: bytes, rings: KeyRings, tmp_path: Path) -> None:
    uid = backup.unpack(io.BytesIO(packed), fresh(tmp_path), rings)
    ring = rings.open(uid)
    for key in (MASTER_KEY, ring.content.store_key, ring.content.trees[0].tree.keys):
        assert key not in packed


def fresh(tmp_path: Path) -> Path:
    folder = tmp_path / random_uid().hex()
    folder.mkdir()
    return folder


def test_every_altered_byte_of_a_backup_is_noticed(packed: bytes, tmp_path: Path, rings: KeyRings) -> None:
    """Some of what lies around the store, and of the store: one hash covers it all. `make faults` tries every byte."""
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        store = archive.getmember("unseen.sqlite")
    inside = range(store.offset_data, store.offset_data + store.size)
    places = [at for at in range(len(packed)) if at % (3989 if at in inside else 13) == 0]
    random = np.random.default_rng(3)
    for at in places:
        altered = bytearray(packed)
        altered[at] ^= 1 << int(random.integers(8))
        with pytest.raises((IntegrityError, InvalidInput, InvalidConfiguration)):
            backup.unpack(io.BytesIO(altered), fresh(tmp_path), rings)


def test_backup_that_was_cut_or_goes_on_is_noticed(packed: bytes, tmp_path: Path, rings: KeyRings) -> None:
    for length in (*range(0, 2000, 37), *range(2000, len(packed), 4001), *range(len(packed) - 3000, len(packed), 29)):
        with pytest.raises((IntegrityError, InvalidInput)):
            backup.unpack(io.BytesIO(packed[:length]), fresh(tmp_path), rings)
    for more in (b"x", bytes(512), packed):
        with pytest.raises(IntegrityError):
            backup.unpack(io.BytesIO(packed + more), fresh(tmp_path), rings)


def test_backup_of_another_key_is_refused(packed: bytes, tmp_path: Path) -> None:
    with pytest.raises(WrongKey):
        backup.unpack(io.BytesIO(packed), fresh(tmp_path), rings_beside(tmp_path, bytes(32)))
    with pytest.raises(InvalidConfiguration, match="key ring"):
        backup.unpack(io.BytesIO(packed), fresh(tmp_path), rings_beside(tmp_path / "elsewhere"))


def test_backup_on_a_disk_that_cannot_be_read_is_told_apart(packed: bytes, tmp_path: Path, rings: KeyRings) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() > len(packed) // 2:
                raise OSError(errno.EIO, "Input/output error")
            return super().read(size)

    with pytest.raises(InvalidConfiguration, match="cannot be read to its end"):
        backup.unpack(Broken(packed), fresh(tmp_path), rings)


@pytest.mark.parametrize("name", ["../evil", "/evil", "audit/../../evil/leaves", "audit/x/leaves", "unseen.sqlite-wal"])
def test_archive_with_a_strange_member_writes_nothing_outside(
    packed: bytes, tmp_path: Path, rings: KeyRings, name: str
) -> None:
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        log = archive.getmember("audit/0123456789abcdef/leaves")
    member = tarfile.TarInfo(name)
    member.size, member.mode = log.size, 0o600
    crafted = packed[: log.offset] + member.tobuf(tarfile.GNU_FORMAT) + packed[log.offset + 512 :]
    before = sorted(tmp_path.rglob("*evil*"))
    with pytest.raises(IntegrityError, match="no part of a store"):
        backup.unpack(io.BytesIO(crafted), fresh(tmp_path), rings)
    assert sorted(tmp_path.rglob("*evil*")) == before == []


def test_archive_with_a_file_twice_is_refused(packed: bytes, tmp_path: Path, rings: KeyRings) -> None:
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        store, log = archive.getmember("unseen.sqlite"), archive.getmember("audit/0123456789abcdef/leaves")
    crafted = packed[: log.offset] + packed[store.offset : log.offset] + packed[log.offset :]
    with pytest.raises(IntegrityError, match="a file twice"):
        backup.unpack(io.BytesIO(crafted), fresh(tmp_path), rings)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE])
def test_archive_with_a_link_is_refused(packed: bytes, tmp_path: Path, rings: KeyRings, kind: bytes) -> None:
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        log = archive.getmember("audit/0123456789abcdef/leaves")
    member = tarfile.TarInfo(log.name)
    member.size, member.mode, member.type, member.linkname = log.size, 0o600, kind, "/etc/passwd"
    crafted = packed[: log.offset] + member.tobuf(tarfile.GNU_FORMAT) + packed[log.offset + 512 :]
    with pytest.raises(IntegrityError, match="not as it was written"):
        backup.unpack(io.BytesIO(crafted), fresh(tmp_path), rings)
