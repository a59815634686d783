"""BLAKE2Xb, the generator behind SEAL's seeds, eight BLAKE2b nodes side by side in explicit LLVM vectors.

Public: whoever holds a seed can compute its stream. Running time does not depend on the values.

SEAL's generator (4.3, ``randomgen.cpp``) makes its stream in buffers of 4,096 bytes; buffer j is BLAKE2Xb with the
seed as key and j as eight little-endian bytes of input. BLAKE2Xb (blake2.net/blake2x.pdf, section 2) is one root hash
H0 with 4096 in its "xof length" field, then 64 independent output nodes, node i = BLAKE2b(H0) with depth 0, fan-out 0
and node offset i. ``hashlib.blake2b`` refuses depth 0, so the compression (RFC 7693, section 3.2) stands here.
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

UInt64Array = npt.NDArray[np.uint64]

BUFFER_WORDS = 512
"""64-bit words in one buffer: 4,096 bytes."""
SEED_WORDS = 8
LANES = 8
"""64-bit lanes side by side: one AVX-512 register, two AVX2 ones, four NEON ones."""

_I32, _I64 = ir.IntType(32), ir.IntType(64)
_V8 = ir.VectorType(_I64, LANES)

_INITIAL = (
    0x6A09E667F3BCC908,
    0xBB67AE8584CAA73B,
    0x3C6EF372FE94F82B,
    0xA54FF53A5F1D36F1,
    0x510E527FADE682D1,
    0x9B05688C2B3E6C1F,
    0x1F83D9ABFB41BD6B,
    0x5BE0CD19137E2179,
)
"""RFC 7693, section 2.6."""

_ORDER = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
    (14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3),
    (11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4),
    (7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8),
    (9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13),
    (2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9),
    (12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11),
    (13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10),
    (6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5),
    (10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0),
)
"""RFC 7693, section 2.7; rounds 10 and 11 begin again."""

_ROUNDS = 12
_MIXES = (
    (0, 4, 8, 12),
    (1, 5, 9, 13),
    (2, 6, 10, 14),
    (3, 7, 11, 15),
    (0, 5, 10, 15),
    (1, 6, 11, 12),
    (2, 7, 8, 13),
    (3, 4, 9, 14),
)
"""The columns, then the diagonals, of the 4 x 4 state."""

_XOF_BYTES = BUFFER_WORDS * 8
_ROOT_WORD_0 = 64 | 64 << 8 | 1 << 16 | 1 << 24
"""Digest 64 bytes, key 64 bytes, fan-out 1, depth 1, leaf length 0."""
_NODE_WORD_0 = 64 | 64 << 32
"""Digest 64 bytes, no key, fan-out 0, depth 0, leaf length 64."""
_NODE_WORD_2 = 64 << 8
"""Node depth 0, inner length 64."""


def _splat(value: int) -> ir.Constant:
    return ir.Constant(_V8, [value & 0xFFFFFFFFFFFFFFFF] * LANES)


def _broadcast(builder: ir.IRBuilder, scalar: ir.Value) -> ir.Value:
    empty = ir.Constant(_V8, ir.Undefined)
    one = builder.insert_element(empty, scalar, _I32(0))
    return builder.shuffle_vector(one, empty, ir.Constant(ir.VectorType(_I32, LANES), [0] * LANES))


def _count_up(builder: ir.IRBuilder, first: ir.Value) -> ir.Value:
    """The vector first, first + 1, ... first + 7."""
    return builder.add(_broadcast(builder, first), ir.Constant(_V8, list(range(LANES))))


def _rotate_right(builder: ir.IRBuilder, value: ir.Value, bits: int) -> ir.Value:
    return builder.or_(builder.lshr(value, _splat(bits)), builder.shl(value, _splat(64 - bits)))


def _compress(
    builder: ir.IRBuilder, state: list[ir.Value], message: list[ir.Value | None], counted: int, last: bool
) -> list[ir.Value]:
    """RFC 7693, section 3.2, on eight messages: ``counted`` bytes so far; a message word None is zero in every lane."""
    v = state + [_splat(word) for word in _INITIAL]
    v[12] = builder.xor(v[12], _splat(counted))
    if last:
        v[14] = builder.not_(v[14])
    for round_ in range(_ROUNDS):
        order = _ORDER[round_ % len(_ORDER)]
        for position, (a, b, c, d) in enumerate(_MIXES):
            for word, first, second in ((order[2 * position], 32, 24), (order[2 * position + 1], 16, 63)):
                v[a] = builder.add(v[a], v[b])
                if message[word] is not None:
                    v[a] = builder.add(v[a], message[word])
                v[d] = _rotate_right(builder, builder.xor(v[d], v[a]), first)
                v[c] = builder.add(v[c], v[d])
                v[b] = _rotate_right(builder, builder.xor(v[b], v[c]), second)
    return [builder.xor(state[i], builder.xor(v[i], v[i + 8])) for i in range(8)]


def _load_words(builder: ir.IRBuilder, address: ir.Value, stride: int) -> list[ir.Value | None]:
    """Eight words, ``stride`` words apart, each into all lanes."""
    pointer = builder.inttoptr(address, _I64.as_pointer())
    return [_broadcast(builder, builder.load(builder.gep(pointer, [_I32(i * stride)]))) for i in range(8)]


def _store_words(builder: ir.IRBuilder, state: list[ir.Value], address: ir.Value) -> None:
    """Word i of lane l goes to index 8 * i + l."""
    pointer = builder.inttoptr(address, _V8.as_pointer())
    for i, word in enumerate(state):
        builder.store(word, builder.gep(pointer, [_I32(i)]), align=8)


def _emit_roots(typing_context: Any, seed: Any, first: Any, out: Any) -> Any:
    """H0 of buffers first .. first + 7 of the seed (8 words at address ``seed``), to 64 words at address ``out``."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        seed, first, out = arguments
        state = [_splat(word) for word in _INITIAL]
        state[0] = _splat(_INITIAL[0] ^ _ROOT_WORD_0)
        state[1] = _splat(_INITIAL[1] ^ _XOF_BYTES << 32)
        key: list[ir.Value | None] = [*_load_words(builder, seed, 1), *[None] * 8]
        counter: list[ir.Value | None] = [_count_up(builder, first), *[None] * 15]
        state = _compress(builder, state, key, counted=128, last=False)
        state = _compress(builder, state, counter, counted=136, last=True)
        _store_words(builder, state, out)
        return context.get_dummy_value()

    return types.void(types.uint64, types.uint64, types.uint64), generate


def _emit_nodes(typing_context: Any, root: Any, first: Any, out: Any) -> Any:
    """Output nodes first .. first + 7 of H0 (8 words, 8 apart, at address ``root``), to 64 words at address ``out``."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        root, first, out = arguments
        state = [_splat(word) for word in _INITIAL]
        state[0] = _splat(_INITIAL[0] ^ _NODE_WORD_0)
        offset = _splat(_INITIAL[1] ^ _XOF_BYTES << 32)
        state[1] = builder.xor(offset, _count_up(builder, first))
        state[2] = _splat(_INITIAL[2] ^ _NODE_WORD_2)
        message: list[ir.Value | None] = [*_load_words(builder, root, LANES), *[None] * 8]
        _store_words(builder, _compress(builder, state, message, counted=64, last=True), out)
        return context.get_dummy_value()

    return types.void(types.uint64, types.uint64, types.uint64), generate


_roots: Any = intrinsic(_emit_roots)
_nodes: Any = intrinsic(_emit_nodes)


@nb.njit(nogil=True, cache=True, error_model="numpy")
def fill_stream(seed, first, words, scratch):  # type: ignore[no-untyped-def]
    """Fill ``words``, whole buffers, with the seed's stream from buffer ``first`` on; ``scratch`` is 128 uint64."""
    roots, nodes = scratch[:64], scratch[64:]
    for buffer in range(words.size // BUFFER_WORDS):
        lane = buffer % LANES
        if lane == 0:
            _roots(np.uint64(seed.ctypes.data), np.uint64(first + buffer), np.uint64(roots.ctypes.data))
        for node in range(0, BUFFER_WORDS // 8, LANES):
            root = np.uint64(roots.ctypes.data) + np.uint64(8 * lane)
            _nodes(root, np.uint64(node), np.uint64(nodes.ctypes.data))
            start = buffer * BUFFER_WORDS + 8 * node
            for i in range(8):
                for j in range(LANES):
                    words[start + 8 * j + i] = nodes[LANES * i + j]


def stream(seed: UInt64Array, first: int, buffers: int) -> UInt64Array:
    """Words of the seed's stream: (8,) -> (buffers * 512,), from buffer ``first`` on."""
    words = np.empty(buffers * BUFFER_WORDS, np.uint64)
    fill_stream(np.ascontiguousarray(seed), first, words, np.empty(2 * 64, np.uint64))
    return words
