"""SQLite's files with a checksum in every page: a page that the disk altered, tore or misplaced is never believed.

SQLite takes pages of the database file as they come. So each page ends in four bytes that SQLite leaves alone (its
"reserved space"): CRC-32 over the page's number and everything before them. They are computed where a page is written
to the file, and looked at where one is read. SQLite checks its log when it finds one, but not when it reads back what
it wrote itself; so the sums of what was written to the log are kept in memory, and looked at there too. All this guards
against the disk, not against people: what must not be forged is sealed.

    page:   | SQLite's content, PAGE_BYTES - 4 | CRC-32, little-endian |
"""

from __future__ import annotations

import struct
import zlib

import apsw

PAGE_BYTES = 16384
"""Fifteen sealed vectors of dimension 512 fill such a page to 98 %; SQLite's default of 4096 wastes a fifth."""
CHECK_BYTES = 4
_CONTENT_BYTES = PAGE_BYTES - CHECK_BYTES
_NUMBER = struct.Struct("<I")
_RESERVED_AT = 20
"""Where a database file says how much of each page SQLite leaves alone (sqlite.org/fileformat2.html, 1.3)."""
_LOGGED_FROM, _LOGGED_EVERY = 32 + 24, 24 + PAGE_BYTES
"""Where pages lie in the log: behind its head and a frame's, then each behind a frame's head (same source, 4.1)."""
SUBPAGE_READ = 0x00008000
"""SQLITE_IOCAP_SUBPAGE_READ of sqlite3.h: part of a page may be read alone. Not here: it could not be checked."""


class PageAltered(apsw.IOError):
    """A page is not what was written, or cannot be read; ``file`` is the name of the file that it is of."""

    def __init__(self, what: str, file: str) -> None:
        super().__init__(what)
        self.file = file


def checksum(number: int, content: bytes | memoryview) -> bytes:
    """What page ``number`` (from 0) ends in when it holds ``content``."""
    return _NUMBER.pack(zlib.crc32(content, zlib.crc32(_NUMBER.pack(number))))


def is_whole(number: int, page: bytes | memoryview) -> bool:
    """Whether a page is what was written under its number."""
    return checksum(number, memoryview(page)[:_CONTENT_BYTES]) == page[_CONTENT_BYTES:]


def keeps_checksums(first_page: bytes | memoryview) -> bool:
    """Whether a file that starts like this carries checksums; stores of version 2 and before do not."""
    return len(first_page) > _RESERVED_AT and first_page[_RESERVED_AT] == CHECK_BYTES


class CheckedFile(apsw.VFSFile):
    """One file that SQLite opened: a database and its log are checked, everything else passes."""

    def __init__(self, base: str, name: apsw.URIFilename | str | None, flags: list[int]) -> None:
        super().__init__(base, name, flags)
        self._name = str(name.filename() if isinstance(name, apsw.URIFilename) else name)
        self._is_database = bool(flags[0] & apsw.SQLITE_OPEN_MAIN_DB)
        self._is_log = bool(flags[0] & apsw.SQLITE_OPEN_WAL)
        self._logged: dict[int, int] = {}
        """Of pages that were written to the log: where, and their CRC-32."""
        # A new database is ours, and a large transaction writes its other pages before the first one.
        self._is_checked = self._is_database and (
            not super().xFileSize() or keeps_checksums(super().xRead(_RESERVED_AT + 1, 0))
        )

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802 - SQLite's name
        """A page, if it is what was written."""
        try:
            data = super().xRead(amount, offset)
        except (apsw.Error, OSError) as error:
            raise PageAltered("a page cannot be read", self._name) from error
        if len(data) == amount == PAGE_BYTES:
            self._require_whole(data, offset)
        return data

    def _require_whole(self, page: bytes, offset: int) -> None:
        number, within = divmod(offset, PAGE_BYTES)
        if self._is_checked and not within and not is_whole(number, page):
            raise PageAltered(f"page {number + 1} is not what was written", self._name)
        if offset in self._logged and self._logged[offset] != zlib.crc32(page):
            raise PageAltered("a page in the log is not what was written", self._name)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        """Write a page with its checksum."""
        number, within = divmod(offset, PAGE_BYTES)
        if self._is_database and len(data) == PAGE_BYTES and not within:
            if not number:
                self._is_checked = keeps_checksums(data)
            if self._is_checked:
                content = data[:_CONTENT_BYTES]
                data = content + checksum(number, content)
        if self._is_log:
            self._forget_logged(offset, offset + len(data))
            if len(data) == PAGE_BYTES:
                self._logged[offset] = zlib.crc32(data)
        super().xWrite(data, offset)

    def _forget_logged(self, start: int, end: int) -> None:
        """Drop the sum of every page in the log that is about to be written over, be it in part."""
        first = max(0, (start - _LOGGED_FROM) // _LOGGED_EVERY)
        for at in range(_LOGGED_FROM + first * _LOGGED_EVERY, end, _LOGGED_EVERY):
            if at + PAGE_BYTES > start:
                self._logged.pop(at, None)

    def xTruncate(self, size: int) -> None:  # noqa: N802
        """Cut the file."""
        self._logged = {offset: crc for offset, crc in self._logged.items() if offset < size}
        super().xTruncate(size)

    def xDeviceCharacteristics(self) -> int:  # noqa: N802
        """What the disk can do, reading part of a page left out."""
        return super().xDeviceCharacteristics() & ~SUBPAGE_READ


class CheckedFiles(apsw.VFS):
    """What SQLite opens files with, over the usual way. ``unregister`` it when the last file is closed."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(name, "")

    def xOpen(self, name: apsw.URIFilename | str | None, flags: list[int]) -> CheckedFile:  # noqa: N802
        """Open one file."""
        return CheckedFile("", name, flags)
