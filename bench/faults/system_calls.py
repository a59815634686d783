"""Every k-th call that touches a disk fails, or is where the process dies: for every k that a short life reaches.

strace sits between the process and the kernel (its option "inject"). It counts by thread and by name of the call, and
the first fault ends a run; so every run has one thread, one name and one k: those that a run without a fault made.

    error=EIO, error=ENOSPC    the call fails: nothing may be acknowledged that is not there
    signal=KILL                the process dies before the call
    retval=100                 the call lies: it did nothing, and says that it wrote 100 bytes
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.faults.history import Found, History
from bench.faults.life import STOPPED
from bench.faults.plan import BACKUP, ENROL, ERASE, FACT, REKEY, ROTATE
from unseen.errors import UnseenError
from unseen_server.audit import AUDIT_FOLDER

WRITES = ("write", "pwrite64")
CALLS = (*WRITES, "fsync", "fdatasync", "ftruncate", "rename", "renameat", "renameat2", "link", "linkat", "unlink")
PATHS = {"enrolment": (ENROL, ENROL, ENROL), "all else": (ERASE, FACT, BACKUP, REKEY, ROTATE)}
"""What a life does, in this order."""
THREADS = ("store", "audit log")
FAULTS = {"EIO": "error=EIO", "ENOSPC": "error=ENOSPC", "kill": "signal=KILL"}
LIE = "retval=100"
"""What was not written is there as if: for who made the call a short write, for who reads later a hole."""


@dataclass
class Tried:
    """What became of one kind of fault on one path."""

    runs: int = 0
    stopped: int = 0
    """The process ended by itself, or was killed."""
    went_on: int = 0
    """The call did not matter: a leftover that could not be removed, a checkpoint that can be made later."""
    noticed_later: int = 0
    """Only lies: the next opening, or an examination, says that something is damaged."""
    not_reached: int = 0
    """Runs that made fewer calls than the one without a fault."""
    found: Found = field(default_factory=Found)

    def fields(self) -> dict[str, object]:
        """As JSON has it."""
        return vars(self) | {"found": self.found.fields()}


def template(folder: Path) -> History:
    """A store with some rows, to begin each run from."""
    history = History(folder)
    history.live_to_the_end(seed=1, steps=8, kinds=(ENROL, ENROL, FACT))
    history.check()
    return history


def fail_every_call(
    start: History, folder: Path, kinds: Sequence[str], thread: str, fault: str, every: int = 1
) -> Tried:
    """A run for each call that a thread makes in a life without a fault, or for each so many-th."""
    tried = Tried()
    for name, k in calls_of(start.copied_to(folder / "run"), kinds, thread, WRITES if fault == LIE else CALLS)[::every]:
        history = start.copied_to(folder / "run")
        code, log = life_with_fault(history, kinds, thread, name, k, fault)
        if "INJECTED" in log or code not in (0, STOPPED):
            _count(tried, history, code, may_be_noticed=fault == LIE)
        else:
            tried.not_reached += 1
        shutil.rmtree(history.folder)
    return tried


def calls_of(history: History, kinds: Sequence[str], thread: str, names: Sequence[str]) -> list[tuple[str, int]]:
    """The calls of a life without a fault: each by its name and which of that name it is."""
    _, log = _traced(history, kinds, thread, names)
    shutil.rmtree(history.folder)
    by_thread: dict[str, list[str]] = {}
    for number, name in re.findall(r"^(\d+ +)?(\w+)\(", log, re.MULTILINE):
        by_thread.setdefault(number, []).append(name)
    made = max(by_thread.values(), key=len)
    return [(name, 1 + made[:at].count(name)) for at, name in enumerate(made)]


def life_with_fault(
    history: History, kinds: Sequence[str], thread: str, name: str, k: int, fault: str
) -> tuple[int, str]:
    """A life in which a thread's k-th call of a name fails: how it ended, and what it called."""
    return _traced(history, kinds, thread, [name], "-e", f"inject={name}:{fault}:when={k}")


def _traced(history: History, kinds: Sequence[str], thread: str, names: Sequence[str], *fault: str) -> tuple[int, str]:
    """A life of which one thread is traced: how it ended, and what it called."""
    log = history.folder.parent / "calls.log"
    tracer = ["strace", "-q", "-o", str(log), *_only(thread, history.folder), "-e", f"trace={','.join(names)}", *fault]
    with history.life(None, len(kinds), kinds, tracer) as process:
        process.wait()
    return process.returncode, log.read_text()


def _only(thread: str, folder: Path) -> list[str]:
    """What has strace look at one thread: the first one, or every one but at no file than the log's own."""
    if thread == THREADS[0]:
        return []
    logs = sorted((folder / "data" / AUDIT_FOLDER).glob("*/*"))
    return ["-f", *(word for path in logs for word in ("-P", str(path)))]


def _count(tried: Tried, history: History, code: int, may_be_noticed: bool) -> None:
    tried.runs += 1
    tried.stopped += code != 0
    tried.went_on += code == 0
    try:
        history.check()
    except (UnseenError, AssertionError):
        if not may_be_noticed:
            raise
        tried.noticed_later += 1
        return
    if may_be_noticed and (history.found.unsound or history.found.told):
        # Named by an examination, or missed by the audit log at the next start.
        tried.noticed_later += 1
        return
    tried.found.add(history.found)
