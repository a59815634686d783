"""The embedded store: one SQLite file in the data directory. The server holds it.

A stolen file gives names, counts, sizes, epochs and pseudonymous row ids; vectors and records are ciphertext.
"""

from __future__ import annotations

from pathlib import Path

from unseen.keys.ring import KeyRings
from unseen.store.durable import DurableStore
from unseen.store.sqlite_file import SqliteFile

FILE_NAME = "unseen.sqlite"


class SqliteStore(DurableStore):
    """A ``Store`` in ``directory``, whose keys are in a ring of ``rings``, which lies elsewhere."""

    def __init__(self, directory: Path, rings: KeyRings) -> None:
        """Open or make the store; InvalidConfiguration, WrongKey, KeyServiceFailed before any write."""
        super().__init__(SqliteFile(directory / FILE_NAME), rings)
