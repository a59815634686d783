"""One collection in memory, of either protection: ready to scan, kept in step with the store.

The server holds it, and with it what its protection lets a server hold. A mutation is durable first, then in memory,
then acknowledged; scans share a lock that a mutation takes alone for the few milliseconds of writing its blocks.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unseen.errors import CollectionNotFound, PackingChanged, StoreFailed
from unseen.he.packing import Packing
from unseen.store.interface import Change, Store, StoredCollection
from unseen.types import CollectionInfo, EncryptedBlock, RowBatch
from unseen_server.process import hand_back_freed_memory
from unseen_server.readers_writer import ReadersWriterLock

Compartments = Callable[[], frozenset[int]]
"""Says, when a scan begins, of which compartments rows may be scored."""
Extents = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ReplyStart:
    """What the blocks of a reply belong to."""

    epoch: int
    slots: int
    blocks: int
    """Blocks that follow."""
    extents: Extents | None
    """The extents whose blocks follow, rising; None for every one."""
    side_blocks: int = 0
    """Of an owner-encrypted collection: so many of the blocks are side blocks, and come first."""


class LiveCollection(ABC):
    """A collection that answers. Safe to call from several threads."""

    def __init__(self, store: Store, stored: StoredCollection) -> None:
        self._store = store
        self._stored = stored
        self._is_gone = False
        self._is_broken = False
        self._mutating = threading.RLock()
        self._lock = ReadersWriterLock()

    @property
    def info(self) -> CollectionInfo:
        """As it stands in memory, and so for the next search."""
        return self._stored.info

    @property
    def tenant(self) -> str:
        """Whose it is."""
        return self._stored.tenant

    @property
    @abstractmethod
    def packing(self) -> Packing:
        """How rows lie in polynomials now."""

    @property
    @abstractmethod
    def memory_bytes(self) -> int:
        """Bytes of packed rows."""

    @property
    @abstractmethod
    def bits_per_row(self) -> float:
        """Most bits that one search lets out about a row: one coefficient comes back for each."""

    @property
    @abstractmethod
    def query_bytes(self) -> int:
        """Length of every query."""

    @property
    @abstractmethod
    def reply_bytes(self) -> int:
        """Length of a reply that scores every row."""

    @abstractmethod
    def load(self) -> None:
        """Fill the memory from the store; before the first call of anything else."""

    # Mutations

    @abstractmethod
    def enrol(self, request_id: bytes, batch: RowBatch, compartment: int = 0) -> Change:
        """Add rows to a compartment: on disk, then searchable, then returned."""

    @abstractmethod
    def withhold(self, request_id: bytes, row_ids: tuple[bytes, ...]) -> Change:
        """Take rows out of every search and mirror: marked on disk, then gone from memory, then returned."""

    @abstractmethod
    def erase(self, request_id: bytes, row_ids: tuple[bytes, ...], block: EncryptedBlock | None = None) -> Change:
        """Destroy rows: gone from disk, then from memory, then returned.

        ``block``: of an owner-encrypted collection, the one that the rows stand in, anew and without them.
        """

    def delete(self, request_id: bytes) -> None:
        """Destroy the collection: gone from disk, then from memory, then returned."""
        with self.changing():
            self._store.delete(request_id, self.info.uid)
            self._leave_memory()
        hand_back_freed_memory()

    def give_way(self, to: LiveCollection, request_id: bytes, at_epoch: int, name: str) -> None:
        """Destroy this collection, as ``delete`` does, and give its name to another one, in one change."""
        with self.changing(), to.changing():
            stored = self._store.replace(request_id, to.info.uid, self.info.uid, at_epoch, name)
            self._leave_memory()
            to.renamed(stored)
        hand_back_freed_memory()

    def _leave_memory(self) -> None:
        with self._lock.writing():
            self._is_gone = True
            self._empty()

    def renamed(self, stored: StoredCollection) -> None:
        """Stand under the name that it has on disk now."""
        with self.changing(), self._lock.writing():
            self._stored = stored

    @abstractmethod
    def _empty(self) -> None:
        """Drop everything that memory holds."""

    @contextmanager
    def changing(self) -> Iterator[None]:
        """One change at a time, which may be made of several; whoever has begun one may begin another within it.

        After a failure of the store disk and memory may differ: nothing is answered from then on.
        """
        with self._mutating:
            self._require_whole()
            try:
                yield
            except StoreFailed:
                self._is_broken = True
                raise

    def _require_whole(self) -> None:
        if self._is_broken:
            raise StoreFailed("memory may be behind the disk after a failed change; restart the server to read it")

    def _apply(self, change: Change, write: Callable[[], None]) -> None:
        """Bring memory to a change that is on disk."""
        with self._lock.writing():
            try:
                write()
                self._stored = change.collection
            except Exception as error:
                self._is_broken = True  # before the lock goes back: the next search must not see half of a change
                raise StoreFailed(
                    f"a change is on disk but not in memory ({type(error).__name__}); restart the server to read it"
                ) from error

    # Searching

    @abstractmethod
    def answer(
        self,
        packing_factor: int,
        query: bytes,
        start: Callable[[ReplyStart], None],
        emit: Callable[[bytes], None],
        cancelled: Callable[[], bool],
        compartments: Compartments | None = None,
    ) -> None:
        """Score a query of exactly the right length, in the caller's thread: every row, or those of some compartments.

        Calls ``start`` once and then ``emit`` with whole blocks; both must return at once. MalformedMessage for a
        query that does not parse, PackingChanged when the collection was re-packed since the query was made.
        """

    @abstractmethod
    def compartment_of(self, slot: int) -> int:
        """The compartment of a row in this slot."""

    def _require_searchable(self, packing_factor: int) -> None:
        self._require_whole()
        if self._is_gone:
            raise CollectionNotFound("the collection was deleted while the query was on its way")
        self.require_packing(packing_factor)

    def require_packing(self, packing_factor: int) -> None:
        """PackingChanged unless a query was made for the packing of now."""
        if packing_factor != self.packing.factor:
            raise PackingChanged(
                f"the query was made for packing factor {packing_factor}, the collection has {self.packing.factor}; "
                "fetch the collection and encrypt the query anew"
            )
