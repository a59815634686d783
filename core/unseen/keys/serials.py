"""Serials of rows: numbers that name a row's key and are never given twice, also not in a copy of the store.

A store that is opened starts a run at a random place and counts on from there. A counter that lies with the data would
go back when a backup is restored: a new row would then get the serial, and with it the key, of a row that only the
lost part of the history knew, and erasing one would take the other with it. The store keeps the places of its own
runs, so that no two of them are the same; two copies of one store meet with a chance of one in 2**36 per run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from unseen.entropy import random_bytes
from unseen.keys.tree import DEPTH

RUN_BITS = 24
"""Sixteen million rows to a run: neighbours in a run share their path in the tree."""
_RUN_NUMBER_BYTES = 8


class Serials:
    """Gives out serials, one change of the store at a time."""

    def __init__(self) -> None:
        self._next = self._after = 0
        self._is_noted = True

    @contextmanager
    def change(self) -> Iterator[None]:
        """Around one transaction: when it is undone, so is the note of a run that began in it; another one begins."""
        try:
            yield
            self._is_noted = True
        finally:
            if not self._is_noted:
                self._next = self._after = 0
                self._is_noted = True

    def take(self, count: int, claim: Callable[[int], bool]) -> list[int]:
        """``count`` serials for rows of one change; ``claim`` notes a run's first serial and says if it was free."""
        taken: list[int] = []
        while len(taken) < count:
            if self._next == self._after:
                self._start_run(claim)
            until = min(self._after, self._next + count - len(taken))
            taken += range(self._next, until)
            self._next = until
        return taken

    def _start_run(self, claim: Callable[[int], bool]) -> None:
        while True:
            number = int.from_bytes(random_bytes(_RUN_NUMBER_BYTES), "little") >> (64 - DEPTH + RUN_BITS)
            first = number << RUN_BITS
            if claim(first):
                self._next, self._after = first, first + (1 << RUN_BITS)
                self._is_noted = False
                return
