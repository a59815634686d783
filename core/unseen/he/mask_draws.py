"""What masks are drawn from, in compiled code: sixteen blocks at once, no interpreter and so no lock of it.

Server side. Everything here is a secret of one reply until it is dropped. One key stream gives it all:

    two lines of words a coefficient    21 bits of each give e2 (a centred binomial), the bits above them give u
    then half a piece for the flood     two Gaussian draws from each two words of 64 bits (Box and Muller, 1958)
    and the other half for e1           one word of 64 bits each
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from unseen.he.chacha20 import PIECE_WORDS, STATE_WORDS, fill_piece
from unseen.he.lanes import I32, I64, LANES, LINE_BYTES, V16, broadcast, load, splat, store
from unseen.he.ring import forward

DRAWS_PER_PIECE = PIECE_WORDS // 4
"""Flood values from half a piece of 64-bit words; the other half is for as many e1."""
COEFFICIENTS_PER_PIECE = STATE_WORDS // 2
BITS = 32
V8_BYTES = ir.VectorType(ir.IntType(8), LANES // 2)


@nb.njit(nogil=True, cache=True, error_model="numpy")
def draw_masks(state, roots, q, coins, bound, flood_std, lanes, piece, u, noise_c0, noise_c1):  # type: ignore[no-untyped-def]
    """Draw the masks of two batches of eight blocks from the key stream of ``state``.

    lanes      scratch: uint32 (1, N, 16)        piece     scratch: uint32 (16, 16)
    u          uint32 (2, N/16, 8, 16)           uniform in [-bound, bound), transformed, residues below q
    noise_c1   int8 (2, N, 8): e2                noise_c0  int32 (2, 8, rows_per_block): e1 + F
    """
    used = _draw_u_and_e2(state, q, coins, bound, lanes, piece, noise_c1)
    forward(lanes, roots, np.uint32(q))
    blocks = u.shape[2]
    for tile in range(u.shape[1]):
        for half in range(2):
            for block in range(blocks):
                for lane in range(LANES):
                    u[half, tile, block, lane] = lanes[0, tile * LANES + lane, half * blocks + block]
    _draw_flood_and_e1(state, used, coins, flood_std, piece, noise_c0.reshape(-1))


@nb.njit(nogil=True, cache=True, error_model="numpy")
def _draw_u_and_e2(state, q, coins, bound, lanes, piece, noise_c1):  # type: ignore[no-untyped-def]
    """u to ``lanes``, as residues, and e2; returns how many blocks of the stream are used up."""
    degree, line = lanes.shape[1], np.uint64(LINE_BYTES)
    key, words = np.uint64(state.ctypes.data), np.uint64(piece.ctypes.data)
    blocks = np.uint32(0)
    for first in range(0, degree, COEFFICIENTS_PER_PIECE):
        fill_piece(key, blocks, words)
        blocks += np.uint32(LANES)
        for i in range(COEFFICIENTS_PER_PIECE):
            at = words + np.uint64(2 * i) * line
            n = first + i
            u_line = np.uint64(lanes[0, n].ctypes.data)
            _u_of(at, at + line, u_line, np.uint32(coins), np.uint32(bound), np.uint32(q))
            low, high = np.uint64(noise_c1[0, n].ctypes.data), np.uint64(noise_c1[1, n].ctypes.data)
            _e2_of(at, at + line, low, high, np.uint32(coins))
    return blocks


@nb.njit(nogil=True, cache=True, error_model="numpy")
def _draw_flood_and_e1(state, blocks, coins, flood_std, piece, noise):  # type: ignore[no-untyped-def]
    """e1 + F for every score, from block ``blocks`` of the stream on; an even number of scores."""
    words = piece.reshape(-1).view(np.uint64)
    for first in range(0, noise.size, DRAWS_PER_PIECE):
        fill_piece(np.uint64(state.ctypes.data), blocks, np.uint64(piece.ctypes.data))
        blocks += np.uint32(LANES)
        draws = noise[first : first + DRAWS_PER_PIECE]
        _gaussian(words[: draws.size], flood_std, draws)
        for i in range(draws.size):
            draws[i] += _centred_binomial(words[DRAWS_PER_PIECE + i], coins)


@intrinsic  # type: ignore[untyped-decorator]
def _u_of(typing_context: Any, first: Any, second: Any, out: Any, coins: Any, bound: Any, q: Any) -> Any:
    """u mod q of sixteen polynomials from the bits above ``coins`` of two lines; ``bound`` a power of two."""
    signature = types.void(types.uint64, types.uint64, types.uint64, types.uint32, types.uint32, types.uint32)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        first, second, out, coins, bound, q = arguments
        used, left, bounds, qs = (
            broadcast(builder, value, V16) for value in (coins, builder.sub(I32(BITS), coins), bound, q)
        )
        low = builder.lshr(load(builder, first), used)
        high = builder.shl(builder.lshr(load(builder, second), used), left)
        mask = builder.sub(builder.add(bounds, bounds), splat(V16, 1))
        drawn = builder.sub(builder.and_(builder.or_(low, high), mask), bounds)
        negative = builder.ashr(drawn, splat(V16, BITS - 1))
        store(builder, builder.add(drawn, builder.and_(negative, qs)), out)
        return context.get_dummy_value()

    return signature, generate


@intrinsic  # type: ignore[untyped-decorator]
def _e2_of(typing_context: Any, first: Any, second: Any, low: Any, high: Any, coins: Any) -> Any:
    """Ones among the low ``coins`` bits of one line less those of another: half to ``low``, half to ``high``."""
    signature = types.void(types.uint64, types.uint64, types.uint64, types.uint64, types.uint32)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        first, second, low, high, coins = arguments
        mask = broadcast(builder, builder.sub(builder.shl(I32(1), coins), I32(1)), V16)
        count = builder.module.declare_intrinsic("llvm.ctpop.v16i32", (), ir.FunctionType(V16, [V16]))
        ones = [builder.call(count, [builder.and_(load(builder, line), mask)]) for line in (first, second)]
        difference = builder.trunc(builder.sub(*ones), ir.VectorType(ir.IntType(8), LANES))
        for half, address in enumerate((low, high)):
            picked = ir.Constant(ir.VectorType(I32, LANES // 2), list(range(8 * half, 8 * half + 8)))
            eight = builder.shuffle_vector(difference, ir.Constant(difference.type, ir.Undefined), picked)
            pointer = builder.inttoptr(builder.add(address, I64(0)), V8_BYTES.as_pointer())
            builder.store(eight, pointer, align=1)
        return context.get_dummy_value()

    return signature, generate


@nb.njit(nogil=True, cache=True, error_model="numpy", inline="always")
def _centred_binomial(word, coins):  # type: ignore[no-untyped-def]
    """Ones among the low ``coins`` bits of a random word less ones among the next (SEAL: 21 each)."""
    low = (np.uint64(1) << np.uint64(coins)) - np.uint64(1)
    return np.int32(_ones(word & low)) - np.int32(_ones((word >> np.uint64(coins)) & low))


@nb.njit(nogil=True, cache=True, error_model="numpy", inline="always")
def _ones(word):  # type: ignore[no-untyped-def]
    """Bits set in a word."""
    word = word - ((word >> np.uint64(1)) & np.uint64(0x5555555555555555))
    word = (word & np.uint64(0x3333333333333333)) + ((word >> np.uint64(2)) & np.uint64(0x3333333333333333))
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (word * np.uint64(0x0101010101010101)) >> np.uint64(56)


@nb.njit(nogil=True, cache=True, error_model="numpy")
def _gaussian(words, std, draws):  # type: ignore[no-untyped-def]
    """Rounded Gaussian draws, two from each two words (Box and Muller, 1958)."""
    unit = 1.0 / 9007199254740992.0
    for i in range(0, words.size, 2):
        radius = std * np.sqrt(-2.0 * np.log((np.float64(words[i] >> np.uint64(11)) + 0.5) * unit))
        angle = 2.0 * np.pi * np.float64(words[i + 1] >> np.uint64(11)) * unit
        draws[i] = np.int32(np.rint(radius * np.cos(angle)))
        draws[i + 1] = np.int32(np.rint(radius * np.sin(angle)))
