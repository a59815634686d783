"""Looks for many byte strings in many bytes, at every position, in one pass. Demo only.

A needle of eight bytes or more is found through its first eight, read as a number: the numbers of a haystack are
compared with all of the needles' at once, and each agreement is then checked to the last byte. Shorter needles are few
and searched one by one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

KEY_BYTES = 8
SHORTEST_NEEDLE = 6
"""Five bytes occur by chance in the bytes of one in some hundred thousand demos, shorter ones in more of them."""


@dataclass(frozen=True)
class Needle:
    """A byte string that a haystack should or should not hold."""

    kind: str
    """What it is a piece of, for the table: "captions"."""
    label: str
    """Which one, for the person who must find out why."""
    data: bytes

    def __post_init__(self) -> None:
        if len(self.data) < SHORTEST_NEEDLE:
            raise ValueError(f"a needle of {len(self.data)} bytes would be found by chance; give {SHORTEST_NEEDLE}")


class Needles:
    """Needles prepared for searching."""

    def __init__(self, needles: Iterable[Needle]) -> None:
        self._short: list[Needle] = []
        by_key: defaultdict[int, list[Needle]] = defaultdict(list)
        for needle in needles:
            if len(needle.data) < KEY_BYTES:
                self._short.append(needle)
            else:
                by_key[int.from_bytes(needle.data[:KEY_BYTES], "little")].append(needle)
        self._by_key = dict(by_key)
        self._keys = np.array(sorted(by_key), np.uint64)

    def found_in(self, haystack: bytes) -> set[Needle]:
        """The needles that the haystack holds anywhere."""
        found = {needle for needle in self._short if needle.data in haystack}
        for at, key in self._candidates(haystack):
            found.update(n for n in self._by_key[key] if haystack.startswith(n.data, at))
        return found

    def _candidates(self, haystack: bytes) -> Iterable[tuple[int, int]]:
        """Every position whose next eight bytes begin a needle, with those bytes as a number."""
        for shift in range(KEY_BYTES if len(self._keys) else 0):
            numbers = np.frombuffer(
                haystack, "<u8", max(0, (len(haystack) - shift) // KEY_BYTES), min(shift, len(haystack))
            )
            for index in np.flatnonzero(self._known(numbers)):
                yield shift + KEY_BYTES * int(index), int(numbers[index])

    def _known(self, numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
        place = np.minimum(np.searchsorted(self._keys, numbers), len(self._keys) - 1)
        return np.asarray(self._keys[place] == numbers, np.bool_)
