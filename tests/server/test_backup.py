"""A backup of a running server: everything acknowledged, nothing erased, whatever becomes of it while it is made.

What can go wrong when one is put back: ``test_restore.py``.
"""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.postgres import Cluster
from tests.server.in_process import config
from tests.waiting import until
from unseen.store.durable import DurableStore
from unseen.v1 import operations_pb2, operations_pb2_grpc
from unseen_server import app, backups

Make = Callable[..., Any]


@pytest.fixture
def options(request: pytest.FixtureRequest) -> list[str]:
    """What a server is started with for a kind of store, empty."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return []
    cluster: Cluster = request.getfixturevalue("postgres_cluster")
    cluster.empty()
    return ["--store", cluster.address]


BOTH = pytest.mark.parametrize("options", ["sqlite", "postgres"], indirect=True)


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
    result = server.run("restore", file, "--data", data, *options)
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
    assert server.run("doctor", "--data", data, *options).returncode == 0


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
    result = server.run("restore", tmp_path / "backup", "--data", tmp_path / "new", *to_options)
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
    result = server.run("restore", tmp_path / "backup", "--data", tmp_path / "new")
    assert result.returncode == 0, result.stderr
    assert "2 rows stand here whose keys are destroyed" in result.stdout
    restored = elsewhere(server, tmp_path / "new").start()
    caller = call(restored)
    _, _, erased = caller.sync(uid, since=1)
    assert set(erased) == set(batch.row_ids[4:6])
    assert abs(caller.search(caller.collection(), vectors[4])[4]) < 0.02
    assert restored.stop() == 0


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
        deadline = time.monotonic() + 240
        while time.monotonic() < deadline:
            begun.set()
            go_on()
            time.sleep(0.01)

    monkeypatch.setattr(DurableStore, "snapshot", endless)
    coming = asyncio.create_task(asyncio.to_thread(call(server).backup))
    await asyncio.to_thread(begun.wait, 60)
    await asyncio.wait_for(server.stop(), 120)
    with pytest.raises(grpc.RpcError):
        await coming
    assert list((tmp_path / "data").glob(f"{backups.PREFIX}*")) == []
