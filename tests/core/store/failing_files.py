"""SQLite's layer of files (VFS) on a disk that fails: its k-th write, sync or cut and all after, or reads of a file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import apsw

NAME = "unseen-failing-disk"
USUAL = "unix"
"""SQLite's own layer on Linux and macOS."""


@dataclass
class Disk:
    """Counts operations; the one numbered ``fails_at`` and all after it fail."""

    fails_at: int = sys.maxsize
    operations: int = 0
    unreadable: str = ""
    """The name of a file that cannot be read."""
    journal: list[tuple[str, str]] = field(default_factory=list)
    """What was done to which file, in order."""

    def operate(self, what: str, where: str) -> None:
        self.operations += 1
        self.journal.append((what, where))
        if self.operations >= self.fails_at:
            raise apsw.IOError("the disk refuses")


class FailingFile(apsw.VFSFile):
    """A real file whose writes go through the counter."""

    def __init__(self, disk: Disk, name: Any, flags: list[int]) -> None:
        super().__init__(USUAL, name, flags)
        self.disk = disk
        self.name = str(name.filename() if isinstance(name, apsw.URIFilename) else name)
        self.where = "log" if flags[0] & apsw.SQLITE_OPEN_WAL else "file"

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        if self.name == self.disk.unreadable:
            raise apsw.IOError("the disk refuses to read")
        return super().xRead(amount, offset)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - SQLite's name
        self.disk.operate("write", self.where)
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802
        self.disk.operate("sync", self.where)
        super().xSync(flags)

    def xTruncate(self, size: int) -> None:  # noqa: N802
        self.disk.operate("cut", self.where)
        super().xTruncate(size)


class FailingFiles(apsw.VFS):
    """What SQLite opens files with."""

    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        super().__init__(NAME, USUAL, makedefault=True)

    def xOpen(self, name: Any, flags: list[int]) -> FailingFile:  # noqa: N802
        return FailingFile(self.disk, name, flags)


@contextmanager
def failing_disk() -> Iterator[Disk]:
    """Every file that SQLite opens meanwhile lies on the disk that this gives."""
    disk = Disk()
    files = FailingFiles(disk)
    yield disk
    apsw.set_default_vfs(USUAL)
    files.unregister()
