"""The clock of the machine is wrong: ten years early, ten years late, or jumping. A store asks no clock."""

from __future__ import annotations

import shutil
from pathlib import Path

from bench.faults.history import Found, History
from bench.faults.plan import OFTEN

CLOCKS = {"ten years early": "-3650d", "ten years late": "+3650d", "jumping": "+0 x500"}
STEPS = 20


def wrong_clocks(start: History, folder: Path, steps: int = STEPS) -> dict[str, Found]:
    """A life under each clock, then one under the right one, on the same store."""
    found = {}
    for name, offset in CLOCKS.items():
        history = start.copied_to(folder / "run")
        for before in (["faketime", "-f", offset], []):
            with history.life(7, steps, OFTEN, before) as process:
                process.wait()
            history.check()
        found[name] = history.found
        shutil.rmtree(folder / "run")
    return found
