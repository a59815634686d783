"""How a store seals: one key per collection under the master key, and what each seal is bound to.

The server holds these keys while it runs. On disk there are only wrapped ones, so a stolen disk gives sizes and counts.

    master key (a file outside the data directory)
    ├── wraps the store key       which keys the digests of finished requests; opening it proves the master key
    └── wraps each collection key which seals that collection's vectors

A vector's seal is bound to its format, collection, row, slot and epoch: sealed bytes put in another place, or brought
back from an older state of the same place, do not open.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Iterable

from unseen import envelope
from unseen.entropy import random_bytes
from unseen.envelope import SealingKey, context

VECTOR_FORMAT = 1

_ROW_PLACE = struct.Struct("<cI16scQcQ")


class CollectionSeal:
    """The key of one collection, ready to seal and open its vectors."""

    def __init__(self, collection_uid: bytes, key: bytes) -> None:
        self._key = SealingKey(key)
        self._place = context("vector", VECTOR_FORMAT, collection_uid)

    def seal_vector(self, row_id: bytes, slot: int, epoch: int, vector: bytes) -> bytes:
        """Seal one vector's bytes for its place."""
        return self._key.seal(vector, self._row_place(row_id, slot, epoch))

    def open_vector(self, row_id: bytes, slot: int, epoch: int, sealed: bytes) -> bytes:
        """One vector's bytes; SealBroken when they were altered or belong elsewhere."""
        return self._key.open(sealed, self._row_place(row_id, slot, epoch))

    def _row_place(self, row_id: bytes, slot: int, epoch: int) -> bytes:
        # The same bytes as context("vector", VECTOR_FORMAT, collection_uid, row_id, slot, epoch), in a third of the
        # time: a start opens every row.
        return self._place + _ROW_PLACE.pack(b"b", 16, row_id, b"i", slot, b"i", epoch)


def new_store_key(master_key: bytes, store_uid: bytes) -> bytes:
    """A fresh store key, wrapped: what a new store writes down first."""
    return envelope.wrap_key(master_key, random_bytes(envelope.KEY_BYTES), context("store key", store_uid))


def open_store_key(master_key: bytes, store_uid: bytes, wrapped: bytes) -> bytes:
    """The store key; WrongKey when the store was made under another master key."""
    return envelope.unwrap_key(master_key, wrapped, context("store key", store_uid))


def new_collection_key(master_key: bytes, store_uid: bytes, collection_uid: bytes) -> bytes:
    """A fresh collection key, wrapped."""
    place = context("collection key", store_uid, collection_uid)
    return envelope.wrap_key(master_key, random_bytes(envelope.KEY_BYTES), place)


def open_collection_seal(master_key: bytes, store_uid: bytes, collection_uid: bytes, wrapped: bytes) -> CollectionSeal:
    """A collection's key, ready for use; SealBroken or WrongKey when it is not this store's."""
    place = context("collection key", store_uid, collection_uid)
    return CollectionSeal(collection_uid, envelope.unwrap_key(master_key, wrapped, place))


def facts_seal(store_key: bytes) -> SealingKey:
    """The key that seals the bodies of facts."""
    return SealingKey(envelope.derive_key(store_key, b"unseen/store/facts"))


def request_digest(store_key: bytes, parts: Iterable[bytes | int | str]) -> bytes:
    """32 bytes that stand for a request's content; keyed, so that a stolen disk cannot test guesses of it."""
    digest = hmac.new(envelope.derive_key(store_key, b"unseen/store/request-digest"), digestmod=hashlib.sha256)
    for part in parts:
        digest.update(context(part))
    return digest.digest()
