"""Fixed-width integers packed and unpacked in compiled code: ``bits`` for the server, where milliseconds count.

Public; timing depends on shapes only. The layout is that of ``unseen.he.bits``, which tests hold it to.
"""

from __future__ import annotations

import numba as nb
import numpy as np
import numpy.typing as npt

UInt8Array = npt.NDArray[np.uint8]
UInt32Array = npt.NDArray[np.uint32]


def unpack_bits(data: UInt8Array, width: int, count: int) -> UInt32Array:
    """Unpack each row: (n, bytes) -> (n, count) integers of ``width`` bits, 1 to 32."""
    values: UInt32Array = _unpack(np.ascontiguousarray(data), width, count)
    return values


@nb.njit(nogil=True, cache=True, error_model="numpy")
def _unpack(data, width, count):  # type: ignore[no-untyped-def]
    values = np.empty((len(data), count), np.uint32)
    mask = (np.uint64(1) << np.uint64(width)) - np.uint64(1)
    for row in range(len(data)):
        pending, pending_bits, at = np.uint64(0), 0, 0
        for i in range(count):
            while pending_bits < width:
                pending |= np.uint64(data[row, at]) << np.uint64(pending_bits)
                pending_bits += 8
                at += 1
            values[row, i] = pending & mask
            pending >>= np.uint64(width)
            pending_bits -= width
    return values


@nb.njit(nogil=True, cache=True, error_model="numpy")
def pack_bits(values, bits, out, at):  # type: ignore[no-untyped-def]
    """Values of ``bits`` bits, lowest bit first, from byte ``at`` on, filled up to a byte; returns the byte after."""
    pending, pending_bits = np.uint64(0), 0
    for value in values:
        pending |= np.uint64(value) << np.uint64(pending_bits)
        pending_bits += bits
        if pending_bits >= 32:
            out[at] = np.uint8(pending)
            out[at + 1] = np.uint8(pending >> np.uint64(8))
            out[at + 2] = np.uint8(pending >> np.uint64(16))
            out[at + 3] = np.uint8(pending >> np.uint64(24))
            pending >>= np.uint64(32)
            pending_bits -= 32
            at += 4
    while pending_bits > 0:
        out[at] = np.uint8(pending)
        pending >>= np.uint64(8)
        pending_bits -= 8
        at += 1
    return at
