"""Changes one input into another, from a seeded generator: bytes as bytes, and JSON documents as trees."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

DEEP = "\0deep\0"
"""Stands for an array too deep for any parser until the document is written."""
ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**31, 2**53, 2**63, 2**64, 10**30, 10**400, 0.5, -0.0, 1e308, float("inf"),
    float("nan"), "", "0", "a" * 3000, "\ud800", "\0", "\u202e", "é", [], {}, [[]], {"": 0}, DEEP,
)  # fmt: skip
ODD_BYTES = (0, 1, 7, 8, 0x0A, 0x20, 0x22, 0x30, 0x5B, 0x7B, 0x7F, 0x80, 0xFE, 0xFF)
ODD_NUMBERS = (0, 1, 2, 127, 128, 255, 256, 1 << 15, 1 << 16, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 63)


def mutate_bytes(data: bytes, chance: random.Random, most_bytes: int) -> bytes:
    """One to four changes: bits, bytes, runs taken, doubled or put in, numbers written over."""
    changed = bytearray(data)
    for _ in range(1 << chance.randrange(3)):
        chance.choice(_CHANGES)(changed, chance)
    return bytes(changed[:most_bytes])


def _flip(data: bytearray, chance: random.Random) -> None:
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _set(data: bytearray, chance: random.Random) -> None:
    if data:
        data[chance.randrange(len(data))] = chance.choice(ODD_BYTES)


def _cut(data: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(data) + 1)
    del data[start : start + chance.choice((1, 2, 4, 16, 256, len(data)))]


def _repeat(data: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(data) + 1)
    run = data[start : start + chance.choice((1, 4, 16, 64))]
    data[start:start] = run * chance.choice((1, 2, 64))


def _insert(data: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(data) + 1)
    data[start:start] = chance.randbytes(chance.choice((1, 2, 8, 32)))


def _number(data: bytearray, chance: random.Random) -> None:
    size = chance.choice((1, 2, 4, 8))
    if len(data) >= size:
        start = chance.randrange(len(data) - size + 1)
        number = chance.choice(ODD_NUMBERS) & (1 << 8 * size) - 1
        data[start : start + size] = number.to_bytes(size, chance.choice(("little", "big")))


_CHANGES: tuple[Callable[[bytearray, random.Random], None], ...] = (_flip, _set, _cut, _repeat, _insert, _number)


def mutate_json(data: bytes, chance: random.Random, most_bytes: int) -> bytes:
    """A document with one to four of its values changed, taken away, doubled or put elsewhere; bytes if it is none."""
    try:
        tree = json.loads(data)
    except (ValueError, RecursionError):
        return mutate_bytes(data, chance, most_bytes)
    for _ in range(1 << chance.randrange(3)):
        tree = _changed(tree, chance)
    text = json.dumps(tree, ensure_ascii=chance.random() < 0.5, sort_keys=True, separators=(",", ":"))
    text = text.replace(json.dumps(DEEP), "[" * 100_000, 1)
    return text.encode("utf-8", "surrogatepass")[: max(most_bytes, 100_000 if "[[[[" in text else 0)]


def _changed(tree: Any, chance: random.Random) -> Any:
    """The tree with one change somewhere in it."""
    if isinstance(tree, dict) and tree and chance.random() < 0.85:
        name = chance.choice(list(tree))
        return _changed_dict(dict(tree), name, chance)
    if isinstance(tree, list) and tree and chance.random() < 0.85:
        at = chance.randrange(len(tree))
        return _changed_list(list(tree), at, chance)
    if isinstance(tree, str) and tree and chance.random() < 0.6:
        return mutate_bytes(tree.encode("utf-8", "surrogatepass"), chance, 4096).decode("utf-8", "replace")
    if isinstance(tree, int) and chance.random() < 0.5:
        return tree + chance.choice((-1, 1, 256, -256))
    odd = chance.choice(ODD_VALUES)
    return odd if odd is not DEEP or chance.random() < 0.1 else None


def _changed_dict(tree: dict[str, Any], name: str, chance: random.Random) -> dict[str, Any]:
    match chance.randrange(8):
        case 0:
            del tree[name]
        case 1:
            tree[chance.choice(("", "x", "format", "\ud800", name.upper()))] = tree[name]
        case 2:
            tree[name] = chance.choice(list(tree.values()))
        case _:
            tree[name] = _changed(tree[name], chance)
    return tree


def _changed_list(tree: list[Any], at: int, chance: random.Random) -> list[Any]:
    match chance.randrange(6):
        case 0:
            del tree[at]
        case 1:
            tree += [tree[at]] * chance.choice((1, 2, 100))
        case _:
            tree[at] = _changed(tree[at], chance)
    return tree
