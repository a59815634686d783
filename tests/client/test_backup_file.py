"""A backup on the operator's machine is whole and checked, or not there, whatever is sent and whenever it ends."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.client.hand_driver import Driver
from tests.client.paper_server import PaperServer
from tests.client.real_server import ENVIRONMENT
from unseen.errors import IntegrityError, InvalidInput, MalformedMessage, Mismatch, ServerUnavailable, StoreFailed
from unseen.v1 import operations_pb2
from unseen_client import AsyncClient, Client, backup_file
from unseen_client.backup_file import IncomingBackup, target_of
from unseen_client.flows import operations

CONTENT = bytes(range(256)) * 40
UID = bytes(16)
Reply = operations_pb2.CreateBackupResponse


def replies(content: bytes = CONTENT, sha256: bytes | None = None, uid: bytes = UID) -> list[Reply]:
    parts = [content[at : at + 1000] for at in range(0, len(content), 1000)]
    digest = hashlib.sha256(content).digest() if sha256 is None else sha256
    return [
        Reply(begin=operations_pb2.BackupBegin(size_bytes=len(content), store_uid=uid)),
        *(Reply(chunk=part) for part in parts),
        Reply(end=operations_pb2.BackupEnd(sha256=digest)),
    ]


def received(path: Path, messages: list[Reply]) -> IncomingBackup:
    incoming = IncomingBackup(path, UID)
    try:
        for message in messages:
            incoming.take(message)
        incoming.finish()
        incoming.keep()
    except BaseException:
        incoming.close()
        raise
    return incoming


@pytest.fixture(params=["unnamed", "named"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where files can be without a name, and where they cannot."""
    if request.param == "named":
        monkeypatch.delattr(os, "O_TMPFILE")
    return tmp_path


def test_backup_appears_whole_private_and_alone(folder: Path) -> None:
    incoming = received(folder / "backup", replies())
    assert (folder / "backup").read_bytes() == CONTENT
    assert (folder / "backup").stat().st_mode & 0o777 == 0o600
    assert list(folder.iterdir()) == [folder / "backup"]
    assert (incoming.size_bytes, incoming.store_uid) == (len(CONTENT), UID)


@pytest.mark.parametrize(
    ("messages", "error"),
    [
        (replies()[:-1], ServerUnavailable),
        (replies()[:4] + replies()[5:], ServerUnavailable),
        ([], ServerUnavailable),
        (replies()[1:], MalformedMessage),
        ([*replies()[:1], *replies()], MalformedMessage),
        ([*replies(), Reply(chunk=b"more")], MalformedMessage),
        ([Reply()], MalformedMessage),
        ([Reply(begin=operations_pb2.BackupBegin(size_bytes=1, store_uid=b"short"))], MalformedMessage),
        (replies(uid=b"another store...")[:1], Mismatch),
        (replies(sha256=b"short"), MalformedMessage),
        (replies(sha256=bytes(32)), IntegrityError),
    ],
)
def test_what_is_not_whole_leaves_no_file(folder: Path, messages: list[Reply], error: type[Exception]) -> None:
    with pytest.raises(error):
        received(folder / "backup", messages)
    assert list(folder.iterdir()) == []


def test_more_than_was_announced_is_not_written(folder: Path) -> None:
    incoming = IncomingBackup(folder / "backup", UID)
    incoming.take(Reply(begin=operations_pb2.BackupBegin(size_bytes=10, store_uid=UID)))
    incoming.take(Reply(chunk=bytes(10)))
    with pytest.raises(MalformedMessage, match="larger backup than it announced"):
        incoming.take(Reply(chunk=bytes(1)))
    assert incoming.size_bytes == 10
    incoming.close()


def test_disk_that_writes_something_else_is_noticed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.pread

    def rotten(descriptor: int, size: int, offset: int) -> bytes:
        data = bytearray(real(descriptor, size, offset))
        if data:
            data[len(data) // 2] ^= 1
        return bytes(data)

    monkeypatch.setattr(os, "pread", rotten)
    with pytest.raises(IntegrityError, match="not what was sent"):
        received(folder / "backup", replies())
    assert list(folder.iterdir()) == []


def test_full_disk_and_short_writes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, bytes(data)[:7]))
    received(folder / "backup", replies())
    assert (folder / "backup").read_bytes() == CONTENT

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(StoreFailed, match="No space left on device; make room"):
        received(folder / "other", replies())
    assert list(folder.iterdir()) == [folder / "backup"]


def test_folder_that_takes_no_backup_is_named_before_anything_is_fetched(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(StoreFailed, match="give a folder that you may write to"):
        IncomingBackup(folder / "gone meanwhile" / "backup", UID)

    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    with pytest.raises(StoreFailed, match="on a file system with hard links"):
        IncomingBackup(folder / "backup", UID)
    assert list(folder.iterdir()) == []


def test_file_that_is_there_is_never_overwritten(folder: Path) -> None:
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    (folder / "mine").write_bytes(b"mine")
    with pytest.raises(InvalidInput, match="is there already"):
        target_of(folder / "mine", now)
    with pytest.raises(InvalidInput, match="came to be meanwhile"):
        received(folder / "mine", replies())
    assert (folder / "mine").read_bytes() == b"mine"
    assert target_of(folder, now).name == "unseen-2026-01-02-030405.backup"
    with pytest.raises(InvalidInput, match="make it first"):
        target_of(folder / "none" / "backup", now)


def test_what_a_kill_left_is_removed_by_the_next_backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "O_TMPFILE")
    (tmp_path / f"{backup_file.UNFINISHED}left").write_bytes(b"half")
    received(tmp_path / "backup", replies())
    assert list(tmp_path.iterdir()) == [tmp_path / "backup"]


def test_two_backups_into_one_folder_leave_each_other_alone(folder: Path) -> None:
    first = IncomingBackup(folder / "first", UID)
    begin, *rest = replies()
    first.take(begin)
    received(folder / "second", replies())
    for message in rest:
        first.take(message)
    first.finish()
    first.keep()
    assert sorted(folder.iterdir()) == [folder / "first", folder / "second"]
    assert (folder / "first").read_bytes() == (folder / "second").read_bytes() == CONTENT


def test_file_that_is_taken_away_before_it_is_locked_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "O_TMPFILE")
    true_mkstemp, made = tempfile.mkstemp, []

    def taken_away(**where: Any) -> tuple[int, str]:
        made.append(true_mkstemp(**where))
        if len(made) == 1:
            backup_file._remove_left(tmp_path)
        return made[-1]

    monkeypatch.setattr(tempfile, "mkstemp", taken_away)
    received(tmp_path / "backup", replies())
    assert len(made) == 3  # the one taken away, the one that is tried, and the one that is kept
    assert list(tmp_path.iterdir()) == [tmp_path / "backup"]


class BackingUp(PaperServer):
    """Sends a backup; the first ``breaks`` transfers end after the first chunk, each after so many seconds."""

    def __init__(self, breaks: int = 0, seconds_each: float = 0.0) -> None:
        super().__init__()
        self.breaks, self.seconds_each = breaks, seconds_each
        self.driver: Driver

    def on_create_backup(self, _: object) -> Iterator[Reply]:
        first, *rest = replies(uid=self.store_uid)
        yield first
        self.driver.now_s += self.seconds_each
        if self.breaks:
            self.breaks -= 1
            raise ServerUnavailable("the connection broke")
        yield from rest


def backed_up(server: BackingUp, tmp_path: Path) -> Driver:
    server.driver = Driver(server, tmp_path / "home", timeout_s=30.0)
    (tmp_path / "backups").mkdir(exist_ok=True)
    server.driver(operations.backup(server.driver.session, tmp_path / "backups"))
    return server.driver


def test_transfer_may_take_hours_and_what_breaks_at_once_is_tried_again(tmp_path: Path) -> None:
    server = BackingUp(breaks=2)
    driver = backed_up(server, tmp_path)
    assert server.log.count("CreateBackup") == 3
    assert driver.exchanges[-1].timeout_s == operations.SECONDS_FOR_A_BACKUP
    (made,) = (tmp_path / "backups").iterdir()
    assert made.read_bytes() == CONTENT


def test_long_transfer_that_breaks_is_not_begun_anew_for_hours(tmp_path: Path) -> None:
    server = BackingUp(breaks=1000, seconds_each=60.0)
    with pytest.raises(ServerUnavailable, match="tried 1 times in 60 s"):
        backed_up(server, tmp_path)
    assert server.log.count("CreateBackup") == 1
    assert list((tmp_path / "backups").iterdir()) == []


def test_backup_of_another_store_than_the_one_met_is_refused(tmp_path: Path) -> None:
    server = BackingUp()
    server.on_create_backup = lambda _: iter(replies(uid=b"another store..."))  # type: ignore[method-assign]
    with pytest.raises(Mismatch, match="another store"):
        backed_up(server, tmp_path)
    assert list((tmp_path / "backups").iterdir()) == []


def test_client_and_command_fetch_a_backup_that_is_a_whole_one(
    client: Client, unseen: Callable[..., Any], name: str, tmp_path: Path, unit_vectors: Callable[..., Any]
) -> None:
    client.create_collection(name, dimension=16)
    client.enrol_vectors(name, [str(at) for at in range(50)], unit_vectors(50, 16))
    made = client.backup(tmp_path)
    assert hashlib.sha256(made.path.read_bytes()).digest() == made.sha256
    assert made.store_uid == client.server_info().store_uid
    done = unseen("backup", tmp_path / "by command", "--json")
    assert done.returncode == 0, done.stderr
    assert hashlib.sha256((tmp_path / "by command").read_bytes()).hexdigest() in done.stdout
    again = unseen("backup", tmp_path / "by command")
    assert (again.returncode, "is there already" in again.stderr) == (2, True)
    if Path("/proc/self").is_dir():  # a folder in which nobody can make a file
        refused = unseen("backup", "/proc/self")
        assert (refused.returncode, refused.stderr[:38]) == (1, "error: the backup cannot be written he")


async def test_asynchronous_client_does_the_same(server: Any, home: Path, tmp_path: Path) -> None:
    async with AsyncClient(server.address, home=home) as client:
        made = await client.backup(tmp_path / "backup")
    assert made.size_bytes == (tmp_path / "backup").stat().st_size


KILLED_AT_THE_FIRST_CHUNK = """
import os, signal, sys
from unseen_client.backup_file import IncomingBackup
if sys.argv.pop(1) == "named":
    del os.O_TMPFILE
write = IncomingBackup._write
def write_and_die(self, chunk):
    write(self, chunk)
    assert self.size_bytes
    os.kill(os.getpid(), signal.SIGKILL)
IncomingBackup._write = write_and_die
from unseen_client.cli import main
main()
"""


@pytest.mark.parametrize("kind", ["unnamed", "named"])
def test_command_that_is_killed_leaves_nothing_half(server: Any, unseen: Any, tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    environment = ENVIRONMENT | {"UNSEEN_SERVER": server.address, "UNSEEN_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-c", KILLED_AT_THE_FIRST_CHUNK, kind, "backup", str(folder / "one")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    left = list(folder.iterdir())
    assert all(path.name.startswith(backup_file.UNFINISHED) and path.stat().st_mode & 0o077 == 0 for path in left)
    assert len(left) == (1 if kind == "named" else 0)
    assert unseen("backup", folder / "one").returncode == 0
    assert (folder / "one").read_bytes().startswith(b"unseen-backup")
