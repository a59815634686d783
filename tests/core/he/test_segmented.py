"""Promises of ``unseen.he.segmented``: memory for as many slots as were asked for, and no more than a segment above."""

from __future__ import annotations

from dataclasses import dataclass

from unseen.he.packing import Packing
from unseen.he.segmented import Segmented


@dataclass
class FourBlocks:
    size_bytes: int = 7


def test_memory_is_reserved_a_segment_at_a_time_and_stays() -> None:
    packing = Packing(2048, 16, 8)  # 256 rows a block, 1024 a segment
    memory = Segmented(packing, FourBlocks)
    assert (memory.capacity, memory.memory_bytes, memory.segments) == (0, 0, ())
    for slots, segments in ((1, 1), (1024, 1), (1025, 2), (5, 2)):
        memory.reserve(slots)
        assert (len(memory.segments), memory.capacity, memory.memory_bytes) == (segments, 1024 * segments, 7 * segments)
