"""From sums to reply bytes: mask, transform back, add noise, switch the modulus, pack.

Server side. What leaves this file is what the client gets: every block has its own mask and its own flood by then.
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from unseen.he.compiled_bits import pack_bits
from unseen.he.kernel import POLYNOMIALS, QUAD
from unseen.he.lanes import F64, LANES, LINE_BYTES, V8, V8F, V16, broadcast, load, reduced_sum, splat, store
from unseen.he.mask import BATCH_BLOCKS
from unseen.he.ring import inverse


@intrinsic  # type: ignore[untyped-decorator]
def _add_product(typing_context: Any, total: Any, left: Any, right: Any, out: Any, q: Any) -> Any:
    """out = total + left * right mod q on one line of residues below q."""
    signature = types.void(types.uint64, types.uint64, types.uint64, types.uint64, types.int64)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        modulus = broadcast(builder, arguments[4], V8)
        inverse = broadcast(builder, builder.fdiv(F64(1.0), builder.sitofp(arguments[4], F64)), V8F)
        total, left, right = (builder.bitcast(load(builder, address), V8) for address in arguments[:3])
        halves = []
        for select in (_low, _high):
            product = builder.mul(select(builder, left), select(builder, right))
            halves.append(reduced_sum(builder, builder.add(select(builder, total), product), modulus, inverse))
        line = builder.or_(halves[0], builder.shl(halves[1], splat(V8, 32)))
        store(builder, builder.bitcast(line, V16), arguments[3])
        return context.get_dummy_value()

    return signature, generate


def _low(builder: ir.IRBuilder, wide: ir.Value) -> ir.Value:
    return builder.and_(wide, splat(V8, 0xFFFFFFFF))


def _high(builder: ir.IRBuilder, wide: ir.Value) -> ir.Value:
    return builder.lshr(wide, splat(V8, 32))


@nb.njit(nogil=True, cache=True, error_model="numpy")
def finish_blocks(sums, key, u, noise_c0, noise_c1, inverse_roots, q, c0_bits, c1_bits, lanes, out):  # type: ignore[no-untyped-def]
    """Write the reply blocks of up to eight summed blocks.

    sums       uint32 (2, N/16, 4, 2, 16): two segments' sums, transformed residues below q
    key        uint32 (N/16, 2, 16): the query's public key, transformed
    u, noise   as in ``MaskBatch``
    lanes      scratch: uint32 (1, N, 16)
    out        uint8 (blocks, bytes of a reply block): only this many of the eight are written
    """
    degree = noise_c1.shape[0]
    _mask(sums, key, u, lanes[0], np.int64(q))
    inverse(lanes, inverse_roots, np.uint32(q))
    residues, switched = np.empty(degree, np.int64), np.empty(degree, np.uint32)
    scores = noise_c0.shape[1]
    factor = degree // scores
    for block in range(out.shape[0]):
        for n in range(degree):
            residues[n] = lanes[0, n, 2 * block + 1] + np.int64(noise_c1[n, block])
        _switch_modulus(residues, q, c1_bits, switched)
        filled = pack_bits(switched, c1_bits, out[block], 0)
        for row in range(scores):
            residues[row] = lanes[0, row * factor + factor - 1, 2 * block] + np.int64(noise_c0[block, row])
        _switch_modulus(residues[:scores], q, c0_bits, switched)
        pack_bits(switched[:scores], c0_bits, out[block], filled)


@nb.njit(nogil=True, cache=True, error_model="numpy")
def _mask(sums, key, u, lanes, q):  # type: ignore[no-untyped-def]
    """sums + key * u, turned so that lane 2 * block + polynomial of coefficient n stands at ``lanes[n]``."""
    line = np.uint64(LINE_BYTES)
    masked = np.empty((BATCH_BLOCKS * POLYNOMIALS, LANES), np.uint32)
    masked_address = np.uint64(masked.ctypes.data)
    for tile in range(key.shape[0]):
        for block in range(BATCH_BLOCKS):
            u_address = np.uint64(u[tile, block].ctypes.data)
            for polynomial in range(POLYNOMIALS):
                _add_product(
                    np.uint64(sums[block // QUAD, tile, block % QUAD, polynomial].ctypes.data),
                    np.uint64(key[tile, polynomial].ctypes.data),
                    u_address,
                    masked_address + np.uint64(block * POLYNOMIALS + polynomial) * line,
                    q,
                )
        for lane in range(LANES):
            for row in range(BATCH_BLOCKS * POLYNOMIALS):
                lanes[tile * LANES + lane, row] = masked[row, lane]


@nb.njit(nogil=True, cache=True, error_model="numpy")
def _switch_modulus(values, q, bits, switched):  # type: ignore[no-untyped-def]
    """round(value * 2^bits / q) mod 2^bits, for residues with noise: values in [-q, 2q).

    Exact: q is odd, so no quotient is nearer to a tie than 1/(2q), far above a double's error.
    """
    ratio = np.float64(1 << bits) / np.float64(q)
    top = (1 << bits) - 1
    for i in range(values.size):
        value = values[i]
        value += q & (value >> 63)
        value -= q
        value += q & (value >> 63)
        switched[i] = np.int64(np.float64(value) * ratio + 0.5) & top
