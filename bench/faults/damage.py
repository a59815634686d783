"""Bytes on the disk become other bytes: flipped, torn, cut, left as they were. What is damaged is never served.

A damage is *refused* when the store does not open or stops, *named* when ``unseen doctor`` tells of it, or the start of
changes that are missing. One that nobody notices must be *harmless*: everything that the store answers is as before.
*Until examined* is what only a write that the disk took and never made may come to. Anything else is a fault of ours.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bench.faults.history import History
from bench.faults.life import rings
from unseen.errors import UnseenError
from unseen.store.sqlite import FILE_NAME, SqliteStore
from unseen.store.sqlite_examination import examine_file
from unseen_server.audit import AUDIT_FOLDER, Audit
from unseen_server.missing_changes import count_missing_changes
from unseen_server.signing import open_signing_key


@dataclass
class Damaged:
    """What became of damages of one kind."""

    tried: int = 0
    refused: int = 0
    """The store does not open, or stops when the damaged place is read."""
    named: int = 0
    """It opens, and an examination names the damage, or the start tells of changes that are missing."""
    harmless: int = 0
    """Nobody notices, and every answer is as before: a hole, a copy, what can be made anew."""
    until_examined: int = 0
    """An answer is another one than before, and nobody notices but an examination."""
    served: int = 0
    """An answer is another one than before, or a row is missing in silence, and no examination helps: a fault."""


class Subject:
    """A closed store that is damaged again and again, always from the same whole one."""

    def __init__(self, history: History, folder: Path) -> None:
        self._whole = history.folder
        self._master_key = history.master_key
        self._folder = folder
        shutil.copytree(self._whole, folder)
        self.answers = self._answers()
        self.mend()

    def file(self, name: str) -> Path:
        """A file of the store, to damage."""
        return self._folder / name

    def judge(self, result: Damaged) -> None:
        """Look what a store makes of the damage, then make it whole again."""
        result.tried += 1
        report = None
        with suppress(UnseenError):
            report = examine_file(self._folder / "data" / FILE_NAME, rings(self._folder, self._master_key))
        answers: tuple[int, object] | None = None
        with suppress(UnseenError):
            answers = self._answers()
        is_named = report is None or bool(report.findings)
        if answers is None:
            result.refused += 1
        elif answers[0]:  # the next start says so, and writes it down
            result.named += 1
        elif answers != self.answers:
            result.until_examined += is_named
            result.served += not is_named
        elif is_named:
            result.named += 1
        else:
            result.harmless += 1
        self.mend()

    def mend(self) -> None:
        """Make it whole again."""
        shutil.rmtree(self._folder)
        shutil.copytree(self._whole, self._folder)

    def _answers(self) -> tuple[int, object]:
        """How many changes a start says are missing, and everything that store and audit log tell."""
        store = SqliteStore(self._folder / "data", rings(self._folder, self._master_key))
        try:
            audit = Audit(self._folder / "data" / AUDIT_FOLDER, store, open_signing_key(store))
            try:
                missing = count_missing_changes(store, audit)
                for log in audit.logs():
                    log.verify()
                return missing, (_answers_of(store), [list(log.leaves()) for log in audit.logs()])
            finally:
                audit.close()
        finally:
            store.close()


def _answers_of(store: SqliteStore) -> object:
    collections = store.collections()
    return (
        store.uid,
        collections,
        [fact.body for fact in store.facts("fault")],
        [
            (
                [(page.slots.tolist(), page.vectors.tolist()) for page in store.vectors(stored.info.uid)],
                list(store.changes(stored.info.uid, 0, 1 << 60, 1 << 20, 1 << 30)),
                list(store.changes(stored.info.uid, 1, 1 << 60, 1 << 20, 1 << 30)),
                store.extents(stored.info.uid),
            )
            for stored in collections
        ],
    )
