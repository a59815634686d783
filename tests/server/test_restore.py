"""A backup that is put back: whole or not at all, over nothing, and with its own keys only."""

from __future__ import annotations

import errno
import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from bench.folders import contents
from tests.postgres import Cluster
from tests.server.caller import Caller
from tests.server.server_process import ServerProcess
from tests.waiting import until
from unseen.errors import InvalidConfiguration, StoreFailed
from unseen.store import backup
from unseen_server import restore
from unseen_server.config import Config, from_arguments
from unseen_server.keys.choice import RING_FOLDER
from unseen_server.master_key import open_master_key
from unseen_server.postgres.database import PostgresDatabase
from unseen_server.storage import open_store

Make = Callable[..., Any]
KILLS = int(os.environ.get("UNSEEN_BACKUP_KILLS", "5"))


@pytest.fixture(scope="module")
def once_backed_up(make_rows: Make, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a stopped server, with a backup of it: made once, copied for each test."""
    server = ServerProcess(tmp_path_factory.mktemp("backed-up")).start()
    caller = Caller(server.port)
    caller.enrol(caller.create().uid, make_rows(5)[1])
    (server.folder / "some.backup").write_bytes(caller.backup())
    caller.close()
    assert server.stop() == 0
    return server.folder


@pytest.fixture
def backed_up(once_backed_up: Path, tmp_path: Path) -> tuple[ServerProcess, Path]:
    """A stopped server and a backup of it."""
    return ServerProcess(shutil.copytree(once_backed_up, tmp_path, dirs_exist_ok=True)), tmp_path / "some.backup"


def test_restore_overwrites_nothing(backed_up: tuple[ServerProcess, Path], tmp_path: Path) -> None:
    server, file = backed_up
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "note").write_text("mine")
    for data in (server.data, tmp_path / "full", file):
        before = contents(tmp_path)
        result = server.run("restore", file, "--data", data)
        assert (result.returncode, "is not empty" in result.stderr) == (2, True), result.stderr
        assert contents(tmp_path) == before


def test_restore_leaves_what_other_restores_are_writing(backed_up: tuple[ServerProcess, Path], tmp_path: Path) -> None:
    server, file = backed_up
    with restore._beside(tmp_path / "new") as folder, restore._beside(tmp_path / "new-2") as other:
        for writing in (folder, other):
            (writing / "unseen.sqlite").write_text("half")
        result = server.run("restore", file, "--data", tmp_path / "new")
        assert (result.returncode, "another restore" in result.stderr) == (2, True), result.stderr
        assert (folder / "unseen.sqlite").read_text() == "half"
        shutil.rmtree(folder)
        result = server.run("restore", file, "--data", tmp_path / "new")
        assert result.returncode == 0, result.stderr
        assert (other / "unseen.sqlite").read_text() == "half"


def test_restore_empties_nothing_behind_a_link_and_writes_where_it_alone_looks(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "note").write_text("theirs")
    place = tmp_path / f".new{restore.SUFFIX}"
    place.symlink_to(tmp_path / "theirs")
    with pytest.raises(InvalidConfiguration, match="cannot be written"), restore._writing_to(tmp_path / "new"):
        restore._beside(tmp_path / "new").__enter__()
    assert (tmp_path / "theirs" / "note").read_text() == "theirs"
    place.unlink()
    place.mkdir()
    place.chmod(0o777)
    with restore._beside(tmp_path / "new") as folder:
        assert (folder, folder.stat().st_mode & 0o777) == (place, 0o700)


def test_restore_says_what_it_cannot_write_to_and_that_a_mount_point_is_no_place(
    backed_up: tuple[ServerProcess, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, file = backed_up

    def on_a_full_disk(*_: object) -> bytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def configured(data: Path) -> Config:
        return from_arguments(["--data", str(data), "--master-key", str(server.master_key)])

    with pytest.raises(InvalidConfiguration, match="a volume is mounted at /proc"):
        restore.restore(file, configured(Path("/proc")))
    monkeypatch.setattr(backup, "unpack", on_a_full_disk)
    with pytest.raises(InvalidConfiguration, match=f"^{tmp_path / 'new'} cannot be written: No space left"):
        restore.restore(file, configured(tmp_path / "new"))
    assert [path for path in tmp_path.iterdir() if "new" in path.name] == []


def test_restore_without_its_database_ends_with_2(backed_up: tuple[ServerProcess, Path], tmp_path: Path) -> None:
    server, file = backed_up
    address = f"postgresql://unseen@/unseen?host={tmp_path}"
    result = server.run("restore", file, "--data", tmp_path / "new", "--store", address)
    assert (result.returncode, "cannot be reached" in result.stderr) == (2, True), result.stderr


def test_restore_into_a_database_that_has_a_store_is_refused(
    backed_up: tuple[ServerProcess, Path], tmp_path: Path, postgres_cluster: Cluster
) -> None:
    server, file = backed_up
    postgres_cluster.empty()
    options = ("--store", postgres_cluster.address)
    assert server.run("restore", file, "--data", tmp_path / "one", *options).returncode == 0
    result = server.run("restore", file, "--data", tmp_path / "two", *options)
    assert (result.returncode, "a store in that database already" in result.stderr) == (2, True)
    assert not (tmp_path / "two").exists()


@pytest.mark.parametrize("end", ["committed", "not committed", "silent"])
def test_restore_whose_commit_gets_no_answer_keeps_the_audit_logs_unless_the_store_is_not_there(
    backed_up: tuple[ServerProcess, Path],
    tmp_path: Path,
    postgres_cluster: Cluster,
    monkeypatch: pytest.MonkeyPatch,
    end: str,
) -> None:
    server, file = backed_up
    postgres_cluster.empty()
    execute = PostgresDatabase._execute

    def lose_the_answer(database: PostgresDatabase, statement: str) -> None:
        if statement == "COMMIT":
            monkeypatch.setattr(PostgresDatabase, "_execute", execute)
            if end != "not committed":
                execute(database, statement)
            if end == "silent":
                monkeypatch.setattr(restore, "open_database", refuse)
            raise ConnectionResetError
        execute(database, statement)

    def refuse(config: Config) -> Any:
        raise StoreFailed("PostgreSQL cannot be reached")

    monkeypatch.setattr(PostgresDatabase, "_execute", lose_the_answer)
    monkeypatch.setattr(restore, "TRY_AGAIN_S", 0.01)
    options = ["--data", str(tmp_path / "new"), "--store", postgres_cluster.address]
    config = from_arguments([*options, "--master-key", str(server.master_key)])
    if end == "committed":
        assert restore.restore(file, config).findings == []
    else:
        with pytest.raises(StoreFailed, match="may have the store or not" if end == "silent" else "did not take"):
            restore.restore(file, config)
    assert (tmp_path / "new" / "audit").exists() == (end != "not committed")
    monkeypatch.undo()
    if end != "not committed":
        assert server.run("doctor", *options).returncode == 0


def test_damaged_backup_and_wrong_key_restore_nothing(backed_up: tuple[ServerProcess, Path], tmp_path: Path) -> None:
    server, file = backed_up
    whole = file.read_bytes()
    file.write_bytes(whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:])
    result = server.run("restore", file, "--data", tmp_path / "new")
    assert (result.returncode, "backup is damaged" in result.stderr) == (1, True), result.stderr
    file.write_bytes(whole)
    right = server.folder / "right"
    server.master_key.rename(right)
    open_master_key(server.master_key, make=True)
    result = server.run("restore", file, "--data", tmp_path / "new")
    assert (result.returncode, "another master key" in result.stderr) == (2, True), result.stderr
    server.master_key.unlink()
    right.rename(server.master_key)
    (server.folder / RING_FOLDER).rename(server.folder / "lost")
    result = server.run("restore", file, "--data", tmp_path / "new")
    assert (result.returncode, "key ring" in result.stderr) == (2, True), result.stderr
    assert not [path for path in tmp_path.iterdir() if "new" in path.name]


def test_store_that_was_damaged_before_its_backup_is_restored_only_when_asked_to(
    backed_up: tuple[ServerProcess, Path], make_server: Make, call: Make, tmp_path: Path
) -> None:
    server, _ = backed_up
    store = open_store(from_arguments(["--data", str(server.data), "--master-key", str(server.master_key)]))
    with store._database.changing() as tx:
        tx.run("UPDATE collections SET live_rows = 77")
    (tmp_path / "copy").mkdir()
    store.snapshot(tmp_path / "copy" / "unseen.sqlite")
    file = tmp_path / "damaged.backup"
    file.write_bytes(b"".join(backup.pack(tmp_path / "copy", store.uid, store.ring)))
    store.close()
    result = server.run("restore", file, "--data", tmp_path / "new")
    assert (result.returncode, "it says 77 rows and has 5" in result.stderr) == (1, True), result.stderr
    assert not (tmp_path / "new").exists()
    result = server.run("restore", file, "--data", tmp_path / "new", "--anyway")
    assert (result.returncode, "it says 77 rows and has 5" in result.stdout) == (0, True), result.stderr
    assert "restore a backup" not in result.stdout
    assert (tmp_path / "new" / "unseen.sqlite").exists()


def test_backup_is_examined_without_being_restored(backed_up: tuple[ServerProcess, Path]) -> None:
    server, file = backed_up
    result = server.run("doctor", "--backup", file)
    assert (result.returncode, "checked: 5 vectors" in result.stdout) == (0, True), result.stderr
    assert re.search("checked: [0-9]+ audit leaves", result.stdout)
    file.write_bytes(file.read_bytes()[:-1])
    result = server.run("doctor", "--backup", file)
    assert (result.returncode, "the backup is damaged" in result.stderr) == (1, True)
    open_master_key(server.folder / "other.key", make=True)
    assert server.run("doctor", "--backup", file, "--master-key", server.folder / "other.key").returncode == 2


def test_backup_from_before_keys_were_renewed_is_refused_in_one_sentence(
    backed_up: tuple[ServerProcess, Path], tmp_path: Path
) -> None:
    server, file = backed_up
    assert server.run("keys", "rekey", "--data", server.data).returncode == 0
    result = server.run("restore", file, "--data", tmp_path / "new")
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1
    assert "from before its keys were renewed" in result.stderr
    assert not (tmp_path / "new").exists()


def unfinished(folder: Path) -> set[tuple[str, int]]:
    """The folders of restores that are under way, or were killed, each with the moment it was made or taken anew."""
    found = set()
    for path in folder.glob(f"*{restore.SUFFIX}"):
        with suppress(FileNotFoundError):
            found.add((path.name, path.stat().st_ctime_ns))
    return found


def begun_restore(command: list[str], folder: Path) -> subprocess.Popen[bytes]:
    """A restore that unpacks now, or has ended already."""
    before = unfinished(folder)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until("a restore begins", lambda: unfinished(folder) - before or process.poll() is not None, pause_s=0.001)
    return process


def kill_a_restore(command: list[str], folder: Path, after_s: float) -> bool:
    """Kill it so long after it began to unpack; whether it was under way."""
    before = unfinished(folder)
    with begun_restore(command, folder) as process:
        time.sleep(after_s)
        process.kill()
    return bool(unfinished(folder) - before)


def unpacking_s(command: list[str], folder: Path, data: Path) -> float:
    """How long a restore that nobody disturbs is at it, from its first file until its folder has its name."""
    with begun_restore(command, folder):
        began = time.perf_counter()
        until("a restore is over", data.exists, pause_s=0.001)
        return time.perf_counter() - began


def test_restore_that_is_killed_leaves_nothing_or_everything(
    backed_up: tuple[ServerProcess, Path], tmp_path: Path
) -> None:
    server, file = backed_up
    data = tmp_path / "new"
    command = [sys.executable, "-m", "unseen_server.restore", str(file), "--data", str(data)]
    command += ["--master-key", str(server.master_key)]
    whole_s = at_first_s = unpacking_s(command, tmp_path, data)
    shutil.rmtree(data)
    struck = 0
    for _ in range(10 * KILLS):
        if kill_a_restore(command, tmp_path, random.uniform(0, whole_s) if struck else 0):
            struck += 1
        else:
            whole_s = max(whole_s * 0.9, at_first_s / 2)
        if data.exists():
            assert server.run("doctor", "--data", data).returncode == 0
            shutil.rmtree(data)
        if struck == KILLS:
            break
    assert struck == KILLS, "nine of ten restores were over before they were killed"
    result = server.run("restore", file, "--data", data)
    assert result.returncode == 0, result.stderr
    assert set(contents(data)) >= {"unseen.sqlite"}
    assert unfinished(tmp_path) == set()
