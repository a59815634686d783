"""The clock of the machine is wrong: ten years early, ten years late, or jumping. A store asks no clock."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bench.faults.history import Found, History
from bench.faults.life import rings
from bench.faults.plan import OFTEN
from unseen.audit.leaf import leaf_fields
from unseen.store.sqlite import SqliteStore
from unseen_server.audit import AUDIT_FOLDER, Audit
from unseen_server.signing import open_signing_key

CLOCKS = {"ten years early": "-3650d", "ten years late": "+3650d", "jumping": "+0 x5000000"}
"""The last one goes five million times as fast: every step is days after the one before, on any machine."""
STEPS = 20
DAY_S = 86400


@dataclass
class Clocked:
    """What became of lives under a wrong clock, and under the right one afterwards."""

    found: Found = field(default_factory=Found)
    furthest_days: float = 0.0
    """How far from our time a leaf of the audit log is: that the clock was wrong indeed."""

    def fields(self) -> dict[str, object]:
        """As JSON has it."""
        return vars(self) | {"found": self.found.fields()}


def wrong_clocks(start: History, folder: Path, steps: int = STEPS) -> dict[str, Clocked]:
    """A life under each clock, then one under the right one, on the same store."""
    result = {}
    for name, offset in CLOCKS.items():
        history = start.copied_to(folder / "run")
        for before in (["faketime", "-f", offset], []):
            history.live_to_the_end(7, steps, OFTEN, before)
            history.check()
        furthest_s = max(abs(time - datetime.now(UTC)).total_seconds() for time in _times(history))
        result[name] = Clocked(history.found, round(furthest_s / DAY_S, 1))
        shutil.rmtree(folder / "run")
    return result


def _times(history: History) -> Iterator[datetime]:
    store = SqliteStore(history.folder / "data", rings(history.folder, history.master_key))
    try:
        audit = Audit(history.folder / "data" / AUDIT_FOLDER, store, open_signing_key(store))
        try:
            for leaf in audit.log_of("").leaves():
                yield datetime.fromisoformat(str(leaf_fields(leaf)["time"]))
        finally:
            audit.close()
    finally:
        store.close()
