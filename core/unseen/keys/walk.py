"""From a tree to the keys of many rows: what a start computes for every row that there is.

Held while rows are opened or sealed, then dropped: it remembers nodes that the tree itself does not keep. Keys come in
groups of neighbours, so that a row costs about one hash, in whatever order rows ask, as long as their groups fit.
"""

from __future__ import annotations

from collections.abc import Iterable

from unseen.envelope import KEY_BYTES
from unseen.keys.tree import DEPTH, KeyTree, children, height, span

GROUP_HEIGHT = 5
"""Thirty-two rows: where neighbours come together one expansion serves all; one alone costs no more than its path."""
MOST_GROUPS = 1 << 15
"""A million rows in any order; 38 MiB."""
_GROUP_ROWS = 1 << GROUP_HEIGHT
_CUT = bytes(KEY_BYTES)
"""Stands for the key of a serial that was cut."""


class KeyWalk:
    """Computes the keys of serials from one tree. For one thread."""

    def __init__(self, tree: KeyTree) -> None:
        self._tree = tree
        self._groups: dict[int, bytes] = {}
        self._path = [b""] * (DEPTH + 1)
        """By height: both children of the node that the path to the last group has there."""
        self._path_group, self._path_span = 0, (0, 0)

    def keys(self, serials: Iterable[int]) -> list[bytes | None]:
        """The key of each serial, None for one that was cut."""
        groups, expand = self._groups, self._expand
        found: list[bytes | None] = []
        for serial in serials:
            number = serial >> GROUP_HEIGHT
            group = groups.get(number) or expand(number)
            start = serial % _GROUP_ROWS * KEY_BYTES
            key = group[start : start + KEY_BYTES]
            found.append(None if key == _CUT else key)
        return found

    def _expand(self, number: int) -> bytes:
        if len(self._groups) >= MOST_GROUPS:
            self._groups.clear()
        first = number << GROUP_HEIGHT
        place = self._tree.find(first)
        if place is not None and height(self._tree.numbers[place]) >= GROUP_HEIGHT:
            group = _leaves(self._group_key(number, place), GROUP_HEIGHT)
        else:
            group = self._what_is_left(first)
        self._groups[number] = group
        return group

    def _group_key(self, number: int, place: int) -> bytes:
        """The node above a whole group, from where its path leaves that of the last one."""
        first, after = self._path_span
        serial = number << GROUP_HEIGHT
        if first <= serial < after and number != self._path_group:
            level = (serial ^ self._path_group << GROUP_HEIGHT).bit_length() - 1
            key = _half(self._path[level + 1], serial >> level)
        else:
            node = self._tree.numbers[place]
            level, key = height(node), self._tree.key_at(place)
            self._path_span = span(node)
        while level > GROUP_HEIGHT:
            both = self._path[level] = children(key)
            level -= 1
            key = _half(both, serial >> level)
        self._path_group = number
        return key

    def _what_is_left(self, first: int) -> bytes:
        """A group from which serials were cut: the cover has small nodes of its own for the others, or none."""
        group = bytearray(_GROUP_ROWS * KEY_BYTES)
        place = self._tree.first_node_after(first - 1)
        while place < len(self._tree.numbers):
            node = self._tree.numbers[place]
            start = (span(node)[0] - first) * KEY_BYTES
            if start >= len(group):
                break
            leaves = _leaves(self._tree.key_at(place), height(node))
            group[start : start + len(leaves)] = leaves
            place += 1
        return bytes(group)


def _leaves(key: bytes, levels: int) -> bytes:
    """Every leaf below a node, in order."""
    row = key
    for _ in range(levels):
        row = b"".join([children(row[start : start + KEY_BYTES]) for start in range(0, len(row), KEY_BYTES)])
    return row


def _half(both: bytes, bit: int) -> bytes:
    return both[KEY_BYTES:] if bit & 1 else both[:KEY_BYTES]
