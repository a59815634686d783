"""The examination of a store's file: what it finds beyond the invariants, and that it leaves everything as it is."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

from tests.core.store import version_1
from tests.key_rings import MASTER_KEY, rings_beside
from unseen.entropy import random_uid
from unseen.errors import InvalidConfiguration, WrongKey
from unseen.keys.ring import KeyRings
from unseen.store.checked_pages import PAGE_BYTES, CheckedFiles
from unseen.store.interface import NewCollection
from unseen.store.sqlite import FILE_NAME, SqliteStore
from unseen.store.sqlite_examination import examine_file
from unseen.types import RowBatch

ROOT = Path(__file__).resolve().parents[3]
MakeBatch = Callable[..., RowBatch]
MakeNew = Callable[..., NewCollection]


def rings(path: Path) -> KeyRings:
    return rings_beside(path.parent)


def state(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_mode) for path in folder.iterdir()}


@pytest.fixture
def path(tmp_path: Path, new_collection: MakeNew, make_batch: MakeBatch) -> Path:
    """The file of a closed store with rows, erased rows and a fact."""
    store = SqliteStore(tmp_path, rings_beside(tmp_path))
    uid = store.create(random_uid(), new_collection()).info.uid
    batch = make_batch(8, record_bytes=3000)
    store.enrol(random_uid(), uid, batch)
    store.erase(random_uid(), uid, batch.row_ids[2:4])
    store.append_fact("policy", uid, b"body")
    store.close()
    return tmp_path / FILE_NAME


def test_closed_store_is_sound_and_stays_as_it_was(path: Path) -> None:
    before = state(path.parent)
    report = examine_file(path, rings(path))
    assert report.findings == []
    assert report.checked["pages"] == path.stat().st_size // PAGE_BYTES
    assert report.checked["vectors"] == 6
    assert state(path.parent) == before


def test_file_that_cannot_be_written_is_examined(path: Path) -> None:
    path.chmod(0o400)
    path.parent.chmod(0o500)
    try:
        report = examine_file(path, rings(path))
    finally:
        path.parent.chmod(0o700)
    assert (report.findings, report.checked["vectors"]) == ([], 6)


def test_store_that_crashed_is_examined_with_its_log_and_stays_as_it_was(tmp_path: Path) -> None:
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
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, check=False)
    before = state(tmp_path)
    assert before[f"{FILE_NAME}-wal"][0]
    report = examine_file(tmp_path / FILE_NAME, rings(tmp_path / FILE_NAME))
    assert (report.findings, report.checked["collections"]) == ([], 1)
    assert state(tmp_path) == before


def test_running_server_is_left_alone_and_keeps_out_while_examined(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = (
        "import sys; sys.path[:0] = ['core', '.']\n"
        "from tests.key_rings import rings_beside\n"
        "from pathlib import Path\n"
        "from unseen.store.sqlite import SqliteStore\n"
        "store = SqliteStore(Path(sys.argv[1]), rings_beside(Path(sys.argv[1])))\n"
        "print('open', flush=True)\n"
        "sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", program, str(path.parent)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "open\n"
        with pytest.raises(InvalidConfiguration, match="in use by a server"):
            examine_file(path, rings(path))
        running.communicate()
    assert running.returncode == 0
    refused = []

    def start_meanwhile(*_: object) -> None:
        refused.append(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stderr)

    monkeypatch.setattr("unseen.store.sqlite_examination.examine", start_meanwhile)
    examine_file(path, rings(path))
    assert "in use by another server" in refused[0]


def test_another_key_and_another_file_are_refused(path: Path, tmp_path: Path) -> None:
    with pytest.raises(WrongKey):
        examine_file(path, rings_beside(path.parent, bytes(32)))
    with pytest.raises(InvalidConfiguration, match="cannot be read"):
        examine_file(tmp_path / "nothing", rings(tmp_path / "nothing"))
    (tmp_path / "text").write_bytes(b"no database at all" * 1000)
    assert examine_file(tmp_path / "text", rings(tmp_path / "text")).findings


def test_every_altered_page_is_named(path: Path) -> None:
    whole = path.read_bytes()
    for number in range(1, len(whole) // PAGE_BYTES):
        altered = bytearray(whole)
        altered[number * PAGE_BYTES + 16000] ^= 4
        path.write_bytes(altered)
        found = [finding.what for finding in examine_file(path, rings(path)).findings]
        assert any(f"1 pages are not what was written: {number + 1}" in what for what in found)


@pytest.fixture
def altered(path: Path) -> Iterator[apsw.Connection]:
    """A connection of somebody who knows the format."""
    files = CheckedFiles("unseen-altering")
    db = apsw.Connection(str(path), vfs=files.name)
    yield db
    db.close()
    files.unregister()


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER spy AFTER INSERT ON live_rows BEGIN DELETE FROM erasures; END",
        "DROP INDEX live_rows_by_epoch",
        "CREATE TABLE more (text TEXT)",
        "DROP TABLE extents",
    ],
)
def test_tables_that_are_not_those_of_a_store_are_noticed(path: Path, altered: apsw.Connection, statement: str) -> None:
    altered.execute(statement)
    altered.close()
    assert examine_file(path, rings(path)).findings


def test_index_that_tells_another_story_than_its_table_is_noticed(path: Path, altered: apsw.Connection) -> None:
    """The index of a row's id, read as if it were of another column: what bit rot in an index page comes to."""
    altered.pragma("writable_schema", 1)
    altered.execute(
        "UPDATE sqlite_schema SET sql = replace(sql, 'record, consent', 'consent, record') WHERE name = 'live_rows'"
    )
    altered.execute(
        "UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'facts_by_key')"
        " WHERE name = 'live_rows_by_epoch'"
    )
    altered.close()
    found = [finding.what for finding in examine_file(path, rings(path)).findings]
    assert any("SQLite" in what for what in found), found


@pytest.mark.parametrize("table", ["records_1", "vectors_1", "live_rows", "collections", "facts", "requests"])
@pytest.mark.parametrize("other", ["serial_runs", "facts", "records_1"])
def test_cells_of_another_kind_than_their_table_says_are_noticed(
    path: Path, altered: apsw.Connection, table: str, other: str
) -> None:
    """A table that is read from the pages of another one: a file whose log was cut while it was being emptied."""
    altered.pragma("writable_schema", 1)
    pages = "SELECT rootpage FROM sqlite_schema WHERE name = ?"
    altered.execute(f"UPDATE sqlite_schema SET rootpage = ({pages}) WHERE name = ?", (other, table))
    altered.close()
    assert bool(examine_file(path, rings(path)).findings) == (table != other)


def test_row_of_no_collection_is_noticed(path: Path, altered: apsw.Connection) -> None:
    altered.execute("INSERT INTO erasures VALUES (7, 1, zeroblob(16), NULL)")
    altered.close()
    found = [finding.what for finding in examine_file(path, rings(path)).findings]
    assert "rows belong to collections that are not there" in found


def test_older_version_is_noted_and_left_to_the_server(tmp_path: Path, make_batch: MakeBatch) -> None:
    version_1.write(tmp_path, MASTER_KEY, make_batch(5), ())
    report = examine_file(tmp_path / FILE_NAME, rings(tmp_path / FILE_NAME))
    assert (report.findings, report.notes) == ([], ["schema version 1: the next start of a server brings it to 3"])


def test_page_that_was_never_written_is_no_fault(path: Path) -> None:
    """SQLite leaves a hole where its locks are, at 1 GiB: pages of zeros that nothing refers to."""
    os.truncate(path, path.stat().st_size + 3 * PAGE_BYTES)
    assert examine_file(path, rings(path)).findings == []
