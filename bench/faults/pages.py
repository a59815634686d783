"""Every byte and every length of a database file, held against the checks that stand before everything else.

A server checks a page when it reads it and a file when it opens it; so here both are asked for every byte and length,
without a server around them, which is what makes every single one affordable.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from random import Random

from unseen.errors import UnseenError
from unseen.store.checked_pages import PAGE_BYTES, is_whole
from unseen.store.sqlite_file import SqliteFile


def flip_every_byte_of_pages(path: Path) -> tuple[int, int]:
    """Each byte of a database file, flipped; how many there are and how many the check of its page lets through.

    It is the check that every page passes when it is read, by SQLite or by an examination: see ``checked_pages``.
    """
    content = path.read_bytes()
    missed, random = 0, Random(1)
    for number in range(len(content) // PAGE_BYTES):
        page = bytearray(content[number * PAGE_BYTES : (number + 1) * PAGE_BYTES])
        for at in range(PAGE_BYTES):
            bit = 1 << random.randrange(8)
            page[at] ^= bit
            missed += is_whole(number, memoryview(page))
            page[at] ^= bit
    return len(content), missed


def open_at_every_length(path: Path, every: int = 1) -> tuple[int, int]:
    """A database file cut shorter and shorter, by ``every`` bytes; how many lengths were tried, how many open."""
    opened = 0
    lengths = range(path.stat().st_size - 1, -1, -every)
    for length in lengths:
        with path.open("r+b") as file:
            file.truncate(length)
        with suppress(UnseenError):
            SqliteFile(path).close()
            opened += 1
    return len(lengths), opened
