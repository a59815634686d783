"""Where to begin to read an audit log: for every so many leaves, a place in its file and how late it had been.

In memory, beside an open log. Found by reading once, when somebody first wants to read from the middle; never on disk.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass

LANDMARK_LEAVES = 1024
"""Leaves between two: a fiftieth of a second to read."""


@dataclass(frozen=True)
class Landmark:
    """A place between two leaves."""

    index: int
    """Of the leaf behind it."""
    offset: int
    """In the file."""
    latest: str
    """The latest time of any leaf before it, whatever the clock did since."""


class Landmarks:
    """From the beginning of the file on; added by one thread at a time, read by any."""

    def __init__(self, beginning: int) -> None:
        self._all = [Landmark(0, beginning, "")]

    @property
    def last(self) -> Landmark:
        return self._all[-1]

    def add(self, landmark: Landmark) -> None:
        """Add the next one."""
        self._all.append(landmark)

    def before(self, index: int) -> Landmark:
        """The last one that has no leaf from ``index`` on before it."""
        return self._all[bisect_right(self._all, index, key=lambda one: one.index) - 1]

    def before_time(self, time: str) -> Landmark:
        """The last one that has no leaf of this time or a later one before it."""
        return self._all[max(1, bisect_left(self._all, time, key=lambda one: one.latest)) - 1]
