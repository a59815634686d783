"""The file of a tree's whole nodes, so that a proof takes a few reads. Derived from the log; kept for speed.

    hash (32) | hash (32) | ...        in the order in which they were completed (``tree.node_place``)

It is written after the leaves are on disk and before anybody is told, and not synced. So it may lack what a power cut
took, but what stands in it was on disk: a log with fewer leaves has lost some.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from unseen.audit.tree import HASH_BYTES, node_count, node_place
from unseen.errors import IntegrityError

_ABSENT = bytes(HASH_BYTES)


class NodeFile:
    """Written by one thread, read by any."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

    def node(self, level: int, index: int) -> bytes:
        """The hash of a whole subtree; IntegrityError when it is not there."""
        found = os.pread(self._descriptor, HASH_BYTES, node_place(level, index) * HASH_BYTES)
        if len(found) < HASH_BYTES or found == _ABSENT:
            raise IntegrityError("the file of an audit log's nodes is incomplete; restart the server to build it anew")
        return found

    def leaves(self) -> int:
        """How many leaves have their hash here."""
        nodes = os.fstat(self._descriptor).st_size // HASH_BYTES
        while nodes and os.pread(self._descriptor, HASH_BYTES, (nodes - 1) * HASH_BYTES) == _ABSENT:
            nodes -= 1  # a file system that lost power may give back zeros
        leaves = nodes // 2
        while node_place(0, leaves) < nodes:
            leaves += 1
        return leaves

    def write(self, size_before: int, completed: Sequence[bytes]) -> None:
        """Put down the nodes that were completed after the tree had ``size_before`` leaves."""
        data, offset = b"".join(completed), node_count(size_before) * HASH_BYTES
        written = 0
        while written < len(data):
            written += os.pwrite(self._descriptor, data[written:], offset + written)

    def sync(self) -> None:
        """Wait until everything is on disk."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Let go of the file; a second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
