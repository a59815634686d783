"""Files of a store are damaged, one place at a time: one bit turned, cut short, pages torn or never written.

store           what SQLite keeps, after it was closed in peace
changes         SQLite's log, of a process that died before it moved them: its last changes are nowhere else
key ring        in its own folder
leaves, nodes, checkpoint   the audit log
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random

from bench.faults.damage import Damaged, Subject
from bench.faults.history import History
from bench.faults.plan import ENROL, ERASE, FACT
from unseen.store.checked_pages import PAGE_BYTES
from unseen.store.sqlite import FILE_NAME

STORE, CHANGES = f"data/{FILE_NAME}", f"data/{FILE_NAME}-wal"
SMALL_FILES = {
    "key ring": "ring/*.ring",
    "leaves": "data/audit/*/leaves",
    "nodes": "data/audit/*/nodes",
    "checkpoint": "data/audit/*/checkpoint",
}
NEVER_WRITTEN = "store: a page that was never written"
"""The one damage whose effect may be served until an examination names it."""
SECTOR_BYTES = 512
FIRST_BYTES = 100
"""Of a large file, all of these are damaged: they say what the rest means."""


def damage_files(
    start: History, folder: Path, places: int, every_small_byte: int, every_first_byte: int = 1
) -> dict[str, Damaged]:
    """By file and damage. Of a large file the first bytes, ``places`` others, and a quarter as many lengths.

    Of a small one every so many-th byte, and length.
    """
    closed = Subject(start, folder / "closed")
    killed = Subject(killed_before_its_checkpoint(start, folder / "killed"), folder / "after-kill")
    found = {}
    for name, subject, file in (("store", closed, STORE), ("changes", killed, CHANGES)):
        size = subject.file(file).stat().st_size
        found[f"{name}: one bit"] = flip(subject, file, spread(size, places, every_first_byte))
        found[f"{name}: cut"] = cut(subject, file, spread(size, places // 4, every_first_byte))
    for name, pattern in SMALL_FILES.items():
        file = subject_file(closed, pattern)
        everywhere = range(0, closed.file(file).stat().st_size, every_small_byte)
        found[f"{name}: one bit"] = flip(closed, file, everywhere)
        found[f"{name}: cut"] = cut(closed, file, everywhere)
    return found


def subject_file(subject: Subject, pattern: str) -> str:
    """The one file that a pattern is about."""
    (found,) = subject.file(".").glob(pattern)
    return str(found.relative_to(subject.file(".")))


def killed_before_its_checkpoint(start: History, folder: Path) -> History:
    """A store whose last changes are in SQLite's log only: the process died when it began to move them."""
    history = start.copied_to(folder)
    tracer = ["strace", "-q", "-o", "/dev/null", "-P", str(folder / "data" / FILE_NAME)]
    tracer += ["-e", "trace=pwrite64", "-e", "inject=pwrite64:signal=KILL:when=1"]
    with history.life(None, 4, (ENROL, FACT), tracer) as process:
        process.wait()
    return history


def flip(subject: Subject, name: str, places: Iterable[int]) -> Damaged:
    """One bit of a file, at each of these bytes."""
    result, random = Damaged(), Random(1)
    path = subject.file(name)
    whole = path.read_bytes()
    for at in places:
        altered = bytearray(whole)
        altered[at] ^= 1 << random.randrange(8)
        path.write_bytes(altered)
        subject.judge(result)
    return result


def cut(subject: Subject, name: str, lengths: Iterable[int]) -> Damaged:
    """A file cut to each of these lengths."""
    result = Damaged()
    path = subject.file(name)
    whole = path.read_bytes()
    for length in lengths:
        path.write_bytes(whole[:length])
        subject.judge(result)
    return result


def tear(start: History, folder: Path, every_page: int) -> dict[str, Damaged]:
    """Pages of which some sectors are new and some old; then pages that are old altogether, as if never written."""
    history = start.copied_to(folder / "torn")
    path = history.folder / STORE
    before = path.read_bytes()
    history.live_to_the_end(3, 2, (ENROL, ERASE, FACT))
    history.check()
    after = path.read_bytes()
    subject = Subject(history, folder / "torn-subject")
    torn, left = Damaged(), Damaged()
    for number in _changed_pages(before, after)[::every_page]:
        old, new = _page(before, number), _page(after, number)
        for mixed in _mixtures(old, new):
            _put(subject.file(STORE), after, number, mixed)
            subject.judge(torn)
        _put(subject.file(STORE), after, number, old)
        subject.judge(left)
    return {"store: a page that is torn": torn, NEVER_WRITTEN: left}


def _changed_pages(before: bytes, after: bytes) -> list[int]:
    return [at for at in range(len(before) // PAGE_BYTES) if _page(before, at) != _page(after, at)]


def _page(content: bytes, number: int) -> bytes:
    return content[number * PAGE_BYTES : (number + 1) * PAGE_BYTES]


def _mixtures(old: bytes, new: bytes) -> Iterator[bytes]:
    """Old and new at every boundary of sectors, without those that are the one or the other."""
    found = set()
    for at in range(SECTOR_BYTES, PAGE_BYTES, SECTOR_BYTES):
        found |= {new[:at] + old[at:], old[:at] + new[at:]}
    yield from sorted(found - {old, new})


def _put(path: Path, content: bytes, number: int, page: bytes) -> None:
    start = number * PAGE_BYTES
    path.write_bytes(content[:start] + page + content[start + PAGE_BYTES :])


def spread(size: int, count: int, every_first: int = 1) -> list[int]:
    """The first bytes of a file, and so many others from all over it."""
    others = range(FIRST_BYTES, size)
    return [*range(0, min(FIRST_BYTES, size), every_first), *sorted(Random(1).sample(others, min(count, len(others))))]
