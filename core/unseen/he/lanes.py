"""Sixteen 32-bit lanes as explicit LLVM vectors: the few steps that numba alone does not turn into vector code.

Each function here is a numba intrinsic that works on memory addresses (``array.ctypes.data`` plus an offset in
bytes) and reads or writes whole 64-byte lines. LLVM lowers them to what the machine has: one AVX-512 register, two
AVX2 ones, four NEON ones. Public arithmetic; running time does not depend on the values. Callers own all bounds.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

LANES = 16
LINE_BYTES = 64

I1, I32, I64, F64 = ir.IntType(1), ir.IntType(32), ir.IntType(64), ir.DoubleType()
V16 = ir.VectorType(I32, LANES)
V8 = ir.VectorType(I64, LANES // 2)
V8F = ir.VectorType(F64, LANES // 2)

MOST_TERMS = 128
"""Products of two centred residues that a signed 64-bit sum holds: 128 * (q/2)^2 < 2^63 for q < 2^29 (536813569)."""


# ---------------------------------------------------------------------------------------------------------- pieces


def splat(vector_type: ir.VectorType, value: int | float) -> ir.Constant:
    return ir.Constant(vector_type, [value] * vector_type.count)


def broadcast(builder: ir.IRBuilder, scalar: ir.Value, vector_type: ir.VectorType) -> ir.Value:
    one = builder.insert_element(ir.Constant(vector_type, ir.Undefined), scalar, I32(0))
    return builder.shuffle_vector(
        one, ir.Constant(vector_type, ir.Undefined), splat(ir.VectorType(I32, vector_type.count), 0)
    )


def load(builder: ir.IRBuilder, address: ir.Value, offset: int = 0) -> ir.Value:
    pointer = builder.inttoptr(builder.add(address, I64(offset)), V16.as_pointer())
    return builder.load(pointer, align=4)


def store(builder: ir.IRBuilder, value: ir.Value, address: ir.Value, offset: int = 0) -> None:
    pointer = builder.inttoptr(builder.add(address, I64(offset)), V16.as_pointer())
    builder.store(value, pointer, align=4)


def below(builder: ir.IRBuilder, value: ir.Value, bound: ir.Value) -> ir.Value:
    """value - bound where that is not negative, else value: an unsigned minimum of the two."""
    reduced = builder.sub(value, bound)
    return builder.select(builder.icmp_unsigned("<", reduced, value), reduced, value)


def shoup(builder: ir.IRBuilder, value: ir.Value, root: ir.Value, quotient: ir.Value, q: ir.Value) -> ir.Value:
    """value * root mod q, below 2q, from the high halves of value * quotient (Harvey 2014, section 3)."""
    wide = builder.bitcast(value, V8)
    quotients = builder.and_(builder.bitcast(quotient, V8), splat(V8, 0xFFFFFFFF))
    even = builder.mul(builder.and_(wide, splat(V8, 0xFFFFFFFF)), quotients)
    odd = builder.mul(builder.lshr(wide, splat(V8, 32)), quotients)
    even_high = builder.lshr(even, splat(V8, 32))
    odd_high = builder.and_(odd, splat(V8, 0xFFFFFFFF00000000))
    high = builder.bitcast(builder.or_(even_high, odd_high), V16)
    return builder.sub(builder.mul(value, root), builder.mul(high, q))


def reduced_sum(builder: ir.IRBuilder, total: ir.Value, q: ir.Value, inverse_q: ir.Value) -> ir.Value:
    """total mod q in [0, q) for |total| < 2^63: subtract the nearest multiple of q, then add q where that is negative.

    A double holds total to within 512, so the nearest multiple is missed only where the rest is within 512 of q/2.
    """
    nearest = builder.module.declare_intrinsic("llvm.rint.v8f64", (), ir.FunctionType(V8F, [V8F]))
    quotient = builder.call(nearest, [builder.fmul(builder.sitofp(total, V8F), inverse_q)])
    rest = builder.sub(total, builder.mul(builder.fptosi(quotient, V8), q))
    return builder.add(rest, builder.and_(builder.ashr(rest, splat(V8, 63)), q))


# ------------------------------------------------------------------------------------------------------ transforms


@intrinsic  # type: ignore[untyped-decorator]
def butterflies_forward(
    typing_context: Any, upper: Any, lower: Any, count: Any, root: Any, quotient: Any, q: Any
) -> Any:
    """``count`` neighbouring Cooley-Tukey butterflies: lines at ``upper`` and ``lower``; input and output below 4q."""
    signature = types.void(types.uint64, types.uint64, types.uint64, types.uint32, types.uint32, types.uint32)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        upper, lower, count, root, quotient, q = arguments
        roots, quotients, qs = (broadcast(builder, value, V16) for value in (root, quotient, q))
        twice = builder.add(qs, qs)
        with lines(builder, count) as offset:
            at_u, at_v = builder.add(upper, offset), builder.add(lower, offset)
            u = below(builder, load(builder, at_u), twice)
            v = shoup(builder, load(builder, at_v), roots, quotients, qs)
            store(builder, builder.add(u, v), at_u)
            store(builder, builder.add(u, builder.sub(twice, v)), at_v)
        return context.get_dummy_value()

    return signature, generate


@intrinsic  # type: ignore[untyped-decorator]
def butterflies_inverse(
    typing_context: Any, upper: Any, lower: Any, count: Any, root: Any, quotient: Any, q: Any
) -> Any:
    """``count`` neighbouring Gentleman-Sande butterflies: input and output below 2q."""
    signature = types.void(types.uint64, types.uint64, types.uint64, types.uint32, types.uint32, types.uint32)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        upper, lower, count, root, quotient, q = arguments
        roots, quotients, qs = (broadcast(builder, value, V16) for value in (root, quotient, q))
        twice = builder.add(qs, qs)
        with lines(builder, count) as offset:
            at_u, at_v = builder.add(upper, offset), builder.add(lower, offset)
            u, v = load(builder, at_u), load(builder, at_v)
            store(builder, below(builder, builder.add(u, v), twice), at_u)
            store(builder, shoup(builder, builder.add(u, builder.sub(twice, v)), roots, quotients, qs), at_v)
        return context.get_dummy_value()

    return signature, generate


@intrinsic  # type: ignore[untyped-decorator]
def reduce_fully(typing_context: Any, address: Any, count: Any, q: Any) -> Any:
    """Bring ``count`` lines of values below 4q to below q."""
    signature = types.void(types.uint64, types.uint64, types.uint32)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        address, count, q = arguments
        qs = broadcast(builder, q, V16)
        with lines(builder, count) as offset:
            at = builder.add(address, offset)
            value = below(builder, load(builder, at), builder.add(qs, qs))
            store(builder, below(builder, value, qs), at)
        return context.get_dummy_value()

    return signature, generate


@intrinsic  # type: ignore[untyped-decorator]
def scale(typing_context: Any, address: Any, count: Any, root: Any, quotient: Any, q: Any) -> Any:
    """Multiply ``count`` lines by a constant; the result is below q."""
    signature = types.void(types.uint64, types.uint64, types.uint32, types.uint32, types.uint32)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        address, count, root, quotient, q = arguments
        roots, quotients, qs = (broadcast(builder, value, V16) for value in (root, quotient, q))
        with lines(builder, count) as offset:
            at = builder.add(address, offset)
            store(builder, below(builder, shoup(builder, load(builder, at), roots, quotients, qs), qs), at)
        return context.get_dummy_value()

    return signature, generate


# ------------------------------------------------------------------------------------------------------------ loops


@contextmanager
def lines(builder: ir.IRBuilder, count: ir.Value) -> Iterator[ir.Value]:
    """A loop over ``count`` lines, at least one: the body gets the line's offset in bytes."""
    before = builder.block
    body = builder.append_basic_block("lines")
    builder.branch(body)
    builder.position_at_end(body)
    index = builder.phi(I64)
    index.add_incoming(I64(0), before)
    yield builder.mul(index, I64(LINE_BYTES))
    following = builder.add(index, I64(1))
    index.add_incoming(following, builder.block)
    after = builder.append_basic_block("lines_done")
    builder.cbranch(builder.icmp_unsigned("<", following, count), body, after)
    builder.position_at_end(after)
