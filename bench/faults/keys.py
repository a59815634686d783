"""The master key is another one, or a rotation stopped half-way: a store opens with one key, and with no other.

Nothing is written when it does not open. A kill at any call of a rotation leaves a ring under the old key or the new.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from bench.faults.history import Found, History
from bench.faults.life import MASTER_KEY_BYTES, MASTER_KEYS, rings
from bench.faults.plan import ROTATE
from bench.faults.system_calls import CALLS, FAULTS, THREADS, calls_of, life_with_fault
from bench.folders import contents
from unseen.errors import WrongKey
from unseen.keys.provider import HeldKey
from unseen.keys.ring import KeyRings
from unseen.store.sqlite import SqliteStore

KEY_BITS = 256


@dataclass
class WrongKeys:
    """What became of openings with a key that is not the one."""

    tried: int = 0
    refused: int = 0
    opened: int = 0
    wrote: int = 0
    """A file changed although the store did not open."""


@dataclass
class HalfRotated:
    """What became of rotations that were stopped."""

    runs: int = 0
    old: int = 0
    new: int = 0
    neither: int = 0
    both: int = 0
    found: Found = field(default_factory=Found)

    def fields(self) -> dict[str, object]:
        """As JSON has it."""
        return vars(self) | {"found": self.found.fields()}


def wrong_keys(start: History, folder: Path, bits: Iterable[int] = range(KEY_BITS)) -> WrongKeys:
    """Master keys that differ from the right one in a single bit."""
    result = WrongKeys()
    history = start.copied_to(folder / "wrong-key")
    before = contents(history.folder)
    for bit in bits:
        key = bytearray(MASTER_KEY_BYTES[history.master_key])
        key[bit // 8] ^= 1 << bit % 8
        result.tried += 1
        try:
            SqliteStore(history.folder / "data", KeyRings(history.folder / "ring", HeldKey("file", bytes(key)))).close()
            result.opened += 1
        except WrongKey:
            result.refused += 1
        result.wrote += contents(history.folder) != before
    return result


def half_rotated(start: History, folder: Path, every: int = 1) -> HalfRotated:
    """A rotation of the master key, failed and killed at each of its calls to the disk."""
    result = HalfRotated()
    calls = calls_of(start.copied_to(folder / "run"), (ROTATE,), THREADS[0], CALLS)
    for fault in (FAULTS["EIO"], FAULTS["kill"]):
        for name, k in calls[::every]:
            history = start.copied_to(folder / "run")
            life_with_fault(history, (ROTATE,), THREADS[0], name, k, fault)
            opening = [key for key in range(len(MASTER_KEYS)) if _opens(history, key)]
            result.runs += 1
            result.old += opening == [start.master_key]
            result.new += opening == [1 - start.master_key]
            result.neither += not opening
            result.both += len(opening) > 1
            history.check()
            result.found.add(history.found)
            shutil.rmtree(history.folder)
    return result


def _opens(history: History, key: int) -> bool:
    try:
        SqliteStore(history.folder / "data", rings(history.folder, key)).close()
    except WrongKey:
        return False
    return True
