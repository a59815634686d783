"""A backup of a running server, put back somewhere: everything acknowledged, nothing erased, nothing by half."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from bench.folders import contents
from tests.postgres import Cluster
from tests.server.caller import Caller
from tests.server.in_process import config
from tests.server.server_process import ServerProcess
from tests.waiting import until
from unseen.errors import InvalidConfiguration, StoreFailed
from unseen.store import backup
from unseen.store.durable import DurableStore
from unseen.v1 import operations_pb2, operations_pb2_grpc
from unseen_server import app, backups, restore
from unseen_server.config import Config, from_arguments
from unseen_server.keys.choice import RING_FOLDER
from unseen_server.master_key import open_master_key
from unseen_server.postgres.database import PostgresDatabase
from unseen_server.storage import open_store

Make = Callable[..., Any]
KILLS = int(os.environ.get("UNSEEN_BACKUP_KILLS", "5"))


@pytest.fixture
def options(request: pytest.FixtureRequest) -> list[str]:
    """What a server is started with for a kind of store, empty."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return []
    cluster: Cluster = request.getfixturevalue("postgres_cluster")
    cluster.empty()
    return ["--store", cluster.address]


BOTH = pytest.mark.parametrize("options", ["sqlite", "postgres"], indirect=True)


def unseen(server: Any, module: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """One of the server's own commands, with its key."""
    command = [sys.executable, "-m", f"unseen_server.{module}", *map(str, arguments)]
    if "--master-key" not in arguments:
        command += ["--master-key", str(server.master_key)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def elsewhere(server: Any, data: Path, *options: str) -> Any:
    """A server over another data directory, with the same keys."""
    other = type(server)(server.folder, *options)
    other.data = data
    return other


@BOTH
def test_backup_of_a_server_at_work_is_restored_with_every_row_and_the_audit_log_goes_on(
    make_server: Make, call: Make, make_rows: Make, tmp_path: Path, options: list[str], postgres_cluster: Cluster
) -> None:
    server = make_server(*options).start()
    caller, other = call(server), call(server)
    uid = caller.create().uid
    vectors, batch = make_rows(50)
    caller.enrol(uid, batch)
    stop = threading.Event()
    acknowledged: list[Any] = []

    def enrol() -> None:
        while not stop.is_set():
            more = make_rows(10)[1]
            other.enrol(uid, more)
            acknowledged.append(more)

    working = threading.Thread(target=enrol, daemon=True)
    working.start()
    until("three enrolments are acknowledged", lambda: len(acknowledged) >= 3)
    before = list(acknowledged)
    file = tmp_path / "backup"
    file.write_bytes(caller.backup())
    stop.set()
    working.join()
    head = caller.tree_head()
    assert server.stop() == 0
    if options:
        postgres_cluster.empty()
    data = tmp_path / "restored"
    result = unseen(server, "restore", file, "--data", data, *options)
    assert result.returncode == 0, result.stderr
    restored = elsewhere(server, data, *options).start()
    caller = call(restored)
    _, entries, _ = caller.sync(uid)
    for rows in (batch, *before):
        assert set(rows.row_ids) <= set(entries)
    assert len(entries) % 10 == 0, "an enrolment is there by half"
    assert caller.search(caller.collection(), vectors[3])[entries[batch.row_ids[3]].slot] > 0.98
    assert caller.tree_head().split("\n")[0] == head.split("\n")[0]
    leaves = caller.exported_leaves()
    assert sum(b'"EnrolRows"' in leaf and b'"OK"' in leaf for leaf in leaves) >= 1 + len(before)
    assert restored.stop() == 0
    assert unseen(server, "doctor", "--data", data, *options).returncode == 0


@pytest.mark.parametrize("there", ["sqlite", "postgres"])
def test_backup_of_one_kind_of_store_is_restored_into_the_other(
    make_server: Make, call: Make, make_rows: Make, tmp_path: Path, postgres_cluster: Cluster, there: str
) -> None:
    postgres_cluster.empty()
    from_options, to_options = [], ["--store", postgres_cluster.address]
    if there == "sqlite":
        from_options, to_options = to_options, from_options
    server = make_server(*from_options).start()
    caller = call(server)
    uid = caller.create().uid
    _, batch = make_rows(30)
    caller.enrol(uid, batch)
    caller.erase(uid, batch.row_ids[:5])
    (tmp_path / "backup").write_bytes(caller.backup())
    before = caller.sync(uid)
    assert server.stop() == 0
    result = unseen(server, "restore", tmp_path / "backup", "--data", tmp_path / "new", *to_options)
    assert result.returncode == 0, result.stderr
    restored = elsewhere(server, tmp_path / "new", *to_options).start()
    caller = call(restored)
    assert caller.sync(uid) == before
    assert caller.create("another").uid != uid
    assert restored.stop() == 0


def test_what_was_erased_since_a_backup_does_not_come_back_with_it(
    make_server: Make, call: Make, make_rows: Make, tmp_path: Path
) -> None:
    server = make_server().start()
    caller = call(server)
    uid = caller.create().uid
    vectors, batch = make_rows(20)
    caller.enrol(uid, batch)
    (tmp_path / "backup").write_bytes(caller.backup())
    caller.erase(uid, batch.row_ids[4:6])
    assert server.stop() == 0
    result = unseen(server, "restore", tmp_path / "backup", "--data", tmp_path / "new")
    assert result.returncode == 0, result.stderr
    assert "2 rows stand here whose keys are destroyed" in result.stdout
    restored = elsewhere(server, tmp_path / "new").start()
    caller = call(restored)
    _, _, erased = caller.sync(uid, since=1)
    assert set(erased) == set(batch.row_ids[4:6])
    assert abs(caller.search(caller.collection(), vectors[4])[4]) < 0.02
    assert restored.stop() == 0


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
def backed_up(once_backed_up: Path, tmp_path: Path) -> tuple[Any, Path]:
    """A stopped server and a backup of it."""
    return ServerProcess(shutil.copytree(once_backed_up, tmp_path, dirs_exist_ok=True)), tmp_path / "some.backup"


def test_restore_overwrites_nothing(backed_up: tuple[Any, Path], tmp_path: Path) -> None:
    server, file = backed_up
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "note").write_text("mine")
    for data in (server.data, tmp_path / "full", file):
        before = contents(tmp_path)
        result = unseen(server, "restore", file, "--data", data)
        assert (result.returncode, "is not empty" in result.stderr) == (2, True), result.stderr
        assert contents(tmp_path) == before


def test_restore_leaves_what_other_restores_are_writing(backed_up: tuple[Any, Path], tmp_path: Path) -> None:
    server, file = backed_up
    with restore._beside(tmp_path / "new") as folder, restore._beside(tmp_path / "new-2") as other:
        for writing in (folder, other):
            (writing / "unseen.sqlite").write_text("half")
        result = unseen(server, "restore", file, "--data", tmp_path / "new")
        assert (result.returncode, "another restore" in result.stderr) == (2, True), result.stderr
        assert (folder / "unseen.sqlite").read_text() == "half"
        shutil.rmtree(folder)
        result = unseen(server, "restore", file, "--data", tmp_path / "new")
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
    backed_up: tuple[Any, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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


def test_restore_without_its_database_ends_with_2(backed_up: tuple[Any, Path], tmp_path: Path) -> None:
    server, file = backed_up
    address = f"postgresql://unseen@/unseen?host={tmp_path}"
    result = unseen(server, "restore", file, "--data", tmp_path / "new", "--store", address)
    assert (result.returncode, "cannot be reached" in result.stderr) == (2, True), result.stderr


def test_restore_into_a_database_that_has_a_store_is_refused(
    backed_up: tuple[Any, Path], tmp_path: Path, postgres_cluster: Cluster
) -> None:
    server, file = backed_up
    postgres_cluster.empty()
    options = ("--store", postgres_cluster.address)
    assert unseen(server, "restore", file, "--data", tmp_path / "one", *options).returncode == 0
    result = unseen(server, "restore", file, "--data", tmp_path / "two", *options)
    assert (result.returncode, "a store in that database already" in result.stderr) == (2, True)
    assert not (tmp_path / "two").exists()


@pytest.mark.parametrize("end", ["committed", "not committed", "silent"])
def test_restore_whose_commit_gets_no_answer_keeps_the_audit_logs_unless_the_store_is_not_there(
    backed_up: tuple[Any, Path], tmp_path: Path, postgres_cluster: Cluster, monkeypatch: pytest.MonkeyPatch, end: str
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
        assert unseen(server, "doctor", *options).returncode == 0


def test_damaged_backup_and_wrong_key_restore_nothing(backed_up: tuple[Any, Path], tmp_path: Path) -> None:
    server, file = backed_up
    whole = file.read_bytes()
    file.write_bytes(whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:])
    result = unseen(server, "restore", file, "--data", tmp_path / "new")
    assert (result.returncode, "backup is damaged" in result.stderr) == (1, True), result.stderr
    file.write_bytes(whole)
    right = server.folder / "right"
    server.master_key.rename(right)
    open_master_key(server.master_key, make=True)
    result = unseen(server, "restore", file, "--data", tmp_path / "new")
    assert (result.returncode, "another master key" in result.stderr) == (2, True), result.stderr
    server.master_key.unlink()
    right.rename(server.master_key)
    (server.folder / RING_FOLDER).rename(server.folder / "lost")
    result = unseen(server, "restore", file, "--data", tmp_path / "new")
    assert (result.returncode, "key ring" in result.stderr) == (2, True), result.stderr
    assert not [path for path in tmp_path.iterdir() if "new" in path.name]


def test_store_that_was_damaged_before_its_backup_is_restored_only_when_asked_to(
    backed_up: tuple[Any, Path], make_server: Make, call: Make, tmp_path: Path
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
    result = unseen(server, "restore", file, "--data", tmp_path / "new")
    assert (result.returncode, "it says 77 rows and has 5" in result.stderr) == (1, True), result.stderr
    assert not (tmp_path / "new").exists()
    result = unseen(server, "restore", file, "--data", tmp_path / "new", "--anyway")
    assert (result.returncode, "it says 77 rows and has 5" in result.stdout) == (0, True), result.stderr
    assert "restore a backup" not in result.stdout
    assert (tmp_path / "new" / "unseen.sqlite").exists()


def test_backup_is_examined_without_being_restored(backed_up: tuple[Any, Path]) -> None:
    server, file = backed_up
    result = unseen(server, "doctor", "--backup", file)
    assert (result.returncode, "checked: 5 vectors" in result.stdout) == (0, True), result.stderr
    assert re.search("checked: [0-9]+ audit leaves", result.stdout)
    file.write_bytes(file.read_bytes()[:-1])
    result = unseen(server, "doctor", "--backup", file)
    assert (result.returncode, "the backup is damaged" in result.stderr) == (1, True)
    open_master_key(server.folder / "other.key", make=True)
    assert unseen(server, "doctor", "--backup", file, "--master-key", server.folder / "other.key").returncode == 2


def test_backup_from_before_keys_were_renewed_is_refused_in_one_sentence(
    backed_up: tuple[Any, Path], tmp_path: Path
) -> None:
    server, file = backed_up
    assert unseen(server, "keys", "rekey", "--data", server.data).returncode == 0
    result = unseen(server, "restore", file, "--data", tmp_path / "new")
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1
    assert "from before its keys were renewed" in result.stderr
    assert not (tmp_path / "new").exists()


def unfinished(folder: Path) -> set[str]:
    """The folders of restores that are under way, or were killed."""
    return {path.name for path in folder.iterdir() if path.name.endswith(restore.SUFFIX)}


def kill_a_restore(command: list[str], folder: Path, after_s: float) -> bool:
    """Kill it so long after it began to unpack; whether it was under way."""
    before = unfinished(folder)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        until("a restore begins", lambda: unfinished(folder) - before or process.poll() is not None)
        time.sleep(after_s)
        process.kill()
    return bool(unfinished(folder) - before)


def test_restore_that_is_killed_leaves_nothing_or_everything(backed_up: tuple[Any, Path], tmp_path: Path) -> None:
    server, file = backed_up
    data = tmp_path / "new"
    command = [sys.executable, "-m", "unseen_server.restore", str(file), "--data", str(data)]
    command += ["--master-key", str(server.master_key)]
    struck = 0
    for number in range(KILLS):
        struck += kill_a_restore(command, tmp_path, random.uniform(0, 0.05) if number else 0)
        if data.exists():
            assert unseen(server, "doctor", "--data", data).returncode == 0
            shutil.rmtree(data)
    assert struck, "no restore was under way when it was killed"
    result = unseen(server, "restore", file, "--data", data)
    assert result.returncode == 0, result.stderr
    assert set(contents(data)) >= {"unseen.sqlite"}
    assert unfinished(tmp_path) == set()


def test_server_that_is_killed_while_it_makes_a_backup_forgets_it_at_its_next_start(
    make_server: Make, call: Make, make_rows: Make
) -> None:
    server = make_server().start()
    caller = call(server)
    uid = caller.create().uid
    for _ in range(10):
        caller.enrol(uid, make_rows(1000, 16, 4000)[1])
    stub = operations_pb2_grpc.OperatorServiceStub(caller.channel)
    coming = stub.CreateBackup(operations_pb2.CreateBackupRequest(), timeout=60)
    next(coming)
    left = [path.name for path in server.data.iterdir() if path.name.startswith(backups.PREFIX)]
    assert len(left) == 1
    server.stop(signal.SIGKILL)
    with pytest.raises(grpc.RpcError):
        list(coming)
    caller.close()
    caller = call(server.start())
    assert [path.name for path in server.data.iterdir() if path.name.startswith(backups.PREFIX)] == []
    assert caller.collection().rows == 10_000
    caller.close()
    assert server.stop() == 0


def until_gone(data: Path) -> None:
    until("no unfinished backup is left", lambda: not list(data.glob(f"{backups.PREFIX}*")))


def backup_when_free(caller: Any) -> bytes:
    """Its folder is gone a moment before the next one may begin."""
    while True:
        try:
            content: bytes = caller.backup()
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
                raise
            time.sleep(0.01)
        else:
            return content


def refusal_for_room(caller: Any) -> Any:
    """The one before lets go only after its last byte was taken."""
    refused = [caller.refusal(caller.backup)]

    def has_room() -> bool:
        if refused[-1].code == "SERVER_BUSY":
            refused.append(caller.refusal(caller.backup))
        return refused[-1].code != "SERVER_BUSY"

    until("the backup before has ended", has_room)
    return refused[-1]


async def test_backup_that_its_caller_leaves_is_removed_and_the_next_one_comes(
    tmp_path: Path, call: Make, make_rows: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await app.start(config(tmp_path))
    try:
        caller, other = call(server), call(server)
        collection = await asyncio.to_thread(caller.create)
        for _ in range(4):
            await asyncio.to_thread(caller.enrol, collection.uid, make_rows(1000, 16, 4000)[1])
        stub = operations_pb2_grpc.OperatorServiceStub(caller.channel)
        coming = stub.CreateBackup(operations_pb2.CreateBackupRequest(), timeout=60)
        await asyncio.to_thread(next, coming)
        busy = await asyncio.to_thread(other.refusal, other.backup)
        assert (busy.status, busy.code) == ("RESOURCE_EXHAUSTED", "SERVER_BUSY")
        coming.cancel()
        await asyncio.to_thread(until_gone, tmp_path / "data")
        assert await asyncio.to_thread(backup_when_free, other)
        monkeypatch.setattr("unseen_server.limits.BACKUP_SPARE_BYTES", 1 << 60)
        full = await asyncio.to_thread(refusal_for_room, other)
        assert (full.status, full.code) == ("RESOURCE_EXHAUSTED", "LIMIT_EXCEEDED")
        assert "make room" in full.message
        await asyncio.to_thread(caller.enrol, collection.uid, make_rows(5)[1])
        assert not server.store_failed.is_set()
    finally:
        await server.stop()
    assert list((tmp_path / "data").glob(f"{backups.PREFIX}*")) == []


async def test_stop_waits_for_no_copy_that_is_being_made(
    tmp_path: Path, call: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unseen_server.limits.STOP_GRACE_S", 0.1)
    server = await app.start(config(tmp_path))
    begun = threading.Event()

    def endless(_: object, path: Path, go_on: Callable[[], None] = lambda: None) -> None:
        path.write_text("half")
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            begun.set()
            go_on()
            time.sleep(0.01)

    monkeypatch.setattr(DurableStore, "snapshot", endless)
    coming = asyncio.create_task(asyncio.to_thread(call(server).backup))
    await asyncio.to_thread(begun.wait, 60)
    await asyncio.wait_for(server.stop(), 30)
    with pytest.raises(grpc.RpcError):
        await coming
    assert list((tmp_path / "data").glob(f"{backups.PREFIX}*")) == []
