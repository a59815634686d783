"""The scan without any cryptography: what every encrypted answer must agree with. For tests and benches.

It sees everything, on purpose: never put it behind a network. It imports nothing from packing, ring or scan, so that
a mistake there cannot repeat itself here.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Int16Array = npt.NDArray[np.int16]
Int64Array = npt.NDArray[np.int64]


def plain_scores(rows: Int16Array, query: Int64Array) -> Int64Array:
    """Inner products of quantised rows (n, d) with a quantised query (d,) -> (n,), exact integers."""
    return rows.astype(np.int64) @ query.astype(np.int64)


class PlainIndex:
    """The interface of the encrypted index over plain integers: an empty slot scores zero."""

    def __init__(self, dimension: int) -> None:
        self._rows: dict[int, Int16Array] = {}
        self._dimension = dimension

    def put(self, slots: Int64Array, rows: Int16Array) -> None:
        """Place rows (n, d) into slots (n,), over whatever was there."""
        for slot, row in zip(slots.tolist(), rows, strict=True):
            self._rows[slot] = row.copy()

    def clear(self, slots: Int64Array) -> None:
        """Empty these slots; one that is empty already stays so."""
        for slot in slots.tolist():
            self._rows.pop(slot, None)

    def rows(self, slots: Int64Array) -> Int16Array:
        """The rows in these slots, zeros where there is none: (n, d)."""
        empty = np.zeros(self._dimension, np.int16)
        return np.array([self._rows.get(slot, empty) for slot in slots.tolist()], np.int16).reshape(-1, self._dimension)

    def answer(self, query: Int64Array, slots: int) -> Int64Array:
        """Raw scores of the first ``slots`` slots for a quantised query (d,)."""
        return plain_scores(self.rows(np.arange(slots)), query)
