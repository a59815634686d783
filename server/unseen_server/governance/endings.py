"""What ends when, in one collection: consents that have an end, and rows that the policy keeps for so long only.

A heap, so that asking before every scan whether something is due costs nothing.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass

NEVER = 1 << 62


@dataclass(frozen=True, order=True)
class Ending:
    """One moment, and what ends then: a consent, or the rows that were enrolled in a span of epochs."""

    at: int
    record_id: bytes = b""
    first_epoch: int = 0
    """The span is ``first_epoch`` to ``end_epoch - 1``; empty for a consent."""
    end_epoch: int = 0


class Endings:
    """Changed under the collection's lock; ``next_at`` may be read by any thread at any time."""

    def __init__(self, endings: Iterable[Ending] = ()) -> None:
        self._heap = list(endings)
        heapq.heapify(self._heap)
        self.next_at = NEVER
        """The first moment at which something is due."""
        self._look()

    def add(self, ending: Ending) -> None:
        """One more."""
        heapq.heappush(self._heap, ending)
        self._look()

    def due(self, now: int) -> list[Ending]:
        """What has ended by now, in order; it stays until ``done``."""
        return sorted(ending for ending in self._heap if ending.at <= now)

    def done(self, now: int) -> None:
        """All that was due is seen to."""
        while self._heap and self._heap[0].at <= now:
            heapq.heappop(self._heap)
        self._look()

    def _look(self) -> None:
        self.next_at = self._heap[0].at if self._heap else NEVER
