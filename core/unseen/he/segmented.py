"""The memory that an index is scanned in: segments of four blocks each, as many as slots were asked for.

It holds what its segments hold: packed rows of a sealed index, ciphertexts of an owner-encrypted one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from unseen.he.kernel import QUAD
from unseen.he.packing import Packing


class HasSize(Protocol):
    """A segment of either index."""

    @property
    def size_bytes(self) -> int: ...


AnySegment = TypeVar("AnySegment", bound=HasSize)


class Segmented(Generic[AnySegment]):
    """What both indexes are as memory. Grows, never shrinks."""

    def __init__(self, packing: Packing, new_segment: Callable[[], AnySegment]) -> None:
        self.packing = packing
        self._new_segment = new_segment
        self._segments: list[AnySegment] = []

    @property
    def segments(self) -> tuple[AnySegment, ...]:
        """The memory that is scanned, in order of slots."""
        return tuple(self._segments)

    @property
    def memory_bytes(self) -> int:
        return sum(segment.size_bytes for segment in self._segments)

    @property
    def capacity(self) -> int:
        """Slots that memory is there for."""
        return len(self._segments) * QUAD * self.packing.rows_per_block

    def reserve(self, slots: int) -> None:
        """Have memory for this many slots; new memory is zero."""
        while self.capacity < slots:
            self._segments.append(self._new_segment())
