"""Breaks the bytes of a message: at any level of nesting, with the levels around it right, or anywhere.

Source: https://protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from bench.protobuf_bytes import tag, varint

MOST_DEPTH = 6
_LENGTH_DELIMITED = 2
WIRE_TYPES = range(8)

BreakBytes = Callable[[bytes, random.Random], bytes]


def at_some_level(message: Message, chance: random.Random, break_bytes: BreakBytes) -> bytes:
    """The message's bytes with those of one message within it broken, and lengths around it that fit again."""
    inner = [(field, value) for field, value in message.ListFields() if field.type == FieldDescriptor.TYPE_MESSAGE]
    if not inner or chance.random() < 0.3:
        return break_bytes(message.SerializeToString(), chance)
    field, value = chance.choice(inner)
    one: Message = value if isinstance(value, Message) else next(iter(value))
    broken = at_some_level(one, chance, break_bytes)
    rest = type(message)()
    rest.CopyFrom(message)
    rest.ClearField(field.name)
    return rest.SerializeToString() + tag(field.number, _LENGTH_DELIMITED) + varint(len(broken)) + broken


def garbage(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + chance.randbytes(chance.choice((1, 3, 16, 200))) + data[at:]


def cut(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data) + 1)]


def flipped(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice((1, 2, 8))):
        if changed:
            changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def unknown_field(data: bytes, chance: random.Random) -> bytes:
    """Numbers that nobody uses, the ones that are not allowed, and every kind of content."""
    number = chance.choice((0, 15, 1000, 18999, 19000, (1 << 29) - 1, 1 << 29, (1 << 61) - 1))
    content = (b"\1", bytes(8), b"\3abc", b"", tag(number, 4), bytes(4), b"", b"")[kind := chance.choice(WIRE_TYPES)]
    return data + tag(number, kind) + content


def wrong_wire_type(data: bytes, chance: random.Random) -> bytes:
    return data + tag(chance.randrange(1, 9), chance.choice(WIRE_TYPES)) + chance.randbytes(9)


def twice(data: bytes, chance: random.Random) -> bytes:
    """Every field a second time: the last one counts, lists double."""
    return data * chance.choice((2, 2, 3, 50))


def lying_length(data: bytes, chance: random.Random) -> bytes:
    """A field that says it is longer than what is left."""
    length = chance.choice((len(data) + 1, 1 << 20, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, (1 << 64) - 1))
    return data + tag(chance.randrange(1, 8), _LENGTH_DELIMITED) + varint(length) + b"abc"


def endless_varint(data: bytes, chance: random.Random) -> bytes:
    return data + tag(chance.randrange(1, 8), 0) + b"\xff" * chance.choice((9, 10, 11, 100))


def deep_groups(data: bytes, chance: random.Random) -> bytes:
    return data + tag(chance.randrange(1, 8), 3) * chance.choice((2, 101, 5000))


def nothing(_: bytes, __: random.Random) -> bytes:
    return b""


BREAKS: tuple[BreakBytes, ...] = (
    *(garbage, cut, flipped, unknown_field, wrong_wire_type, twice, lying_length, endless_varint, deep_groups, nothing),
)
