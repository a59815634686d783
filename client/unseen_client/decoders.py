"""As many decoders as pictures are worked on at once, lent out one at a time.

Runs where the images are. Holds child processes; each starts at its first picture.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from queue import LifoQueue

from unseen_client.decode import Decoder

MOST_WORKERS = 8
"""More pictures at once than this fill memory (a child may take 512 MiB for one) sooner than they save time."""


class Decoders:
    """A fixed number of decoders. Safe for several threads, which wait for a free one."""

    def __init__(self, count: int | None, longest_side_px: int) -> None:
        """count: None takes the cores, at most MOST_WORKERS."""
        self.count = workers(count)
        self._resting: LifoQueue[Decoder] = LifoQueue()
        for _ in range(self.count):
            self._resting.put(Decoder(longest_side_px=longest_side_px))

    @contextmanager
    def one(self) -> Iterator[Decoder]:
        """Lend a decoder for the length of a block."""
        decoder = self._resting.get()
        try:
            yield decoder
        finally:
            self._resting.put(decoder)

    def close(self) -> None:
        """End the child processes, once nobody uses them."""
        resting = [self._resting.get() for _ in range(self.count)]
        for decoder in resting:
            decoder.close()
            self._resting.put(decoder)


def workers(count: int | None) -> int:
    """Return how many pictures to work on at once: None takes the cores that this process may use."""
    return max(1, min(count or _cores(), MOST_WORKERS))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
