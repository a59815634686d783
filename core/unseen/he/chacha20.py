"""A key stream in compiled code: ChaCha20 (RFC 8439, section 2.3), sixteen blocks side by side.

Server side. The stream is as secret as its key, which comes from ``unseen.entropy``, serves one call and is dropped.
It is here, and not asked of a library, because a scan draws its masks from several threads at once: AES through
``cryptography`` holds the interpreter lock, and two threads then gain little over one (docs/decisions/0007).

Blocks ``counter`` to ``counter + 15`` fill a piece of 16 x 16 words: line w holds word w of every block.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from unseen.entropy import random_bytes
from unseen.he.lanes import I32, LANES, LINE_BYTES, V16, broadcast, splat, store

KEY_BYTES = 32
STATE_WORDS = 16
DOUBLE_ROUNDS = 10
PIECE_WORDS = STATE_WORDS * LANES
CONSTANTS = np.frombuffer(b"expand 32-byte k", "<u4")
COUNTER = 12
"""The word of the state that counts blocks; the three behind it are the nonce, zero here: a key serves once."""

COLUMNS = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15))
DIAGONALS = ((0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))

UInt32Array = npt.NDArray[np.uint32]


def fresh_state() -> UInt32Array:
    """The state (16,) of a stream that nobody else has: a key from the system, counter and nonce zero."""
    return state_of(random_bytes(KEY_BYTES))


def state_of(key: bytes) -> UInt32Array:
    """The state (16,) of a key's stream at block 0 under a zero nonce."""
    state = np.zeros(STATE_WORDS, np.uint32)
    state[:4] = CONSTANTS
    state[4:COUNTER] = np.frombuffer(key, "<u4")
    return state


@intrinsic  # type: ignore[untyped-decorator]
def fill_piece(typing_context: Any, state: Any, counter: Any, out: Any) -> Any:
    """Write sixteen blocks of the stream of ``state``, from block ``counter`` on, to 1,024 bytes at ``out``."""
    signature = types.void(types.uint64, types.uint32, types.uint64)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        state, counter, out = arguments
        start = _start(builder, state, counter)
        mixed = _mixed(builder, start)
        for word in range(STATE_WORDS):
            store(builder, builder.add(mixed[word], start[word]), out, word * LINE_BYTES)
        return context.get_dummy_value()

    return signature, generate


def _start(builder: ir.IRBuilder, state: ir.Value, counter: ir.Value) -> list[ir.Value]:
    """The state in every lane, each lane with the number of its block."""
    words = builder.inttoptr(state, I32.as_pointer())
    start = [broadcast(builder, builder.load(builder.gep(words, [I32(word)])), V16) for word in range(STATE_WORDS)]
    numbers = ir.Constant(V16, list(range(LANES)))
    start[COUNTER] = builder.add(broadcast(builder, counter, V16), numbers)
    return start


def _mixed(builder: ir.IRBuilder, start: list[ir.Value]) -> list[ir.Value]:
    """The state after twenty rounds: a loop of ten, so that the code stays in the processor's first cache."""
    before, body = builder.block, builder.append_basic_block("rounds")
    builder.branch(body)
    builder.position_at_end(body)
    index = builder.phi(I32)
    index.add_incoming(I32(0), before)
    carried = [builder.phi(V16) for _ in start]
    words: list[ir.Value] = list(carried)
    for quarter in COLUMNS + DIAGONALS:
        _quarter_round(builder, words, *quarter)
    following = builder.add(index, I32(1))
    index.add_incoming(following, body)
    for phi, first, again in zip(carried, start, words, strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(again, body)
    after = builder.append_basic_block("rounds_done")
    builder.cbranch(builder.icmp_unsigned("<", following, I32(DOUBLE_ROUNDS)), body, after)
    builder.position_at_end(after)
    return words


def _quarter_round(builder: ir.IRBuilder, words: list[ir.Value], a: int, b: int, c: int, d: int) -> None:
    """RFC 8439, section 2.1."""
    for left, right, turned, bits in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        words[left] = builder.add(words[left], words[right])
        words[turned] = _rotated(builder, builder.xor(words[turned], words[left]), bits)


def _rotated(builder: ir.IRBuilder, value: ir.Value, bits: int) -> ir.Value:
    rotate = builder.module.declare_intrinsic("llvm.fshl.v16i32", (), ir.FunctionType(V16, [V16, V16, V16]))
    return builder.call(rotate, [value, value, splat(V16, bits)])
