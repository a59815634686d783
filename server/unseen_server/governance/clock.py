"""What time it is, for everything that ends. It never goes back, and it does not believe a leap ahead.

The system's clock can be wrong by years; the steady clock of the machine cannot. So they are held against each other:

    behind what was seen before    time goes on from there by the steady clock: nothing that ended is revived
    ahead by more than LEAP_S      ClockUncertain until it is set right: nothing is scored, nothing is lost
    at start, behind               as above; the highest time seen is a fact of the store
    at start, ahead by years       refused: set the clock, or say that it is right (--accept-clock)
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable

from unseen.errors import ClockUncertain, InvalidConfiguration
from unseen.governance.moments import DAY_S, moment_text
from unseen.store.interface import FactStore

KIND = "clock"
LEAP_S = DAY_S
"""Longer than any machine sleeps without its steady clock noticing, shorter than any retention."""
MOST_DOWNTIME_S = 400 * DAY_S
"""A server that was off for longer is started by somebody who can look at a clock."""
WRITTEN_EVERY_S = 3600
"""How much of the highest time seen may be lost by a restart with a clock that was set back."""


def steady_s() -> float:
    """Seconds of the machine's own clock, time asleep included where the system counts it."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Clock:
    """Safe to call from several threads."""

    def __init__(
        self,
        store: FactStore,
        wall_s: Callable[[], float] = time.time,
        steady_s: Callable[[], float] = steady_s,
        accept: bool = False,
    ) -> None:
        """Start from the highest time that the store has seen; InvalidConfiguration when now is years after it."""
        self._store = store
        self._wall_s = wall_s
        self._steady_s = steady_s
        self._lock = threading.Lock()
        self._written = max((int(json.loads(fact.body)["at"]) for fact in store.facts(KIND)), default=0)
        wall = int(wall_s())
        if self._written and wall > self._written + MOST_DOWNTIME_S and not accept:
            raise InvalidConfiguration(
                f"the clock says {moment_text(wall)}, this store was last used at {moment_text(self._written)}: if the "
                "clock is wrong, set it; if it is right, start once with --accept-clock"
            )
        self._seen, self._seen_at = float(max(wall, self._written)), steady_s()

    def now(self) -> int:
        """Seconds since 1970, never fewer than before; ClockUncertain when the system's clock leapt ahead."""
        with self._lock:
            steady = self._steady_s()
            expected = self._seen + (steady - self._seen_at)
            wall = self._wall_s()
            if wall > expected + LEAP_S:
                raise ClockUncertain(
                    "the server's clock is ahead of where it should be by more than a day, so it cannot tell what has "
                    "ended; set the clock right, or restart the server if it is"
                )
            self._seen, self._seen_at = max(wall, expected), steady
            return int(self._seen)

    def write_down(self) -> None:
        """Make what was seen last, when enough has passed since that was done."""
        now = self.now()
        if now - self._written >= WRITTEN_EVERY_S:
            self._store.append_fact(KIND, b"", json.dumps({"at": now}).encode())
            self._written = now

    def now_or_last(self) -> int:
        """The same where the clock is certain, else the last moment that was: for what is done already and is dated."""
        try:
            return self.now()
        except ClockUncertain:
            with self._lock:
                return int(self._seen)
