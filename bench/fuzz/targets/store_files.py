"""Backups: as a restore reads them from a file, and as a device takes them from a server."""

from __future__ import annotations

import hashlib
import io
import shutil

from bench.fuzz.target import Target, scratch_folder
from bench.protobuf_bytes import each_in_a_row, in_a_row
from unseen.errors import (
    IntegrityError,
    InvalidConfiguration,
    InvalidInput,
    MalformedMessage,
    Mismatch,
    ServerUnavailable,
    WrongKey,
)
from unseen.keys.provider import HeldKey
from unseen.keys.ring import KeyRings
from unseen.store import backup
from unseen.store.sqlite import FILE_NAME
from unseen.v1 import operations_pb2
from unseen_client.backup_file import IncomingBackup

UID, MASTER_KEY = bytes(range(16)), bytes(range(32))


class Restore:
    """A place that backups are unpacked into, one after the other."""

    def __init__(self) -> None:
        home = scratch_folder()
        self.rings = KeyRings(home / "ring", HeldKey("file", MASTER_KEY))
        self.ring = self.rings.make(UID)
        self._target = home / "data"

    def unpack(self, data: bytes) -> None:
        self._target.mkdir()
        try:
            assert backup.unpack(io.BytesIO(data), self._target, self.rings) == UID
        finally:
            shutil.rmtree(self._target)

    def right(self) -> bytes:
        """A backup of a store of a few bytes."""
        folder = scratch_folder()
        (folder / FILE_NAME).write_bytes(b"store")
        log = folder / backup.AUDIT_FOLDER / ("0" * 16)
        log.mkdir(parents=True)
        (log / "leaves").write_bytes(b"leaves")
        return b"".join(backup.pack(folder, UID, self.ring))

    def sealed(self, data: bytes) -> bytes:
        """The same with members of its own, sealed as they should be."""
        text = f"{backup.HEAD}{UID.hex()}\n".encode("ascii")
        content = backup._head(backup.HEAD_NAME, len(text)) + text + bytes(backup._padding(len(text))) + data
        seal = backup.seal_of(self.ring, hashlib.sha256(content).digest())
        return content + backup._head(backup.SEAL_NAME, 32) + seal + bytes(backup._padding(32)) + backup.END


class Incoming:
    """A folder that backups are received into."""

    def __init__(self) -> None:
        self._path = scratch_folder() / "a.backup"

    def take(self, data: bytes) -> None:
        """Messages of one backup, each behind its length in two bytes."""
        receiving = IncomingBackup(self._path, UID)
        try:
            for message in each_in_a_row(operations_pb2.CreateBackupResponse, data):
                receiving.take(message)
            receiving.finish()
            receiving.keep()
        finally:
            receiving.close()
            self._path.unlink(missing_ok=True)


STREAM = in_a_row(
    operations_pb2.CreateBackupResponse(begin=operations_pb2.BackupBegin(size_bytes=5, store_uid=UID)),
    operations_pb2.CreateBackupResponse(chunk=b"bytes"),
    operations_pb2.CreateBackupResponse(end=operations_pb2.BackupEnd(sha256=hashlib.sha256(b"bytes").digest())),
)
RESTORE = Restore()
MEMBER = backup._head(FILE_NAME, 5) + b"store" + bytes(backup._padding(5))

TARGETS = (
    Target(
        "store.backup.unpack",
        RESTORE.unpack,
        (IntegrityError, InvalidInput, InvalidConfiguration, WrongKey),
        (RESTORE.right(),),
        dress=RESTORE.sealed,
        dressed_seeds=(MEMBER,),
        most_bytes=8192,
    ),
    Target(
        "client.backup_file",
        Incoming().take,
        (MalformedMessage, Mismatch, ServerUnavailable, IntegrityError),
        (STREAM,),
    ),
)
