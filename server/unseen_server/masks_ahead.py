"""How many masks are made ahead: for each packing, as many as the largest reply that needs them.

Masks do not belong to a collection: two of the same packing take from the same heap. Making them is the source's work
(``unseen.he.mask``); here is only the count.
"""

from __future__ import annotations

import threading

from unseen.he.mask import BATCH_BLOCKS, MaskSource
from unseen.he.packing import Packing
from unseen_server import limits


class MasksAhead:
    """Safe to call from several threads."""

    def __init__(self, source: MaskSource) -> None:
        self.source = source
        self._wanted: dict[bytes, tuple[Packing, int]] = {}
        self._lock = threading.Lock()

    def want(self, collection_uid: bytes, packing: Packing, slots: int) -> None:
        """Keep enough for one reply of this collection, as it is packed now."""
        batches = max(1, -(-packing.blocks(slots) // BATCH_BLOCKS))
        with self._lock:
            before = self._wanted.get(collection_uid)
            self._wanted[collection_uid] = (packing, min(batches, limits.MAX_MASK_BATCHES_READY))
            self._keep(packing)
            if before and before[0].rows_per_block != packing.rows_per_block:
                self._keep(before[0])

    def forget(self, collection_uid: bytes) -> None:
        """Keep none for a collection that is gone."""
        with self._lock:
            before = self._wanted.pop(collection_uid, None)
            if before:
                self._keep(before[0])

    @property
    def blocks_ready(self) -> int:
        """Blocks whose masks are made ahead, all packings together."""
        with self._lock:
            packings = {packing.rows_per_block: packing for packing, _ in self._wanted.values()}
        return sum(self.source.ready(packing) for packing in packings.values()) * BATCH_BLOCKS

    def _keep(self, packing: Packing) -> None:
        same = (count for other, count in self._wanted.values() if other.rows_per_block == packing.rows_per_block)
        self.source.keep_ready(packing, max(same, default=0))
