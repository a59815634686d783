"""Files on their way in: written and hashed in one pass, so that what is pinned is what was written.

Runs where the images are.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from unseen.errors import StoreFailed
from unseen.weights import PinnedFile
from unseen_client.home import private_folder

Watch = Callable[[int], None]
"""Told the size of every piece."""


class Hashes:
    """What bytes hash to: SHA-256, as a device pins them, and SHA-1 in git's manner, as a hub names small files."""

    def __init__(self, told_bytes: int = 0) -> None:
        """told_bytes: the size that git's name begins with."""
        self.size_bytes = 0
        self._sha256 = hashlib.sha256()
        self._git = hashlib.sha1(b"blob %d\0" % told_bytes, usedforsecurity=False)

    def add(self, piece: bytes) -> None:
        """Take in the next bytes."""
        self.size_bytes += len(piece)
        self._sha256.update(piece)
        self._git.update(piece)

    @property
    def sha256(self) -> str:
        """In hex."""
        return self._sha256.hexdigest()

    @property
    def git_blob(self) -> str:
        """In hex; right when ``told_bytes`` came."""
        return self._git.hexdigest()

    def pinned(self, name: str) -> PinnedFile:
        """The line of a manifest."""
        return PinnedFile(name, self.sha256, self.size_bytes)


def write_arriving(came: Iterable[bytes], path: Path, hashes: Hashes, watch: Watch) -> None:
    """Write what comes to a new private file, on disk when this returns; StoreFailed, and what ``came`` raises."""
    private_folder(path.parent)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise StoreFailed(f"cannot write {path.name}: {error.strerror}") from error
    with os.fdopen(descriptor, "wb") as file:
        for piece in came:
            hashes.add(piece)
            _put(file.write, piece)
            watch(len(piece))
        _put(file.flush)
        _put(os.fsync, file.fileno())


def _put(write: Callable[..., object], *arguments: object) -> None:
    """The source's own OSErrors are not the disk's."""
    try:
        write(*arguments)
    except OSError as error:
        raise StoreFailed(f"cannot write a model's file: {error.strerror}; nothing was kept of it") from error
