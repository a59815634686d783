"""The innermost loop of the owner-encrypted scan: ciphertext times ciphertext, summed over chunks, modulo one prime.

Server side, public arithmetic on ciphertexts; running time does not depend on the values.

With (a0, a1) a query's chunk and (b0, b1) a block's, the product has three polynomials: a0 b0, a0 b1 + a1 b0, a1 b1.
That is four multiply-adds per coordinate and prime, on residues that fit 16 bits. The kernel leans on the instruction
that processors have for this, two 16-bit products added into 32 bits (VPDPWSSD, VPMADDWD), so chunks come in pairs. A
product of two residues has 30 bits, and sums of them do not fit 32; therefore each residue of the query is cut into two
digits, a = 256 * high + low, both within [-128, 127]: a digit times a residue is below 2^22, and 128 pairs of chunks
are summed before a reduction.

For each prime a segment holds QUAD = 4 blocks as ``[tile][pair of chunks][block][polynomial][lane][chunk of the pair]``
int16 centred residues: one tile of 16 lanes is one sequential run. The query's tile is
``[pair][a0 low, a0 high, a1 low, a1 high][lane][chunk of the pair]``. The 24 sums of a tile (4 blocks, 3 polynomials, 2
digits) live in registers.
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from unseen.he.grouped_sum import Values, sum_in_groups
from unseen.he.kernel import PREFETCH_BYTES, prefetch
from unseen.he.lanes import I64, LANES, LINE_BYTES, V16, broadcast, splat, store

QUAD = 4
"""Blocks that share the query's registers: 24 sums and 6 operands fit 32 vector registers."""
PAIR = 2
"""Chunks whose products one instruction adds."""
POLYNOMIALS = 2
"""Of a ciphertext as it comes in."""
PRODUCTS = 3
"""Polynomials of a product."""
DIGITS = 2
DIGIT_BITS = 8
MOST_PAIRS = 128
"""Pairs summed before a reduction: a middle sum takes 4 * 128 * 30720 < 2^24 from each, and starts below 2^16."""

I16, F32 = ir.IntType(16), ir.FloatType()
H32 = ir.VectorType(I16, PAIR * LANES)
W32 = ir.VectorType(ir.IntType(32), PAIR * LANES)
V16F = ir.VectorType(F32, LANES)

QUERY_LINES = POLYNOMIALS * DIGITS
"""64-byte lines of a pair of chunks of the query."""
ROW_LINES = QUAD * POLYNOMIALS
"""64-byte lines of a pair of chunks of a segment."""


def _load_wide(builder: ir.IRBuilder, address: ir.Value, offset: int) -> ir.Value:
    """32 signed 16-bit values, widened to 32 bits each: LLVM folds the widening into the multiply-add."""
    pointer = builder.inttoptr(builder.add(address, I64(offset)), H32.as_pointer())
    return builder.sext(builder.load(pointer, align=4), W32)


def _add_products(builder: ir.IRBuilder, total: ir.Value, left: ir.Value, right: ir.Value) -> ir.Value:
    """total + left * right, neighbours added: the shape in which LLVM sees its multiply-add instruction."""
    products = builder.mul(left, right)
    none = ir.Constant(W32, ir.Undefined)
    indices = ir.VectorType(ir.IntType(32), LANES)
    even = builder.shuffle_vector(products, none, ir.Constant(indices, list(range(0, PAIR * LANES, 2))))
    odd = builder.shuffle_vector(products, none, ir.Constant(indices, list(range(1, PAIR * LANES, 2))))
    return builder.add(total, builder.add(even, odd))


def _centred(builder: ir.IRBuilder, value: ir.Value, p: ir.Value, inverse_p: ir.Value) -> ir.Value:
    """value less the nearest multiple of p, for |value| < 2^31: within 0.52 p, as single precision misses by 0.01."""
    nearest = builder.module.declare_intrinsic("llvm.rint.v16f32", (), ir.FunctionType(V16F, [V16F]))
    quotient = builder.call(nearest, [builder.fmul(builder.sitofp(value, V16F), inverse_p)])
    return builder.sub(value, builder.mul(builder.fptosi(quotient, V16), p))


def _joined(builder: ir.IRBuilder, low: ir.Value, high: ir.Value, p: ir.Value, inverse_p: ir.Value) -> ir.Value:
    """256 * high + low modulo p, centred."""
    weighted = builder.shl(_centred(builder, high, p, inverse_p), splat(V16, DIGIT_BITS))
    return _centred(builder, builder.add(weighted, _centred(builder, low, p, inverse_p)), p, inverse_p)


@intrinsic  # type: ignore[untyped-decorator]
def _tile(typing_context: Any, query: Any, rows: Any, pairs: Any, out: Any, p: Any) -> Any:
    """One tile of one segment: 4 blocks x 3 polynomials x 16 lanes, summed over all pairs of chunks, below p.

    Line (block, polynomial) is the (3 * block + polynomial)-th after ``out``. Sums are those of the low digits, then
    those of the high ones; reduced sums are carried into the low ones.
    """
    signature = types.void(types.uint64, types.uint64, types.uint64, types.uint64, types.int32)
    parts = [(block, product) for block in range(QUAD) for product in range(PRODUCTS)]

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        query, rows, pairs, out, p = arguments
        modulus = broadcast(builder, p, V16)
        inverse = broadcast(builder, builder.fdiv(F32(1.0), builder.sitofp(p, F32)), V16F)

        def begin(carried: Values) -> Values:
            return carried + [splat(V16, 0) for _ in parts]

        def add(pair: ir.Value, sums: Values) -> Values:
            following = list(sums)
            at_query = builder.add(query, builder.mul(pair, I64(QUERY_LINES * LINE_BYTES)))
            at_rows = builder.add(rows, builder.mul(pair, I64(ROW_LINES * LINE_BYTES)))
            digits = [_load_wide(builder, at_query, line * LINE_BYTES) for line in range(QUERY_LINES)]
            for block in range(QUAD):
                for right in range(POLYNOMIALS):
                    offset = (POLYNOMIALS * block + right) * LINE_BYTES
                    prefetch(builder, builder.add(at_rows, I64(PREFETCH_BYTES + offset)))
                    line = _load_wide(builder, at_rows, offset)
                    for left in range(POLYNOMIALS):
                        for digit in range(DIGITS):
                            at = len(parts) * digit + parts.index((block, left + right))
                            following[at] = _add_products(builder, following[at], digits[DIGITS * left + digit], line)
            return following

        def reduce(sums: Values) -> Values:
            low_and_high = zip(sums[: len(parts)], sums[len(parts) :], strict=True)
            return [_joined(builder, low, high, modulus, inverse) for low, high in low_and_high]

        zeros = [splat(V16, 0) for _ in parts]
        reduced = sum_in_groups(builder, pairs, MOST_PAIRS, zeros, begin, add, reduce)
        for position, value in enumerate(reduced):
            residue = builder.add(value, builder.and_(builder.ashr(value, splat(V16, 31)), modulus))
            store(builder, residue, out, position * LINE_BYTES)
        return context.get_dummy_value()

    return signature, generate


@nb.njit(nogil=True, cache=True, error_model="numpy")
def multiply_accumulate(query, rows, p, lanes):  # type: ignore[no-untyped-def]
    """Sum query * rows over all pairs of chunks for the four blocks of a segment, modulo one prime.

    query    int16 (tiles, pairs, 4, 16, 2): digits, see above
    rows     address of a prime's part of a segment: int16 (tiles, pairs, 4, 2, 16, 2), centred residues
    lanes    uint32 (N, 16): lane 3 * block + polynomial of coefficient n gets the sum, below p; four lanes stay
    """
    pairs = np.uint64(query.shape[1])
    query_bytes = pairs * np.uint64(QUERY_LINES * LINE_BYTES)
    rows_bytes = pairs * np.uint64(ROW_LINES * LINE_BYTES)
    sums = np.empty((QUAD * PRODUCTS, LANES), np.uint32)
    query_address, sums_address = np.uint64(query.ctypes.data), np.uint64(sums.ctypes.data)
    for tile in range(np.uint64(query.shape[0])):
        _tile(query_address + tile * query_bytes, rows + tile * rows_bytes, pairs, sums_address, p)
        first = tile * np.uint64(LANES)
        for lane in range(np.uint64(LANES)):
            for position in range(QUAD * PRODUCTS):
                lanes[first + lane, position] = sums[position, lane]
