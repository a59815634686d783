"""What a store promises, whatever lies beneath. The server holds it; a device never does.

A store is the only truth: memory is derived from it and rebuilt at start. Every implementation passes the same suite
(tests/core/store/test_store.py). The promises:

- A change that returned is on disk. A change that raised StoreFailed may or may not be; after one, the store is dead.
- A change is whole or absent, also after kill -9: ``enrol`` and ``erase`` take all their rows or none.
- A change carries a request id. The same id with the same content, while its effect stands, changes nothing and is
  answered again; the same id with other content, or after its effect was undone, is refused (RequestReplayed).
- An erased row's sealed bytes are gone from every file of the store before ``erase`` returns.
- Every row is sealed here under a key of its own; its record arrives sealed by the device and is sealed once more.
- The key of an erased row is destroyed before anything else: no older copy of the store brings the row back.

Slots are places in a score vector. A row takes the lowest free slot of its compartment, else the next new one. Rows of
different compartments never share an extent of SLOTS_PER_EXTENT slots, and so never a block of any packing.

Beside collections a store keeps **facts**: what was agreed, granted, withdrawn, ordered. They are appended and never
changed; what holds now is computed from them by whoever knows their kind.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from unseen.types import SLOTS_PER_EXTENT as SLOTS_PER_EXTENT
from unseen.types import CatalogueChanges, CatalogueEntry, CollectionInfo, EncryptedBlock, Int16Matrix, RowBatch

Slots = npt.NDArray[np.int64]

VECTORS_AT_ONCE = 4096
"""Rows that ``vectors`` opens in one go: 4 MiB at dimension 512, enough to fill whole blocks of every packing."""


@dataclass(frozen=True)
class NewCollection:
    """What a collection is made with."""

    name: str
    dimension: int
    parameter_id: str
    model_id: str
    packing_factor: int
    tenant: str = ""
    """Whose it is; names are unique within a tenant."""


@dataclass(frozen=True)
class StoredCollection:
    """A collection as it stands on disk."""

    info: CollectionInfo
    packed_at_slots: int
    """Slots there were when the packing factor was chosen."""
    tenant: str = ""
    """Whose it is."""


@dataclass(frozen=True)
class Change:
    """What a mutation of rows did."""

    epoch: int
    """The epoch of the mutation; of the first time when it is a repetition."""
    slots: Slots
    """int64 (n,): the slot of each row, in the order given; empty when it is a repetition."""
    collection: StoredCollection
    """As it stands now."""
    repeated: bool
    """True when the request had already been carried out and nothing was done now."""


@dataclass(frozen=True)
class PlacedRow:
    """A row and its place."""

    row_id: bytes
    slot: int
    withheld: bool


@dataclass(frozen=True)
class SlottedVectors:
    """Opened rows with their places, in slot order."""

    slots: Slots
    vectors: Int16Matrix


@dataclass(frozen=True)
class StoredBlock:
    """A block of an owner-encrypted collection, as its owner wrote it."""

    number: int
    epoch: int
    """The epoch that wrote it."""
    ciphertexts: bytes


@dataclass(frozen=True)
class Fact:
    """Something that was written down once. ``kind`` and ``key`` are readable on disk, ``body`` is sealed there."""

    sequence: int
    """Its place among all facts of the store, from 1."""
    kind: str
    key: bytes
    """What it is about: a uid, or empty."""
    body: bytes


class FactStore(Protocol):
    """As much of a store as those need who only write facts down; ``Store`` says what each promises."""

    def facts(self, kind: str, key: bytes | None = None, after: int = 0) -> tuple[Fact, ...]: ...

    def append_fact(self, kind: str, key: bytes, body: bytes, request_id: bytes | None = None) -> Fact: ...


class Store(ABC):
    """Collections, rows, facts and finished requests, durable. Safe to call from several threads."""

    @property
    @abstractmethod
    def uid(self) -> bytes:
        """Sixteen random bytes made with the store: names it for mirrors."""

    @abstractmethod
    def collections(self) -> tuple[StoredCollection, ...]:
        """Every collection, sorted by tenant and name."""

    @abstractmethod
    def create(self, request_id: bytes, new: NewCollection) -> StoredCollection:
        """Make an empty collection; CollectionExists when the tenant has one of this name."""

    @abstractmethod
    def delete(self, request_id: bytes, uid: bytes) -> None:
        """Destroy a collection: its key, its rows, its name; CollectionNotFound when there is none."""

    @abstractmethod
    def replace(
        self, request_id: bytes, uid: bytes, replaced_uid: bytes, replaced_epoch: int, name: str
    ) -> StoredCollection:
        """Destroy a collection as ``delete`` does and give its name to the collection ``uid``, in one change.

        BlockChanged unless it stands at ``replaced_epoch``. One that is gone already, because a crash cut this very
        change short, leaves its name; CollectionExists when that was taken since.
        """

    @abstractmethod
    def repacked(self, uid: bytes, packing_factor: int, at_slots: int) -> StoredCollection:
        """Remember another packing factor and the slot count it was chosen at; the epoch stays."""

    @abstractmethod
    def enrol(self, request_id: bytes, uid: bytes, batch: RowBatch, compartment: int = 0) -> Change:
        """Add rows to a compartment; RowExists when one is there already, InvalidInput when one comes twice."""

    @abstractmethod
    def enrol_encrypted(self, request_id: bytes, uid: bytes, batch: RowBatch) -> Change:
        """Add rows of an owner-encrypted collection in the slots that they name, and write the batch's blocks.

        All or nothing. BlockChanged when a block was written or a slot taken after the epoch that the writer knew.
        """

    @abstractmethod
    def move_encrypted(self, request_id: bytes, uid: bytes, batch: RowBatch) -> Change:
        """Give rows that are there the slots that the batch names, and write its blocks; its records are left out.

        All or nothing, and the rows keep their keys. BlockChanged as for ``enrol_encrypted``, RowNotFound.
        """

    @abstractmethod
    def erase_encrypted(
        self, request_id: bytes, uid: bytes, row_ids: tuple[bytes, ...], block: EncryptedBlock
    ) -> Change:
        """Destroy rows of an owner-encrypted collection, and every version of their block but this one.

        BlockChanged as for ``enrol_encrypted``, RowNotFound as for ``erase``.
        """

    @abstractmethod
    def blocks(self, uid: bytes) -> Iterator[StoredBlock]:
        """The newest version of every block of an owner-encrypted collection; SealBroken when one was altered."""

    @abstractmethod
    def taken_slots(self, uid: bytes, row_ids: tuple[bytes, ...] | None = None) -> tuple[int, ...]:
        """The slots of these rows in their order, or of all rows, rising; RowNotFound when one is not there."""

    @abstractmethod
    def withhold(self, request_id: bytes, uid: bytes, row_ids: tuple[bytes, ...]) -> Change:
        """Take rows out of ``vectors`` and ``changes`` for good, as if erased, but keep them on disk until ``erase``.

        RowNotFound when one is not there or is withheld already, InvalidInput when one comes twice.
        """

    @abstractmethod
    def erase(self, request_id: bytes, uid: bytes, row_ids: tuple[bytes, ...]) -> Change:
        """Destroy rows, withheld ones too; RowNotFound when one is not there, InvalidInput when one comes twice."""

    @abstractmethod
    def renew_keys(self, uid: bytes) -> int:
        """Seal every row and block of a collection under fresh keys and destroy the old ones; how many rows there are.

        Whole or absent, also after kill -9. No copy of the data from before opens any more.
        """

    @abstractmethod
    def key_tree(self, uid: bytes) -> bytes:
        """Names the tree of the key ring that a collection's rows have their keys from."""

    @abstractmethod
    def knows_request(self, request_id: bytes) -> bool:
        """Whether a mutation with this request id was ever carried out."""

    @abstractmethod
    def extents(self, uid: bytes) -> tuple[int, ...]:
        """The compartment of each extent of slots, in order."""

    @abstractmethod
    def rows_resting_on(self, uid: bytes, consent: bytes) -> tuple[PlacedRow, ...]:
        """Every row that was enrolled under a consent and is not erased, withheld ones included, in slot order."""

    @abstractmethod
    def withheld(self, uid: bytes) -> tuple[PlacedRow, ...]:
        """Every withheld row, in slot order."""

    @abstractmethod
    def entries(self, uid: bytes, row_ids: tuple[bytes, ...]) -> tuple[CatalogueEntry, ...]:
        """These rows as mirrors have them, in the order given, withheld ones too; RowNotFound when one is not there."""

    @abstractmethod
    def vectors(self, uid: bytes) -> Iterator[SlottedVectors]:
        """Every live vector in slot order, at most VECTORS_AT_ONCE a time; SealBroken when one was altered."""

    @abstractmethod
    def changes(
        self, uid: bytes, since_epoch: int, until_epoch: int, page_bytes: int, rows: int
    ) -> Iterator[CatalogueChanges]:
        """What changed after an epoch and until another, in pages of about ``page_bytes`` and at least one.

        Erasures come first. Every page names the epoch at which a taker of all of them stands: ``until_epoch`` or the
        store's own if that is lower, or, when more than ``rows`` were added since, the one that added the last of so
        many; never one before ``since_epoch``. A row that was added and erased since then does not come. Mismatch when
        the store has not reached ``since_epoch``.
        """

    @abstractmethod
    def append_fact(
        self, kind: str, key: bytes, body: bytes, request_id: bytes | None = None, own_key: bool = False
    ) -> Fact:
        """Write a fact down; with a request id, the same request again gives the same fact.

        One with a key of its own is gone from older copies of the store too once it is forgotten.
        """

    @abstractmethod
    def facts(self, kind: str, key: bytes | None = None, after: int = 0) -> tuple[Fact, ...]:
        """Every fact of a kind (and key) after a sequence number, in order; SealBroken when one was altered."""

    @abstractmethod
    def forget_facts(self, kinds: str | tuple[str, ...], *keys: bytes) -> int:
        """Destroy the bodies of facts, and the keys of those that have one; they come no more. How many there were.

        Of one kind or several, under these keys; all at once or none.
        """

    @property
    @abstractmethod
    def size_bytes(self) -> int:
        """About how many bytes a snapshot takes."""

    @abstractmethod
    def snapshot(self, path: Path, go_on: Callable[[], None] = lambda: None) -> None:
        """Write a copy of the store as it is at one moment to a new file; changes go on meanwhile.

        The file is one that ``SqliteStore`` opens, whatever kind of store this is, and it holds no key.
        LimitExceeded when there is no room for it, and what ``go_on`` raises, which is called before each part.
        """

    @abstractmethod
    def when_failed(self, tell: Callable[[], None]) -> None:
        """Call ``tell``, from any thread, when the store is dead: also when that shows while nobody asks it anything.

        What is in memory must not be answered from then on: another server may hold the store by now.
        """

    @abstractmethod
    def close(self) -> None:
        """Finish what is under way and let go of the files; a second call does nothing."""
