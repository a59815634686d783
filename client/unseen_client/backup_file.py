"""A backup on its way to a file of this machine: whole and checked, or not there at all.

Held by the operator's machine. The bytes are ciphertext, sizes and counts; no key is among them.

    chunks -> a file without a name -> on disk -> read again and hashed -> it gets its name, which nothing had
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from unseen import wire
from unseen.errors import IntegrityError, InvalidInput, MalformedMessage, Mismatch, ServerUnavailable, StoreFailed
from unseen.v1 import operations_pb2

READ_BYTES = 1 << 20
UNFINISHED = ".unseen-backup-"
"""Begins the name of a file that is being written, where files cannot be without one."""


def target_of(place: Path, now: datetime) -> Path:
    """The file to write: ``place``, or one named for the time in the folder ``place``. InvalidInput if it is there."""
    path = place / f"unseen-{now:%Y-%m-%d-%H%M%S}.backup" if place.is_dir() else place
    if path.exists():
        raise InvalidInput(f"{path} is there already; give another name, backups are never overwritten")
    if not path.parent.is_dir():
        raise InvalidInput(f"the folder {path.parent} is not there; make it first")
    return path


class IncomingBackup:
    """Receives one backup of the store with this uid."""

    def __init__(self, path: Path, store_uid: bytes) -> None:
        self._path = path
        self.store_uid = store_uid
        self._descriptor, self._name = _open_new(path.parent)
        self._begin: operations_pb2.BackupBegin | None = None
        self.sha256 = b""
        self.size_bytes = 0

    def take(self, reply: operations_pb2.CreateBackupResponse) -> None:
        part = reply.WhichOneof("part")
        if part == "begin" and self._begin is None:
            if wire.require_uid(reply.begin.store_uid, "the store's uid") != self.store_uid:
                raise Mismatch("the server sends a backup of another store than the one it serves; do not keep it")
            self._begin = reply.begin
        elif part == "chunk" and self._begin is not None and not self.sha256:
            if self.size_bytes + len(reply.chunk) > self._begin.size_bytes:
                raise MalformedMessage("the server sends a larger backup than it announced; do not trust this server")
            self._write(reply.chunk)
        elif part == "end" and self._begin is not None and not self.sha256 and len(reply.end.sha256) == 32:
            self.sha256 = reply.end.sha256
        else:
            raise MalformedMessage("a backup came out of order; the server does not fit this client")

    def finish(self) -> None:
        if self._begin is None or not self.sha256 or self.size_bytes != self._begin.size_bytes:
            raise ServerUnavailable("the backup was cut before its end")

    def keep(self) -> None:
        """Check what lies on the disk, and give it its name: on disk when this returns."""
        with _on_disk():
            os.fsync(self._descriptor)
            is_whole = self._hash() == self.sha256
        if not is_whole:
            raise IntegrityError("what was written is not what was sent: the disk or the way here is faulty; try again")
        with _on_disk():
            try:
                _link(self._descriptor, self._name, self._path)
            except FileExistsError:
                raise InvalidInput(f"{self._path} came to be meanwhile; backups are never overwritten") from None
        self.close()

    def close(self) -> None:
        """Drop what has no name yet."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            _drop(descriptor, self._name)

    def _write(self, chunk: bytes) -> None:
        with _on_disk():
            left = memoryview(chunk)
            while left:
                written = os.write(self._descriptor, left)
                self.size_bytes += written
                left = left[written:]

    def _hash(self) -> bytes:
        # Past the memory that the system may have kept it in, where it can be.
        with contextlib.suppress(AttributeError, OSError):
            os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        digest = hashlib.sha256()
        offset = 0
        while chunk := os.pread(self._descriptor, READ_BYTES, offset):
            digest.update(chunk)
            offset += len(chunk)
        return digest.digest()


@contextlib.contextmanager
def _on_disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = "make room" if is_full else "give a folder that you may write to, on a file system with hard links"
        raise StoreFailed(f"the backup cannot be written here: {os.strerror(error.errno or 0)}; {remedy}") from error


def _open_new(folder: Path) -> tuple[int, Path | None]:
    """A new private file that nobody sees before it is whole; with its name where it must have one.

    Raises StoreFailed where it could not get its name in the end: before anything is fetched.
    """
    with _on_disk():
        descriptor, name = _open_unnamed(folder)
        trial = folder / f"{UNFINISHED}{secrets.token_hex(8)}"
        try:
            _link(descriptor, name, trial)  # what was linked once and unlinked cannot be linked again
        finally:
            _drop(descriptor, name)
            trial.unlink(missing_ok=True)
        return _open_unnamed(folder)


def _open_unnamed(folder: Path) -> tuple[int, Path | None]:
    with contextlib.suppress(AttributeError, OSError):
        return os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o600), None
    from fcntl import LOCK_EX, flock  # not everywhere where this package is imported

    _remove_left(folder)
    while True:
        descriptor, path = tempfile.mkstemp(prefix=UNFINISHED, dir=folder)
        with contextlib.suppress(OSError):  # where nothing can be locked, nothing is removed either
            flock(descriptor, LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return descriptor, Path(path)
        os.close(descriptor)  # another backup took it for one that was left, before it was locked


def _remove_left(folder: Path) -> None:
    """Remove what killed backups left: what no process holds locked, and this user may."""
    from fcntl import LOCK_EX, LOCK_NB, flock

    for left in folder.glob(f"{UNFINISHED}*"):
        with contextlib.suppress(OSError):
            descriptor = os.open(left, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                flock(descriptor, LOCK_EX | LOCK_NB)
                left.unlink(missing_ok=True)
            finally:
                os.close(descriptor)


def _link(descriptor: int, name: Path | None, target: Path) -> None:
    """Give a file without a name its name, or one with a name another; on disk when this returns."""
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        # With a folder's descriptor Python calls linkat, which can name what has no name (open(2), O_TMPFILE).
        source = name or Path(f"/proc/self/fd/{descriptor}")
        os.link(source, target.name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=True)
        os.fsync(folder)
    finally:
        os.close(folder)


def _drop(descriptor: int, name: Path | None) -> None:
    os.close(descriptor)
    if name is not None:
        name.unlink(missing_ok=True)
