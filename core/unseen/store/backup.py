"""A backup: one file that holds a store and its audit logs as they were at one moment, and no key.

    unseen-backup        "unseen-backup-1" and the uid of the store: names the key ring that it needs
    unseen.sqlite        the store, whatever kind of store it was copied from
    audit/NAME/leaves    each audit log, copied after the store: no effect is in it without its leaf
    seal                 HMAC-SHA256, under a key of the store's ring, of SHA-256 over everything before it

The file is a tar archive, so that people can look inside. Who takes it gets what a stolen disk gives: sizes and counts.
Without the seal's key nobody can make one, or alter one unnoticed; an older one is as genuine as the newest.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from unseen.envelope import derive_key
from unseen.errors import IntegrityError, InvalidConfiguration, InvalidInput
from unseen.keys.ring import KeyRing, KeyRings
from unseen.store.sqlite import FILE_NAME
from unseen.store.sqlite_making import sync
from unseen.types import UID_BYTES

AUDIT_FOLDER = "audit"
"""The folder of audit logs in a data directory."""
HEAD_NAME, SEAL_NAME = "unseen-backup", "seal"
HEAD = "unseen-backup-1\n"
BLOCK_BYTES = tarfile.BLOCKSIZE
END = bytes(2 * BLOCK_BYTES)
"""Ends every tar archive."""
CHUNK_BYTES = 1 << 20
SEAL_BYTES = 32
_LEAVES = re.compile(rf"{AUDIT_FOLDER}/[0-9a-f]{{16}}/leaves")


def seal_of(ring: KeyRing, digest: bytes) -> bytes:
    """What stands at the end of a backup whose SHA-256 so far is ``digest``: 32 bytes."""
    return hmac.digest(derive_key(ring.content.store_key, b"unseen/store/backup"), digest, hashlib.sha256)


# Writing


def size_of(folder: Path) -> int:
    """How many bytes ``pack`` gives."""
    members = [len(HEAD) + 2 * UID_BYTES + 1, *(path.stat().st_size for _, path in _members(folder)), SEAL_BYTES]
    return sum(BLOCK_BYTES + size + _padding(size) for size in members) + len(END)


def pack(folder: Path, store_uid: bytes, ring: KeyRing) -> Iterator[bytes]:
    """A backup of what lies in ``folder``: ``unseen.sqlite`` and ``audit``. A chunk at a time, none of them empty."""
    digest = hashlib.sha256()
    for chunk in _unsealed(folder, store_uid):
        digest.update(chunk)
        yield chunk
    seal = seal_of(ring, digest.digest())
    yield _head(SEAL_NAME, len(seal)) + seal + bytes(_padding(len(seal))) + END


def _unsealed(folder: Path, store_uid: bytes) -> Iterator[bytes]:
    text = f"{HEAD}{store_uid.hex()}\n".encode("ascii")
    yield _head(HEAD_NAME, len(text)) + text + bytes(_padding(len(text)))
    for name, path in _members(folder):
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            yield _head(name, size)
            while chunk := file.read(CHUNK_BYTES):
                yield chunk
            if padding := _padding(size):
                yield bytes(padding)


def _members(folder: Path) -> list[tuple[str, Path]]:
    logs = sorted((folder / AUDIT_FOLDER).glob("*/leaves"))
    return [(str(path.relative_to(folder)), path) for path in (folder / FILE_NAME, *logs)]


def _head(name: str, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    return member.tobuf(tarfile.GNU_FORMAT)


def _padding(size: int) -> int:
    return -size % BLOCK_BYTES


# Reading


def unpack(file: BinaryIO, folder: Path, rings: KeyRings) -> bytes:
    """Write a backup's files into an empty ``folder``, on disk when this returns; gives the uid of the store.

    IntegrityError when a byte is not what was written, InvalidInput when it is no backup at all, InvalidConfiguration
    or WrongKey when the keys are not its own, InvalidConfiguration when it cannot be read, OSError when the folder
    cannot be written. What was written by then is not to be used.
    """
    reading = _Reading(file)
    name, size = reading.head()
    if name != HEAD_NAME or size > BLOCK_BYTES:
        raise InvalidInput("this is no backup of an Unseen store; give a file that `unseen backup` wrote")
    # No seal has vouched for this uid yet: a wrong one names another ring, or none, under which no seal will fit.
    ring = rings.open(store_uid := _store_uid(reading.content(size)))
    name, size = reading.head()
    digest = b""
    while name != SEAL_NAME:
        if name != FILE_NAME and not _LEAVES.fullmatch(name):
            raise altered("it holds something that is no part of a store")
        if (folder / name).exists():
            raise altered("it holds a file twice")
        reading.to_file(folder / name, size)
        digest = reading.digest()
        name, size = reading.head()
    if size != SEAL_BYTES or not (folder / FILE_NAME).exists():
        raise altered("it has no store, or no seal")
    if not hmac.compare_digest(reading.content(size), seal_of(ring, digest)) or reading.rest() != END:
        raise altered("its seal does not fit")
    return store_uid


def _store_uid(text: bytes) -> bytes:
    head = HEAD.encode("ascii")
    try:
        uid = bytes.fromhex(text.removeprefix(head).decode("ascii"))
    except ValueError:
        uid = b""
    if not text.startswith(head) or len(uid) != UID_BYTES:
        raise InvalidInput("this backup was written by another release; use that one, or a newer one")
    return uid


class _Reading:
    """A backup, read from its beginning to its end, once."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = hashlib.sha256()

    def digest(self) -> bytes:
        """SHA-256 of everything that was read."""
        return self._digest.digest()

    def head(self) -> tuple[str, int]:
        """Name and size of the next member."""
        block = self._exactly(BLOCK_BYTES)
        try:
            member = tarfile.TarInfo.frombuf(block, "ascii", "strict")
        except (tarfile.HeaderError, UnicodeDecodeError):
            raise altered("it is no archive here") from None
        if _head(member.name, member.size) != block:
            raise altered("a member is not as it was written")
        return member.name, member.size

    def content(self, size: int) -> bytes:
        """The content of a small member."""
        content = self._exactly(size)
        self._padding(size)
        return content

    def to_file(self, path: Path, size: int) -> None:
        """Write the content of a member to a new file, on disk when this returns."""
        path.parent.mkdir(mode=0o700, exist_ok=True, parents=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as target:
            left = size
            while left:
                chunk = self._exactly(min(CHUNK_BYTES, left))
                target.write(chunk)
                left -= len(chunk)
            target.flush()
            os.fsync(target.fileno())
        self._padding(size)
        sync(path.parent)

    def rest(self) -> bytes:
        """What is left, if it is no more than an end and a little."""
        return self._read(len(END) + 1)

    def _padding(self, size: int) -> None:
        if any(self._exactly(_padding(size))):
            raise altered("a gap is not empty")

    def _exactly(self, size: int) -> bytes:
        data = self._read(size)
        if len(data) != size:
            raise altered("it was cut")
        self._digest.update(data)
        return data

    def _read(self, size: int) -> bytes:
        try:
            return self._file.read(size)
        except OSError as error:  # told apart from what cannot be written
            raise InvalidConfiguration(
                f"the backup cannot be read to its end ({error.strerror}); copy it to another disk, or use another one"
            ) from error


def altered(what: str) -> IntegrityError:
    """The refusal of a backup that is not as it was written."""
    return IntegrityError(f"the backup is damaged: {what}; nothing was restored, use another one")
