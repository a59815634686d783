"""SQLite's write-ahead log after a crash: told apart from one that the disk damaged. Reads, never writes.

SQLite takes the frames of a log up to the first whose checksum is wrong, and calls the rest the remains of a crash.
That is right for the last transaction: it was never acknowledged. It is wrong when a frame in the middle was altered,
for then acknowledged transactions behind it would vanish in silence. A transaction is written only after the one before
it was synced; so a frame that is genuine, behind a commit that is not, is the mark of damage.

A log whose last transaction alone is damaged cannot be told from a crash by what is in it. The audit log can tell: see
``unseen_server.missing_changes``.

Format: sqlite.org/fileformat2.html, section 4.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from unseen.errors import IntegrityError
from unseen.store.checked_pages import PAGE_BYTES

HEADER = struct.Struct(">8I")
"""Magic (its last bit: sums read words big-endian), version, page size, checkpoint number, two salts, two sums."""
FRAME = struct.Struct(">6I")
"""Page number, pages after commit (0 within a transaction), two salts, two sums."""
MAGIC = 0x377F0682
SUMMED_BYTES = 8
"""Of a frame's head, the first two words are summed, then the page."""
Sums = tuple[int, int]
Words = npt.NDArray[np.uint32]


@dataclass(frozen=True)
class Frame:
    """One page in the log."""

    is_commit: bool
    salts: tuple[int, int]
    sums: Sums
    words: Words
    """What is summed."""


def path_of(database: Path) -> Path:
    """Where SQLite keeps the log of a database."""
    return database.with_name(f"{database.name}-wal")


def has_content(database: Path) -> bool:
    """Whether a crash left changes in the log of a database."""
    log = path_of(database)
    return log.exists() and log.stat().st_size > 0


def require_whole(database: Path) -> None:
    """IntegrityError when the log of a database holds genuine frames behind an altered commit."""
    log = path_of(database)
    if not log.exists() or log.stat().st_size <= HEADER.size:
        return
    with log.open("rb") as file:
        if _is_damaged(file):
            raise IntegrityError(
                f"{log} is damaged: acknowledged changes stand behind an altered one; nothing was changed, "
                "restore a backup, or delete the log to go back to what was there before it"
            )


def _is_damaged(file: BinaryIO) -> bool:
    head = file.read(HEADER.size)
    magic, _, _, _, first_salt, second_salt, *sums = HEADER.unpack(head)
    order = ">u4" if magic & 1 else "<u4"
    before, salts = (sums[0], sums[1]), (first_salt, second_salt)
    # Frames only follow a head that was synced: an altered head counts like an altered commit.
    acknowledged_is_broken = is_broken = (
        magic & ~1 != MAGIC or sums_after((0, 0), np.frombuffer(head[:-SUMMED_BYTES], order)) != before
    )
    for number, frame in enumerate(_frames(file, order)):
        if is_broken and not number:
            salts = frame.salts  # the head's own may be what was altered
        is_of_this_log = frame.salts == salts  # frames of an earlier log may follow
        is_genuine = is_of_this_log and sums_after(before, frame.words) == frame.sums
        if is_genuine and acknowledged_is_broken:
            return True
        is_broken = is_broken or not is_genuine
        acknowledged_is_broken = acknowledged_is_broken or (is_broken and is_of_this_log and frame.is_commit)
        before = frame.sums
    return False


def _frames(file: BinaryIO, order: str) -> Iterator[Frame]:
    size = os.fstat(file.fileno()).st_size
    for _ in range((size - HEADER.size) // (FRAME.size + PAGE_BYTES)):
        head, page = file.read(FRAME.size), file.read(PAGE_BYTES)
        _, pages_after, first_salt, second_salt, first, second = FRAME.unpack(head)
        words = np.frombuffer(head[:SUMMED_BYTES] + page, order).astype(np.uint32)
        yield Frame(pages_after != 0, (first_salt, second_salt), (first, second), words)


def sums_after(before: Sums, words: Words) -> Sums:
    """SQLite's running sums behind an even number of words.

    Word by word they are t[k] = t[k-2] + t[k-1] + x[k] modulo 2**32, with ``before`` as t[-2] and t[-1]: linear, with
    Fibonacci numbers as weights, so that numpy computes those of a whole page at once.
    """
    count = len(words)
    weights = _fibonacci(count + 2)
    first, second = before
    words = words.astype(np.uint32)
    s0 = int((weights[count - 1 :: -1] * words).sum(dtype=np.uint32))
    s0 += first * int(weights[count - 1]) + second * int(weights[count])
    s1 = int((weights[count:0:-1] * words).sum(dtype=np.uint32))
    s1 += first * int(weights[count]) + second * int(weights[count + 1])
    return s0 & 0xFFFFFFFF, s1 & 0xFFFFFFFF


@cache
def _fibonacci(count: int) -> Words:
    """Fibonacci numbers from F(0), modulo 2**32."""
    numbers = [0, 1]
    while len(numbers) < count:
        numbers.append((numbers[-1] + numbers[-2]) & 0xFFFFFFFF)
    return np.array(numbers, np.uint32)
