"""The reply to one search, as it comes: its header held against itself, its blocks decrypted one message after another.

On the device only. Holds decrypted scores until they are ranked.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import numpy.typing as npt

from unseen import wire
from unseen.errors import MalformedMessage, ServerUnavailable
from unseen.he.message import reply_block_bytes
from unseen.he.packing import Packing
from unseen.params import ParameterSet
from unseen.types import SLOTS_PER_EXTENT
from unseen.v1 import search_pb2
from unseen_client.mirror import SLOT_LIMIT

Float32Array = npt.NDArray[np.float32]


class OpensReplies(Protocol):
    """Decrypts blocks of one reply, in the order in which they come."""

    def decrypt(self, blocks: bytes) -> npt.NDArray[np.int64]: ...


class Reply:
    """Receives one reply and decrypts blocks as they come."""

    def __init__(self, parameters: ParameterSet, packing: Packing, key: OpensReplies) -> None:
        self._packing = packing
        self._block_bytes = reply_block_bytes(parameters, packing)
        self._key = key
        self._scores: list[npt.NDArray[np.int64]] = []
        self._header: search_pb2.SearchReplyHeader | None = None
        self._blocks_left = 0

    @property
    def epoch(self) -> int:
        """The epoch of the rows that were scored."""
        return 0 if self._header is None else self._header.epoch

    def take(self, reply: search_pb2.SearchResponse) -> None:
        if reply.WhichOneof("part") == "header":
            self._take_header(reply.header)
        else:
            self._take_blocks(reply.blocks)

    def finish(self) -> None:
        if self._header is None or self._blocks_left:
            raise ServerUnavailable(f"the reply was cut: {self._blocks_left} blocks are missing")

    def close(self) -> None:
        self._scores.clear()

    def raw_scores(self) -> npt.NDArray[np.int64]:
        """Decrypted scores of the rows of all blocks that came, in their order."""
        return np.concatenate([np.zeros(0, np.int64), *self._scores])

    def by_slot(self, scores: Float32Array) -> Float32Array:
        """Scores of all rows that came, put at their slots: (slots,), NaN where none came."""
        header = self._header
        found = np.full(0 if header is None else header.slots, np.nan, np.float32)
        if header is None or not header.partial:
            return scores[: len(found)]
        taken = 0
        for first, end in _slot_runs(header):
            found[first:end] = scores[taken : taken + end - first]
            taken += self._packing.blocks(end - first) * self._packing.rows_per_block
        return found

    def _take_header(self, header: search_pb2.SearchReplyHeader) -> None:
        wire.require_epoch(header.epoch, "a reply")
        fits = self._header is None and header.slots <= SLOT_LIMIT and _runs_fit(header)
        if not fits or header.blocks != self._blocks_named(header):
            raise MalformedMessage(
                f"the reply names {header.blocks} blocks for {header.slots} slots in {len(header.extents)} runs of "
                "extents, which does not fit together, or comes twice; the server does not fit this client"
            )
        self._header, self._blocks_left = header, header.blocks

    def _blocks_named(self, header: search_pb2.SearchReplyHeader) -> int:
        """How many blocks the runs of a header have, or all slots where every one follows."""
        if not header.partial:
            return self._packing.blocks(header.slots)
        return sum(self._packing.blocks(end - first) for first, end in _slot_runs(header))

    def _take_blocks(self, blocks: bytes) -> None:
        count, rest = divmod(len(blocks), self._block_bytes)
        if rest or not 0 < count <= self._blocks_left:
            raise MalformedMessage(
                f"got {len(blocks)} bytes of reply, expected up to {self._blocks_left} blocks of {self._block_bytes}; "
                "the server does not fit this client"
            )
        self._scores.append(self._key.decrypt(blocks))
        self._blocks_left -= count


def _runs_fit(header: search_pb2.SearchReplyHeader) -> bool:
    """Whether runs of extents rise, stand apart and end within the slots; and are there only where they may be."""
    end = -1
    for run in header.extents:
        if run.first <= end or not 0 < run.count <= SLOT_LIMIT or run.first * SLOTS_PER_EXTENT >= header.slots:
            return False
        end = run.first + run.count
    return (header.partial or not header.extents) and end <= -(-header.slots // SLOTS_PER_EXTENT)


def _slot_runs(header: search_pb2.SearchReplyHeader) -> Iterator[tuple[int, int]]:
    """First slot of each run and the one after its last; an extent's slots fill whole blocks of every packing."""
    for run in header.extents:
        first, end = run.first * SLOTS_PER_EXTENT, (run.first + run.count) * SLOTS_PER_EXTENT
        yield first, min(end, header.slots)
