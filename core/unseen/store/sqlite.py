"""The embedded store: one SQLite file in the data directory. The server holds it.

A stolen file gives names, counts, sizes, epochs and pseudonymous row ids; vectors and records are ciphertext.
"""

from __future__ import annotations

from pathlib import Path

from unseen.store.durable import DurableStore
from unseen.store.sqlite_file import SqliteFile

FILE_NAME = "unseen.sqlite"


class SqliteStore(DurableStore):
    """A ``Store`` in ``directory``, sealed under ``master_key`` (32 bytes)."""

    def __init__(self, directory: Path, master_key: bytes) -> None:
        """Open or make the store; InvalidConfiguration for a file that is not ours, WrongKey before any write."""
        super().__init__(SqliteFile(directory / FILE_NAME), master_key)
