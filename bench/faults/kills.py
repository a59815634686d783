"""kill -9 at random moments of enrolments, erasures, backups, renewed keys and rotated master keys."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from random import Random

from bench.faults.history import Found, History

LONGEST_LIFE_S = 0.5
"""From before the store is opened. A step takes a few milliseconds, renewed keys and a backup some more."""


LIVES_OF_A_STORE = 50
"""Then a new one is begun: being made is killed as well, and looking at all of it stays quick."""


def kill(folder: Path, kills: int) -> Found:
    """So many lives, each cut short; the store is checked after each."""
    found, random = Found(), Random(1)
    for first in range(0, kills, LIVES_OF_A_STORE):
        history = History(folder / str(first))
        history.folder.mkdir()
        for number in range(first, min(first + LIVES_OF_A_STORE, kills)):
            with history.life(seed=number) as process:
                time.sleep(random.uniform(0, LONGEST_LIFE_S))
                process.kill()
            history.check()
        found.add(history.found)
        shutil.rmtree(history.folder)
    return found
