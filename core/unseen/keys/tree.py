"""A key for every row, which can be taken away row by row: a tree of keys, from which branches are cut.

Held by the server's key ring. Whoever holds a node can compute every key below it and none beside or above it.

    root ─┬─ 0 ─┬─ 00 ...        children of a node = the two halves of a 64-byte BLAKE2b, keyed with the node
          │     └─ 01 ...        leaf number s      = the key of the row with serial s
          └─ 1 ─── ...

    cut serial 01:               root is forgotten; kept are 00 and 1, the siblings along the path

The construction is Goldreich, Goldwasser and Micali, "How to construct random functions" (J. ACM 33, 1986, section 3);
that the siblings of a path give every value but one is the puncturable function of Boneh and Waters (ASIACRYPT 2013,
section 3.1) and of Kiayias and others (CCS 2013, section 4). A row's serial is never used twice, so a cut is for good.

A tree is kept as its cover: the fewest nodes that together hold every serial which was not cut. Nodes are numbered as
in a heap: the root is 1, the children of n are 2n and 2n + 1, the leaf of serial s is 2**60 + s.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from unseen.envelope import KEY_BYTES
from unseen.errors import SealBroken

DEPTH = 60
"""Serials have 60 bits: room for runs that start at random places (see serials.py), and each fits SQLite's integers."""
SERIALS = 1 << DEPTH
NODE_BYTES = 8 + KEY_BYTES
"""What one node of a cover takes: its number and its key."""

_PURPOSE = b"unseen/key-tree"


@dataclass(frozen=True)
class KeyTree:
    """The nodes of a cover, by the first serial that each holds. Never changed: cutting gives another tree."""

    numbers: array[int]
    keys: bytes

    @classmethod
    def grown_from(cls, root: bytes) -> KeyTree:
        """The whole tree of a 32-byte root."""
        return cls(array("Q", [1]), root)

    @classmethod
    def from_nodes(cls, numbers: array[int], keys: bytes) -> KeyTree:
        """A stored cover; SealBroken unless its nodes are in order, apart, and each has a key."""
        after = 0
        for number in numbers:
            first, next_after = span(number) if 1 <= number < 2 * SERIALS else (-1, 0)
            if first < after:
                raise SealBroken("the key ring holds nodes that are no cover of a tree; restore it from a copy")
            after = next_after
        if len(keys) != len(numbers) * KEY_BYTES:
            raise SealBroken("the key ring holds another number of keys than of nodes; restore it from a copy")
        return cls(numbers, keys)

    def holds(self, serial: int) -> bool:
        """Whether the key of this serial can still be computed."""
        return self.find(serial) is not None

    def without(self, serials: Iterable[int]) -> KeyTree:
        """This tree with serials cut from it: none of their keys can be computed from what is left."""
        doomed = sorted(set(serials))
        numbers, keys = array("Q"), bytearray()
        kept_until = done = 0
        while done < len(doomed):
            place = self.find(doomed[done])
            if place is None:  # was cut before
                done += 1
                continue
            numbers += self.numbers[kept_until:place]
            keys += self.keys[kept_until * KEY_BYTES : place * KEY_BYTES]
            number = self.numbers[place]
            within = bisect_left(doomed, span(number)[1], lo=done)
            _cut(number, self.key_at(place), doomed[done:within], numbers, keys)
            kept_until, done = place + 1, within
        numbers += self.numbers[kept_until:]
        keys += self.keys[kept_until * KEY_BYTES :]
        return KeyTree(numbers, bytes(keys))

    def find(self, serial: int) -> int | None:
        """The place of the node of the cover that holds a serial; None when it was cut."""
        place = self.first_node_after(serial) - 1
        return place if place >= 0 and serial < span(self.numbers[place])[1] else None

    def first_node_after(self, serial: int) -> int:
        """The place of the first node of the cover that begins after a serial."""
        return bisect_right(self.numbers, serial, key=_first)

    def key_at(self, place: int) -> bytes:
        """The key of a node of the cover."""
        return self.keys[place * KEY_BYTES : (place + 1) * KEY_BYTES]


def _cut(number: int, key: bytes, doomed: Sequence[int], numbers: array[int], keys: bytearray) -> None:
    """Append what is left of one node without some of its serials, in order."""
    if not doomed:
        numbers.append(number)
        keys += key
    elif number < SERIALS:  # a leaf that is doomed leaves nothing
        both = children(key)
        middle = bisect_left(doomed, _first(2 * number + 1))
        _cut(2 * number, both[:KEY_BYTES], doomed[:middle], numbers, keys)
        _cut(2 * number + 1, both[KEY_BYTES:], doomed[middle:], numbers, keys)


def children(key: bytes) -> bytes:
    """The keys of a node's two children, one after the other."""
    return blake2b(key=key, digest_size=2 * KEY_BYTES, person=_PURPOSE).digest()


def height(number: int) -> int:
    """How many levels a node stands above the leaves."""
    return DEPTH + 1 - number.bit_length()


def _first(number: int) -> int:
    """The lowest serial below a node."""
    return (number << height(number)) - SERIALS


def span(number: int) -> tuple[int, int]:
    """The serials below a node: the first, and the first that is not any more."""
    levels = height(number)
    return (number << levels) - SERIALS, (number + 1 << levels) - SERIALS
