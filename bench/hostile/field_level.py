"""Breaks one field of a message and keeps it a message: what it says cannot be, or is somebody else's."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from bench.fuzz.mutate import mutate_bytes, mutate_json
from bench.hostile.cast import Cast
from bench.hostile.right_calls import PARAMETERS
from unseen.errors import InvalidDocument
from unseen.governance.canonical import canonical_bytes, parse_object
from unseen.governance.signed import Signed
from unseen.he.bits import pack_bits
from unseen.params import SEED_BYTES

LENGTHS = (0, 1, 8, 15, 17, 31, 32, 33, 64, 65, 255, 4096, 65537, 1 << 20)
NUMBERS = (0, 1, 2, 3, 7, 8, 63, 64, 65, 255, 256, 1025, 65535, 65536, 10**6, 2**31 - 1, 2**31, 2**32 - 1)
LARGE_NUMBERS = (*NUMBERS, 2**32, 2**53, 2**62, 2**63 - 1, 2**63, 2**64 - 1)
TEXTS = (
    *("", "x", "A", "free", "agreed", "kept", "emergency", "research", "none", "reader", "admin", "../etc", "a\0b"),
    *("a" * 64, "a" * 65, "a" * 129, "x" * (1 << 20), "\u202e", "é" * 40, "a b", ".", "-", "0" * 16, "%s%n"),
    *("' OR 1=1 --", PARAMETERS.id),
)  # fmt: skip
EMPTY: dict[int, Any] = {
    FieldDescriptor.TYPE_STRING: "",
    FieldDescriptor.TYPE_BYTES: b"",
    FieldDescriptor.TYPE_UINT32: 0,
    FieldDescriptor.TYPE_UINT64: 0,
}
MOST_COPIES = (2, 3, 100, 10_000)


def break_fields(message: Message, cast: Cast, chance: random.Random) -> None:
    """Break one to three fields, in whatever message within this one they are."""
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        _break_one(message, cast, chance)


def _break_one(message: Message, cast: Cast, chance: random.Random) -> None:
    known: list[Any] = [field for field in message.DESCRIPTOR.fields if not _is_other_choice(message, field)]
    if not known:
        return
    field = chance.choice(known)
    if field.is_repeated:
        _break_repeated(message, field, cast, chance)
    elif field.type == FieldDescriptor.TYPE_MESSAGE:
        if chance.random() < 0.1:
            message.ClearField(field.name)
        else:
            inner: Message = getattr(message, field.name)
            inner.SetInParent()
            _break_one(inner, cast, chance)
    elif chance.random() < 0.1:
        message.ClearField(field.name)
    else:
        setattr(message, field.name, _other(field, getattr(message, field.name), cast, chance))


def _is_other_choice(message: Message, field: Any) -> bool:
    """Whether setting a field would do away with what the message is about: its header, its batch."""
    of = field.containing_oneof
    return of is not None and message.WhichOneof(of.name) not in (None, field.name)


def _break_repeated(message: Message, field: FieldDescriptor, cast: Cast, chance: random.Random) -> None:
    items: Any = getattr(message, field.name)
    match chance.randrange(4):
        case 0:
            message.ClearField(field.name)
        case 1 if items:
            del items[chance.randrange(len(items))]
        case 2 if items:
            copies = [items[0]] * chance.choice(MOST_COPIES)
            items.extend(copies)
        case _ if field.type == FieldDescriptor.TYPE_MESSAGE:
            items.add()
        case _:
            items.append(_other(field, EMPTY[field.type], cast, chance))


def _other(field: FieldDescriptor, value: Any, cast: Cast, chance: random.Random) -> Any:
    match field.type:
        case FieldDescriptor.TYPE_BOOL:
            return not value
        case FieldDescriptor.TYPE_STRING:
            return chance.choice(TEXTS) if chance.random() < 0.8 else value + chance.choice(TEXTS)[:100]
        case FieldDescriptor.TYPE_BYTES:
            return _other_bytes(field.name, value, cast, chance)
        case FieldDescriptor.TYPE_UINT32:
            return chance.choice((*NUMBERS, max(value - 1, 0), min(value + 1, 2**32 - 1)))
        case _:
            return chance.choice((*LARGE_NUMBERS, max(value - 1, 0)))


def _other_bytes(name: str, value: bytes, cast: Cast, chance: random.Random) -> bytes:
    if name in ("policy", "consent") and chance.random() < 0.7:
        return _document(name, value, cast, chance)
    if name == "vectors" and value and chance.random() < 0.5:
        return _vectors(value, chance)
    match chance.randrange(5):
        case 0:
            return chance.choice(cast.foreign)
        case 1:
            return bytes(chance.choice(LENGTHS))
        case 2:
            return chance.randbytes(chance.choice((16, 16, 32, 48)))
        case 3:
            return value * chance.choice((2, 3)) if len(value) < 1 << 18 else value[:-1]
        case _:
            return mutate_bytes(value, chance, 1 << 20)


def _document(name: str, value: bytes, cast: Cast, chance: random.Random) -> bytes:
    """A document that says something else: rightly signed, canonical, or neither."""
    try:
        document = parse_object(value)
        inner = document["document"] if name == "policy" else document
        changed = mutate_json(canonical_bytes(inner), chance, 60_000)
        if chance.random() < 0.3:
            return changed
        said = parse_object(changed)
        if name == "policy":
            return Signed.make("policy", said, cast.key.public_key, cast.key.sign).to_bytes()
        return canonical_bytes(said)
    except (InvalidDocument, KeyError, UnicodeEncodeError):
        return mutate_bytes(value, chance, 1 << 16)


def _vectors(value: bytes, chance: random.Random) -> bytes:
    """Numbers that no row has: too long, or the least number there is."""
    row = np.frombuffer(value, "<i2").copy()
    row[chance.randrange(len(row))] = chance.choice((-32768, 32767, 300, -300))
    return row.tobytes()


def break_query(parts: Sequence[bytes], chance: random.Random) -> bytes:
    """A query of the right length with residues that are none, zeros for a ciphertext, or a seed twice."""
    query = bytearray(b"".join(parts))
    width = PARAMETERS.residue_bits - PARAMETERS.query_drop_bits
    chunk = SEED_BYTES + PARAMETERS.ring_degree * width // 8
    match chance.randrange(4):
        case 0:
            values = np.ones((1, PARAMETERS.ring_degree), np.uint32)
            values[0, chance.randrange(PARAMETERS.ring_degree)] = (1 << width) - 1
            query[SEED_BYTES:chunk] = pack_bits(values, width).tobytes()
        case 1:
            query[SEED_BYTES:chunk] = bytes(chunk - SEED_BYTES)
        case 2:
            query[chunk : chunk + SEED_BYTES] = query[:SEED_BYTES]
        case _:
            return mutate_bytes(bytes(query), chance, len(query) + 4096)
    return bytes(query)
