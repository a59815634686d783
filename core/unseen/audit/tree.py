"""A Merkle tree that only grows: its hashes, its right edge, and the proofs that it can give.

The server keeps it, auditors and devices check it (``proof``). A node's hash says nothing of what lies below it as long
as the leaves hold something that cannot be guessed.

    level 2            6                    nodes that are whole never change again: they are kept in the order in
                   ┌───┴───┐                which they were completed (drawn: their places), so that the file that
    level 1        2       5      9         holds them is append-only too
                 ┌─┴─┐   ┌─┴─┐  ┌─┴─┐
    level 0      0   1   3   4  7   8  10
    leaf         0   1   2   3  4   5   6

Source: RFC 9162 (and RFC 6962), section 2.1, with SHA-256.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()
"""The root of a tree without leaves (RFC 9162, section 2.1.1)."""

Node = Callable[[int, int], bytes]
"""Gives the hash of the whole subtree at (level, index): the leaves index * 2**level and the 2**level - 1 after it."""


def leaf_hash(leaf: bytes) -> bytes:
    """Hash of one leaf (RFC 9162, section 2.1.1): another first byte than a node's, so that neither passes as one."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of two subtrees side by side (RFC 9162, section 2.1.1)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class RightEdge:
    """The whole subtrees from left to right, one for each bit of the size: enough to append and to give the root."""

    def __init__(self, size: int = 0, subtrees: list[bytes] | None = None) -> None:
        self.size = size
        self._subtrees = subtrees or []
        if size < 0 or len(self._subtrees) != size.bit_count():
            raise ValueError(
                f"a tree of {size} leaves has {size.bit_count()} whole subtrees, got {len(self._subtrees)}"
            )

    @property
    def subtrees(self) -> list[bytes]:
        """The hashes from left to right."""
        return list(self._subtrees)

    @staticmethod
    def read(size: int, node: Node) -> RightEdge:
        """The right edge of a tree whose nodes are kept somewhere."""
        return RightEdge(size, [node(level, index) for level, index in _whole_subtrees(0, size)])

    def append(self, leaf: bytes) -> list[bytes]:
        """Take in a leaf's hash; the nodes that it completes, itself first: at most log2(size) + 1."""
        completed = [leaf]
        full_below = self.size
        while full_below & 1:
            completed.append(node_hash(self._subtrees.pop(), completed[-1]))
            full_below >>= 1
        self._subtrees.append(completed[-1])
        self.size += 1
        return completed

    def root(self) -> bytes:
        """The tree's hash."""
        return _joined(self._subtrees)


def node_count(size: int) -> int:
    """Whole nodes in a tree of so many leaves."""
    return 2 * size - size.bit_count()


def node_place(level: int, index: int) -> int:
    """Where a whole node stands among all, in the order in which they were completed."""
    last_leaf = ((index + 1) << level) - 1
    return node_count(last_leaf) + level


def root(size: int, node: Node) -> bytes:
    """The hash of the tree that had so many leaves."""
    return RightEdge.read(size, node).root()


def inclusion_proof(index: int, size: int, node: Node) -> tuple[bytes, ...]:
    """The siblings on the way from a leaf to the root of the tree of ``size`` leaves (RFC 9162, section 2.1.3.1)."""
    if not 0 <= index < size:
        raise ValueError(f"there is no leaf {index} among {size}")
    return tuple(_siblings(index, 0, size, node))


def _siblings(index: int, start: int, stop: int, node: Node) -> list[bytes]:
    if stop - start == 1:
        return []
    middle = start + _split(stop - start)
    if index < middle:
        return [*_siblings(index, start, middle, node), _range_hash(middle, stop, node)]
    return [*_siblings(index, middle, stop, node), _range_hash(start, middle, node)]


def consistency_proof(old_size: int, new_size: int, node: Node) -> tuple[bytes, ...]:
    """What shows that the tree of ``old_size`` leaves is the beginning of the other (RFC 9162, section 2.1.4.1)."""
    if not 0 <= old_size <= new_size:
        raise ValueError(f"a tree of {old_size} leaves is not the beginning of one of {new_size}")
    if old_size in (0, new_size):
        return ()
    return tuple(_differences(old_size, 0, new_size, True, node))


def _differences(old_size: int, start: int, stop: int, from_the_beginning: bool, node: Node) -> list[bytes]:
    if old_size == stop - start:
        return [] if from_the_beginning else [_range_hash(start, stop, node)]
    middle = start + _split(stop - start)
    if start + old_size <= middle:
        left = _differences(old_size, start, middle, from_the_beginning, node)
        return [*left, _range_hash(middle, stop, node)]
    right = _differences(start + old_size - middle, middle, stop, False, node)
    return [*right, _range_hash(start, middle, node)]


def _split(count: int) -> int:
    """The largest power of two below a count."""
    return 1 << ((count - 1).bit_length() - 1)


def _range_hash(start: int, stop: int, node: Node) -> bytes:
    """The hash over leaves start to stop: a subtree of some tree, whole or at its right edge."""
    return _joined([node(level, index) for level, index in _whole_subtrees(start, stop)])


def _whole_subtrees(start: int, stop: int) -> list[tuple[int, int]]:
    """The largest whole subtrees that fill a range from left to right; ``start`` is aligned to what follows it."""
    found = []
    while start < stop:
        level = (stop - start).bit_length() - 1
        found.append((level, start >> level))
        start += 1 << level
    return found


def _joined(subtrees: list[bytes]) -> bytes:
    """One hash over subtrees that shrink from left to right."""
    if not subtrees:
        return EMPTY_ROOT
    hash_ = subtrees[-1]
    for left in reversed(subtrees[:-1]):
        hash_ = node_hash(left, hash_)
    return hash_
