"""Key rings for tests that open stores: in a folder beside the data, under a master key in memory."""

from __future__ import annotations

from pathlib import Path

from unseen.keys.provider import HeldKey
from unseen.keys.ring import KeyRings

MASTER_KEY = bytes(range(32))


def rings_beside(data: Path, master_key: bytes = MASTER_KEY) -> KeyRings:
    """The rings of a data directory: ``data.ring``."""
    return KeyRings(data.with_name(f"{data.name}.ring"), HeldKey("file", master_key))
