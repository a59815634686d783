"""The innermost loop of the scan: query times rows, summed over chunks, in the transformed domain.

Server side, public arithmetic on ciphertexts; running time does not depend on the values.

Rows are read once from memory and are the only thing that is not in a cache, so everything here serves that stream.
A segment holds QUAD = 4 blocks as ``[tile][chunk][block][lane]`` int32 centred residues: for one tile of 16 lanes
the four blocks' residues of one chunk are 256 neighbouring bytes, and a whole tile is one sequential run. The
query's tile, ``[chunk][polynomial][lane]``, comes from the caches.

Products of two centred 29-bit residues are below 2^56; MOST_TERMS = 128 of them are summed in signed 64 bits before a
reduction. The 32 sums of a tile (4 blocks, 2 polynomials, even and odd lanes) live in registers.
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from unseen.he.grouped_sum import Values, sum_in_groups
from unseen.he.lanes import (
    F64,
    I64,
    LINE_BYTES,
    MOST_TERMS,
    V8,
    V8F,
    V16,
    broadcast,
    load,
    reduced_sum,
    splat,
    store,
)

QUAD = 4
"""Blocks whose rows share one pass over the query's registers: 16 sums and 6 operands fit 32 vector registers."""
POLYNOMIALS = 2
PREFETCH_BYTES = 4096
"""How far ahead rows are asked for: some hundred nanoseconds of work. docs/decisions has what was tried."""


def _even(builder: ir.IRBuilder, line: ir.Value) -> ir.Value:
    wide = builder.bitcast(line, V8)
    return builder.ashr(builder.shl(wide, splat(V8, 32)), splat(V8, 32))


def _odd(builder: ir.IRBuilder, line: ir.Value) -> ir.Value:
    return builder.ashr(builder.bitcast(line, V8), splat(V8, 32))


def prefetch(builder: ir.IRBuilder, address: ir.Value) -> None:
    pointer_type = ir.IntType(8).as_pointer()
    function_type = ir.FunctionType(ir.VoidType(), [pointer_type, ir.IntType(32), ir.IntType(32), ir.IntType(32)])
    function = builder.module.declare_intrinsic("llvm.prefetch", (pointer_type,), function_type)
    flags = [ir.IntType(32)(value) for value in (0, 3, 1)]  # read, keep, data
    builder.call(function, [builder.inttoptr(address, pointer_type), *flags])


@intrinsic  # type: ignore[untyped-decorator]
def _tile(typing_context: Any, query: Any, rows: Any, chunks: Any, out: Any, q: Any) -> Any:
    """One tile of one segment: 4 blocks x 2 polynomials x 16 lanes, summed over all chunks, reduced below q.

    Line (block, polynomial) is the (2 * block + polynomial)-th after ``out``.
    """
    signature = types.void(types.uint64, types.uint64, types.uint64, types.uint64, types.int64)
    parts = [(block, polynomial, half) for block in range(QUAD) for polynomial in range(POLYNOMIALS) for half in (0, 1)]

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        query, rows, chunks, out, q = arguments
        modulus = broadcast(builder, q, V8)
        inverse = broadcast(builder, builder.fdiv(F64(1.0), builder.sitofp(q, F64)), V8F)

        def add(chunk: ir.Value, sums: Values) -> Values:
            at_query = builder.add(query, builder.mul(chunk, I64(POLYNOMIALS * LINE_BYTES)))
            at_rows = builder.add(rows, builder.mul(chunk, I64(QUAD * LINE_BYTES)))
            query_halves = []
            for polynomial in range(POLYNOMIALS):
                line = load(builder, at_query, polynomial * LINE_BYTES)
                query_halves.append((_even(builder, line), _odd(builder, line)))
            following = []
            for block in range(QUAD):
                prefetch(builder, builder.add(at_rows, I64(PREFETCH_BYTES + block * LINE_BYTES)))
                line = load(builder, at_rows, block * LINE_BYTES)
                row_halves = (_even(builder, line), _odd(builder, line))
                for polynomial in range(POLYNOMIALS):
                    for half in (0, 1):
                        product = builder.mul(row_halves[half], query_halves[polynomial][half])
                        following.append(builder.add(sums[parts.index((block, polynomial, half))], product))
            return following

        def reduce(sums: Values) -> Values:
            return [reduced_sum(builder, value, modulus, inverse) for value in sums]

        zeros = [splat(V8, 0) for _ in parts]
        reduced = sum_in_groups(builder, chunks, MOST_TERMS, zeros, lambda carried: carried, add, reduce)
        for position in range(QUAD * POLYNOMIALS):
            even, odd = reduced[2 * position], reduced[2 * position + 1]
            line = builder.bitcast(builder.or_(even, builder.shl(odd, splat(V8, 32))), V16)
            store(builder, line, out, position * LINE_BYTES)
        return context.get_dummy_value()

    return signature, generate


@nb.njit(nogil=True, cache=True, error_model="numpy")
def multiply_accumulate(query, segment, q, sums):  # type: ignore[no-untyped-def]
    """Sum query * rows over the chunks for the four blocks of a segment.

    query    int32 (tiles, chunks, 2, 16), centred residues
    segment  address of a segment: int32 (tiles, chunks, 4, 16), centred residues
    sums     uint32 (tiles, 4, 2, 16): residues below q
    """
    chunks = np.uint64(query.shape[1])
    query_bytes = chunks * np.uint64(POLYNOMIALS * LINE_BYTES)
    rows_bytes = chunks * np.uint64(QUAD * LINE_BYTES)
    sums_bytes = np.uint64(QUAD * POLYNOMIALS * LINE_BYTES)
    query_address, sums_address = np.uint64(query.ctypes.data), np.uint64(sums.ctypes.data)
    for tile in range(np.uint64(query.shape[0])):
        _tile(
            query_address + tile * query_bytes,
            segment + tile * rows_bytes,
            chunks,
            sums_address + tile * sums_bytes,
            q,
        )
