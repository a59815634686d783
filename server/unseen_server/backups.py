"""Backups of a running server: everything it keeps is copied as it is at one moment, then read away from the copy.

The copy lies in the data directory for as long as it is fetched, as sealed as the data. One at a time: each needs as
much room as the store. What a kill leaves of one is removed at the next start.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from unseen.errors import LimitExceeded, ServerBusy
from unseen.store import backup
from unseen.store.durable import DurableStore
from unseen.store.sqlite import FILE_NAME
from unseen_server import limits
from unseen_server.audit import Audit

PREFIX, SUFFIX = "backup-", ".unfinished"
"""Of the folder that a copy lies in."""


@dataclass(frozen=True)
class Backup:
    """A copy that is ready to be read, once. Whoever began it closes it."""

    store_uid: bytes
    size_bytes: int
    chunks: Iterator[bytes]
    close: Callable[[], None]
    """Remove the copy, and let another one be begun."""


class Backups:
    """Makes them. Safe to call from several threads."""

    def __init__(self, data: Path, store: DurableStore, audit: Audit) -> None:
        self._data = data
        self._store = store
        self._audit = audit
        self._busy = threading.Lock()
        self._closing = threading.Event()
        forget_unfinished(data)

    def begin(self) -> Backup:
        """Copy what there is now; ServerBusy while there is another copy, LimitExceeded without room for one."""
        if not self._busy.acquire(blocking=False):
            raise ServerBusy("another backup is being fetched; wait for it", retry_after_s=limits.RETRY_BACKUP_S)
        with ExitStack() as undone:
            undone.callback(self._busy.release)
            self._require_room()
            try:
                folder = Path(tempfile.mkdtemp(prefix=PREFIX, suffix=SUFFIX, dir=self._data))
                undone.callback(shutil.rmtree, folder, ignore_errors=True)
                self._store.snapshot(folder / FILE_NAME, self._go_on)
                self._audit.copy_to(folder / backup.AUDIT_FOLDER)  # after the store: no effect without its leaf
            except OSError as error:
                raise LimitExceeded(
                    f"the backup cannot be written ({error.strerror}); make room on its disk"
                ) from error
            chunks = backup.pack(folder, self._store.uid, self._store.ring)
            return Backup(self._store.uid, backup.size_of(folder), chunks, undone.pop_all().close)

    def close(self) -> None:
        """Let a copy that is being made end at its next part: nobody waits for it while the server stops."""
        self._closing.set()

    def _go_on(self) -> None:
        if self._closing.is_set():
            raise ServerBusy("the server is stopping; fetch the backup when it runs again")

    def _require_room(self) -> None:
        needed = self._store.size_bytes + sum(log.now.end for log in self._audit.logs()) + limits.BACKUP_SPARE_BYTES
        free = shutil.disk_usage(self._data).free
        if free < needed:
            raise LimitExceeded(
                f"a backup needs {needed >> 20} MiB on the disk of the data directory while it is fetched, "
                f"{free >> 20} are free; make room"
            )


def forget_unfinished(data: Path) -> None:
    """Remove what a kill left of backups."""
    for folder in data.glob(f"{PREFIX}*{SUFFIX}"):
        shutil.rmtree(folder, ignore_errors=True)
