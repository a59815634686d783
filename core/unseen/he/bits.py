"""Integers of a fixed width, one after the other without gaps, in little-endian bit order: the bodies of our messages.

Value i of a row lies in bits [i * width, (i + 1) * width) of the row's bytes, the lowest bit first; the last byte of
a row is filled up with zeros. Public: it holds what it is given, and its timing depends on shapes only.

Thirty-two values of ``width`` bits fill exactly ``width`` 32-bit words, so a row is cut into groups of 32 and the
i-th values of all groups are shifted together: sixty-four array operations whatever the size.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Uint8Array = npt.NDArray[np.uint8]
Uint32Array = npt.NDArray[np.uint32]

WORD_BITS = 32
GROUP = 32
"""Values per group: the fewest that always end on a word."""


def packed_bytes(width: int, count: int) -> int:
    """Bytes that ``count`` values of ``width`` bits take."""
    return -(-count * width // 8)


def pack_bits(values: Uint32Array, width: int) -> Uint8Array:
    """Pack each row: (n, m) integers below 2^width, width 1 to 32 -> (n, packed_bytes(width, m)).

    The caller sees to it that the values fit; a larger one would spill into its neighbour.
    """
    rows, count = values.shape
    groups = -(-count // GROUP)
    padded = _widen(values, groups * GROUP).astype(np.uint32, copy=False)
    planes = np.ascontiguousarray(padded.reshape(rows * groups, GROUP).T)
    words = np.zeros((width, rows * groups), np.uint32)
    for position in range(GROUP):
        word, shift = divmod(position * width, WORD_BITS)
        words[word] |= planes[position] << np.uint32(shift)
        if shift + width > WORD_BITS:
            words[word + 1] |= planes[position] >> np.uint32(WORD_BITS - shift)
    data = np.ascontiguousarray(words.T).astype("<u4", copy=False).view(np.uint8)
    return data.reshape(rows, groups * width * 4)[:, : packed_bytes(width, count)]


def unpack_bits(data: Uint8Array, width: int, count: int) -> Uint32Array:
    """The inverse of ``pack_bits``: (n, packed_bytes(width, count)) -> (n, count)."""
    rows = data.shape[0]
    groups = -(-count // GROUP)
    padded = np.ascontiguousarray(_widen(data, groups * width * 4))
    words = np.ascontiguousarray(padded.view("<u4").reshape(rows * groups, width).T).astype(np.uint32, copy=False)
    planes = np.empty((GROUP, rows * groups), np.uint32)
    mask = np.uint32((1 << width) - 1)
    for position in range(GROUP):
        word, shift = divmod(position * width, WORD_BITS)
        value = words[word] >> np.uint32(shift)
        if shift + width > WORD_BITS:
            value |= words[word + 1] << np.uint32(WORD_BITS - shift)
        np.bitwise_and(value, mask, out=planes[position])
    return np.ascontiguousarray(planes.T).reshape(rows, groups * GROUP)[:, :count]


def _widen(array: npt.NDArray[np.unsignedinteger], columns: int) -> npt.NDArray[np.unsignedinteger]:
    """Fill every row up with zeros to ``columns``."""
    if array.shape[1] == columns:
        return array
    wide = np.zeros((array.shape[0], columns), array.dtype)
    wide[:, : array.shape[1]] = array
    return wide
