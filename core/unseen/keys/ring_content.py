"""What a key ring holds, and its bytes. The server holds it; whoever opens it can open every row that was not erased.

magic        16  "unseen key ring" and the version, 1
store        16  uid of the store that it belongs to
kind         1   length, then ASCII: the kind of provider that wrapped the root key
root key     2   length, then the root key as the provider wrapped it
commitment   32  names the root key without revealing it: GCM alone would open under two keys
body             sealed under a key derived from the root key, bound to everything above

body:  state 16 | store key 32 | last erasure | trees | destroyed trees      (numbers are little-endian)

last erasure     1 byte, 0 for none, else 1 and request id 16, digest 32, collection uid 16, rows 4
trees            4 bytes count, then each: collection uid 16, tree id 16, 4 bytes nodes, their numbers 8, their keys 32
destroyed        4 bytes count, then each: tree id 16, 1 byte why
"""

from __future__ import annotations

import enum
import hmac
import struct
from array import array
from dataclasses import dataclass

from unseen import envelope
from unseen.envelope import KEY_BYTES, context
from unseen.errors import SealBroken, WrongKey
from unseen.keys.tree import KeyTree
from unseen.types import UID_BYTES

FORMAT = 1
_MAGIC = b"unseen key ring" + bytes([FORMAT])
_COUNT = struct.Struct("<I")
_DIGEST_BYTES = 32


class Destroyed(enum.IntEnum):
    """Why a tree is no longer there."""

    COLLECTION_DELETED = 1
    KEYS_RENEWED = 2


@dataclass(frozen=True)
class Erasure:
    """The request behind the last cut: a crash between ring and data must not make its repetition unknown."""

    request_id: bytes
    digest: bytes
    collection_uid: bytes
    row_count: int


@dataclass(frozen=True)
class CollectionTree:
    """The keys of a collection's rows. While its keys are renewed a collection has two."""

    collection_uid: bytes
    tree_id: bytes
    tree: KeyTree


@dataclass(frozen=True)
class RingContent:
    """Everything that is sealed in the body."""

    state: bytes
    """Sixteen random bytes, new with every change: the data notes the state that it is in step with."""
    store_key: bytes
    """Keys the digests of finished requests; the same for the life of the store."""
    last_erasure: Erasure | None
    trees: tuple[CollectionTree, ...]
    destroyed: tuple[tuple[bytes, Destroyed], ...]


@dataclass(frozen=True)
class WrappedRoot:
    """The root key as it lies on disk, and who can unwrap it."""

    kind: str
    wrapped: bytes


def root_context(store_uid: bytes) -> bytes:
    """What a provider binds the root key to."""
    return context("root key", store_uid)


def write(store_uid: bytes, root: WrappedRoot, root_key: bytes, content: RingContent) -> bytes:
    """The bytes of a ring."""
    kind = root.kind.encode("ascii")
    head = _MAGIC + store_uid + bytes([len(kind)]) + kind + struct.pack("<H", len(root.wrapped)) + root.wrapped
    head += _commitment(root_key)
    return head + envelope.seal(_sealing_key(root_key), _write_body(content), _place(head))


def read_head(data: bytes) -> tuple[bytes, WrappedRoot, int]:
    """Store uid, wrapped root key, and where the commitment starts; SealBroken for anything but a ring."""
    reader = _Reader(data)
    if reader.take(len(_MAGIC)) != _MAGIC:
        raise SealBroken("this is not a key ring of version 1: it was altered, cut, or written by another release")
    store_uid = reader.take(UID_BYTES)
    kind = reader.take(reader.take(1)[0])
    wrapped = reader.take(struct.unpack("<H", reader.take(2))[0])
    return store_uid, WrappedRoot(kind.decode("ascii", "replace"), wrapped), reader.position


def read_body(data: bytes, commitment_at: int, root_key: bytes) -> RingContent:
    """What is sealed in a ring; WrongKey for another root key, SealBroken when a byte was altered."""
    body_at = commitment_at + envelope.COMMITMENT_BYTES
    if len(data) < body_at:
        raise _was_cut()
    if not hmac.compare_digest(data[commitment_at:body_at], _commitment(root_key)):
        raise WrongKey("the key ring is sealed under another root key than the one it carries; restore it from a copy")
    try:
        body = envelope.open_sealed(_sealing_key(root_key), data[body_at:], _place(data[:body_at]))
    except SealBroken:
        raise SealBroken("the key ring was altered or cut; restore it from a copy") from None
    return _read_body(body)


def _place(head: bytes) -> bytes:
    return context("key ring", FORMAT, head)


def _commitment(root_key: bytes) -> bytes:
    return envelope.derive_key(root_key, b"unseen/key-ring/commitment")


def _sealing_key(root_key: bytes) -> bytes:
    return envelope.derive_key(root_key, b"unseen/key-ring/key")


def _write_body(content: RingContent) -> bytes:
    parts = [content.state, content.store_key]
    erasure = content.last_erasure
    if erasure:
        rows = _COUNT.pack(erasure.row_count)
        parts += [b"\x01", erasure.request_id, erasure.digest, erasure.collection_uid, rows]
    else:
        parts.append(b"\x00")
    parts.append(_COUNT.pack(len(content.trees)))
    for one in content.trees:
        numbers = _little_endian(one.tree.numbers).tobytes()
        parts += [one.collection_uid, one.tree_id, _COUNT.pack(len(one.tree.numbers)), numbers, one.tree.keys]
    parts.append(_COUNT.pack(len(content.destroyed)))
    for tree_id, why in content.destroyed:
        parts += [tree_id, bytes([why])]
    return b"".join(parts)


def _read_body(body: bytes) -> RingContent:
    reader = _Reader(body)
    state, store_key = reader.take(UID_BYTES), reader.take(KEY_BYTES)
    erasure = None
    if reader.take(1) == b"\x01":
        erasure = Erasure(reader.take(UID_BYTES), reader.take(_DIGEST_BYTES), reader.take(UID_BYTES), reader.count())
    trees = tuple(_read_tree(reader) for _ in range(reader.count()))
    destroyed = tuple((reader.take(UID_BYTES), _why(reader.take(1)[0])) for _ in range(reader.count()))
    if reader.position != len(body):
        raise _of_a_later_release()
    return RingContent(state, store_key, erasure, trees, destroyed)


def _why(number: int) -> Destroyed:
    try:
        return Destroyed(number)
    except ValueError:
        raise _of_a_later_release() from None


def _read_tree(reader: _Reader) -> CollectionTree:
    collection_uid, tree_id, nodes = reader.take(UID_BYTES), reader.take(UID_BYTES), reader.count()
    numbers = array("Q", reader.take(8 * nodes))
    return CollectionTree(
        collection_uid, tree_id, KeyTree.from_nodes(_little_endian(numbers), reader.take(KEY_BYTES * nodes))
    )


def _little_endian(numbers: array[int]) -> array[int]:
    """Swapped on a machine that is not: the same function both ways."""
    if struct.pack("=H", 1) != struct.pack("<H", 1):
        numbers = numbers[:]
        numbers.byteswap()
    return numbers


def _of_a_later_release() -> SealBroken:
    return SealBroken("the key ring holds more than this release knows; run the release that wrote it or a newer one")


def _was_cut() -> SealBroken:
    return SealBroken("the key ring was cut; restore it from a copy")


class _Reader:
    """Takes bytes from the front; SealBroken when there are not enough."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    def take(self, count: int) -> bytes:
        taken = self._data[self.position : self.position + count]
        if len(taken) != count:
            raise _was_cut()
        self.position += count
        return taken

    def count(self) -> int:
        return int(_COUNT.unpack(self.take(_COUNT.size))[0])
