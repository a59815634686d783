"""How a store seals: a key for every row, and what each seal is bound to.

The server holds these keys while it runs; they come from the key ring, which lies where the data is not
(``unseen.keys.ring``). The data directory holds no key, not even a wrapped one.

    key ring
    ├── store key          keys the digests of finished requests and seals facts
    ├── a tree for facts, a leaf per fact that is to be erased by key (about a data subject), by the fact's serial
    └── a tree per collection, a leaf per row or block, by its serial
        ├── row key        seals the row's vector, and the row's record once more: it came sealed by the device
        └── block key      seals a block of an owner-encrypted collection, which came encrypted by the device

Both seals of a row are bound to their format, collection, row, slot and epoch: sealed bytes put in another place, or
brought back from an older state of the same place, do not open. Once a row's serial is cut from the tree, nothing opens
either of them again, in this file or in any copy of it.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from unseen import envelope
from unseen.envelope import SealingKey, context
from unseen.errors import InvalidConfiguration, SealBroken
from unseen.keys.ring import KeyRing
from unseen.keys.ring_content import Destroyed, Erasure
from unseen.keys.tree import KeyTree
from unseen.keys.walk import KeyWalk

VECTOR_FORMAT = 2
RECORD_FORMAT = 1

_ROW_PLACE = struct.Struct("<cI16scQcQ")


class SealPlace(NamedTuple):
    """Where a row's sealed bytes belong, and whose key opens them."""

    row_id: bytes
    slot: int
    epoch: int
    serial: int


FACTS_UID = bytes(16)
"""Stands in the key ring where a tree of rows has its collection's uid; no collection has it."""


class StoreSeals:
    """Every seal of one store."""

    def __init__(self, ring: KeyRing) -> None:
        self.ring = ring
        self.facts = SealingKey(envelope.derive_key(ring.content.store_key, b"unseen/store/facts"))

    def collection(self, collection_uid: bytes, tree_id: bytes) -> CollectionSeal:
        """The keys of a collection's rows; InvalidConfiguration when this ring does not hold them."""
        tree = self.ring.tree(tree_id)
        if tree is None:
            raise self.missing_tree(tree_id)
        return CollectionSeal(collection_uid, tree)

    def missing_tree(self, tree_id: bytes) -> InvalidConfiguration:
        """Why data cannot be opened whose tree the ring does not hold."""
        if self.ring.why_destroyed(tree_id) is Destroyed.KEYS_RENEWED:
            return InvalidConfiguration(
                "this data is from before its keys were renewed (unseen server-keys rekey): no key opens it any more; "
                "use the data, or a backup of it, from after that"
            )
        return InvalidConfiguration(
            f"the key ring {self.ring.path} is older than the data: it lacks the keys of a collection; "
            "bring back the newest copy of the key ring"
        )

    def fact_keys(self) -> FactKeys:
        """The keys of facts that have one of their own, as they are now."""
        return FactKeys(self)

    def erase(self, collection_uid: bytes, serials: Iterable[int], erasure: Erasure | None) -> None:
        """Destroy the keys of rows: from here on nothing opens them, in no copy of the data. Before anything else."""
        self.ring.cut(collection_uid, serials, erasure)

    def request_digest(self, parts: Iterable[bytes | int | str]) -> bytes:
        """32 bytes that stand for a request's content; keyed, so that a stolen disk cannot test guesses of it."""
        key = envelope.derive_key(self.ring.content.store_key, b"unseen/store/request-digest")
        digest = hmac.new(key, digestmod=hashlib.sha256)
        for part in parts:
            digest.update(context(part))
        return digest.digest()


class FactKeys:
    """The keys of facts that have one of their own. For one thread."""

    def __init__(self, seals: StoreSeals) -> None:
        self._seals = seals
        self._walks: dict[bytes, KeyWalk] = {}

    def of(self, tree_id: bytes, serial: int) -> SealingKey | None:
        """The key of a fact, None when it was destroyed; InvalidConfiguration when this ring never held it."""
        if tree_id not in self._walks:
            tree = self._seals.ring.tree(tree_id)
            if tree is None and self._seals.ring.why_destroyed(tree_id) is Destroyed.COLLECTION_DELETED:
                return None
            if tree is None:
                raise self._seals.missing_tree(tree_id)
            self._walks[tree_id] = KeyWalk(tree)
        key = self._walks[tree_id].keys((serial,))[0]
        return None if key is None else SealingKey(key)


class CollectionSeal:
    """The keys of one collection's rows as they were when this was made. For one thread."""

    def __init__(self, collection_uid: bytes, tree: KeyTree) -> None:
        self._walk = KeyWalk(tree)
        self._vector_place = context("vector", VECTOR_FORMAT, collection_uid)
        self._record_place = context("record at rest", RECORD_FORMAT, collection_uid)

    def seal_vectors(self, places: Sequence[SealPlace], vectors: Iterable[bytes]) -> list[bytes]:
        """Seal each row's vector for its place; SEAL_OVERHEAD_BYTES longer."""
        return self._seal(self._vector_place, places, vectors)

    def open_vectors(self, places: Sequence[SealPlace], sealed: Iterable[bytes]) -> list[bytes]:
        """Each row's vector; SealBroken when one was altered, belongs elsewhere or was erased."""
        return self._open(self._vector_place, places, sealed)

    def seal_records(self, places: Sequence[SealPlace], records: Iterable[bytes]) -> list[bytes]:
        """Seal each row's record, which the device sealed already, once more; SEAL_OVERHEAD_BYTES longer."""
        return self._seal(self._record_place, places, records)

    def open_records(self, places: Sequence[SealPlace], sealed: Iterable[bytes]) -> list[bytes]:
        """Each row's record as the device sealed it; SealBroken as for vectors."""
        return self._open(self._record_place, places, sealed)

    def _seal(self, kind: bytes, places: Sequence[SealPlace], plaintexts: Iterable[bytes]) -> list[bytes]:
        return [
            SealingKey(key).seal(plaintext, _row_place(kind, place))
            for key, place, plaintext in zip(self._keys(places), places, plaintexts, strict=True)
        ]

    def _open(self, kind: bytes, places: Sequence[SealPlace], sealed: Iterable[bytes]) -> list[bytes]:
        return [
            SealingKey(key).open(_cell(one), _row_place(kind, place))
            for key, place, one in zip(self._keys(places), places, sealed, strict=True)
        ]

    def _keys(self, places: Iterable[SealPlace]) -> list[bytes]:
        keys = self._walk.keys(place.serial for place in places)
        present = [key for key in keys if key is not None]
        if len(present) != len(keys):
            raise SealBroken(
                "a row stands in the data whose key was destroyed; restart the server: it finishes erasures"
            )
        return present


def _cell(sealed: bytes) -> bytes:
    """What a cell holds: bytes, unless pages of several moments lie in one file, which give a cell anything."""
    if not isinstance(sealed, bytes):
        raise SealBroken("a row has no sealed bytes: pages of the data are not of one moment; restore a backup")
    return sealed


def _row_place(kind: bytes, place: SealPlace) -> bytes:
    # The same bytes as context(..., row id, slot, epoch), in a third of the time: a start opens every row.
    return kind + _ROW_PLACE.pack(b"b", 16, place.row_id, b"i", place.slot, b"i", place.epoch)
