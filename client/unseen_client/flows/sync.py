"""Bringing the mirror up to date. A stream that was cut leaves the mirror as it was.

Only the server's own refusal of the mirror's epoch says that it went back in time: what two answers say of a collection
that changes meanwhile may come in any order.

The server learns which epoch this device has, nothing of what it looks for.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from unseen import params, wire
from unseen.errors import DeadlineExceeded, IntegrityError, KeyMissing, Mismatch, ServerUnavailable
from unseen.types import CatalogueEntry, CollectionInfo
from unseen.v1 import index_pb2, types_pb2
from unseen_client import rpcs
from unseen_client.flows import collections
from unseen_client.keys.keystore import CollectionKey
from unseen_client.mirror import Mirror
from unseen_client.records import Record, open_record
from unseen_client.report import StoreWentBack
from unseen_client.retrieval.metric import Metric, in_own_scale, metric_of
from unseen_client.retry import Patience, ask
from unseen_client.session import Session
from unseen_client.steps import Flow, local

IN_MEMORY_BYTES = 8 << 20
"""A larger stream waits on disk, still sealed, until its last message is here."""
SECONDS_PER_ROW = 0.001
"""Added to the time a synchronisation may take: a million records are gigabytes."""
MOST_ROWS_WAITED_FOR = 10_000_000
"""A server that names more rows gets no more time for naming them, only for sending them."""
_LENGTH_BYTES = 4


@dataclass(frozen=True)
class Place:
    """A collection with what this device keeps of it."""

    collection: CollectionInfo
    key: CollectionKey
    mirror: Mirror

    @property
    def metric(self) -> Metric:
        """How its rows are compared."""
        return metric_of(self.key.metric, self.key.longest)

    @property
    def dimension(self) -> int:
        """Numbers in a vector: the server's rows may have one or two more, for the metric."""
        return self.collection.dimension - self.metric.extra

    @property
    def is_owner(self) -> bool:
        """Whether its rows are encrypted under a key of this device's: as the key says, not the server."""
        return self.key.owner_key is not None

    def opened(self, row: bytes, sealed: bytes) -> Record:
        """The record of a row, its vector as long as its owner gave it; raises SealBroken."""
        record = open_record(self.key.record_key, self.collection.uid, row, sealed)
        if record.vector is None:
            return record
        return replace(record, vector=in_own_scale(self.metric, record.vector))


def open_place(session: Session, name: str) -> Flow[Place]:
    """The collection as last seen, its record key and its mirror; raises KeyMissing before more is asked."""
    was_known = session.known(name) is not None
    collection = yield from collections.get_known(session, name)
    try:
        return (yield from _place(session, collection))
    except KeyMissing:
        if not was_known:
            raise
    # It may have been deleted on this device, with its key, and made again since this client looked.
    return (yield from _place(session, (yield from collections.get(session, name))))


def _place(session: Session, collection: CollectionInfo) -> Flow[Place]:
    key = yield from local(lambda: session.keys.get(collection.uid, collection.name))
    server = yield from collections.server_info(session)
    key.require_right(collection.name, server.store_uid)
    key.require_protection(params.is_owner(collection.parameter_id))
    mirror = yield from local(lambda: session.mirror(server.store_uid, collection.uid))
    return Place(collection, key, mirror)


def open_current(session: Session, name: str) -> Flow[Place]:
    """The same, with the collection and the mirror as fresh as the server's catalogue."""
    yield from open_place(session, name)
    collection = yield from collections.get(session, name)
    place = yield from _place(session, collection)
    yield from sync(session, place, collection.epoch)
    return place


def sync(session: Session, place: Place, epoch: int) -> Flow[None]:
    """Bring the mirror to the ``epoch`` that the server named, or later; nothing is asked when it is there already.

    A mirror beyond it was brought there by another call, or the server was restored from a backup: the server is asked
    which. Raises IntegrityError for a server that names epochs and never gets there, DeadlineExceeded.
    """
    budget = _Budget(session.patience, place.collection.rows)
    since = yield from local(lambda: place.mirror.epoch)
    if since > epoch:
        yield from _take_changes(session, place, since, since, budget)
    while (since := (yield from local(lambda: place.mirror.epoch))) < epoch:
        yield from _take_changes(session, place, since, epoch, budget)


def take_own(session: Session, place: Place, since: int, epoch: int, written: Iterable[CatalogueEntry]) -> Flow[None]:
    """Take what this device has just had written at ``epoch`` into the mirror, without having it sent back.

    ``since``: the mirror's epoch before. Where somebody else wrote in between, the server is asked.
    """
    if epoch == since + 1:
        yield from local(lambda: place.mirror.apply(since, epoch, (), written, remembers=place.is_owner))
    yield from sync(session, place, epoch)


def look_again(session: Session, place: Place) -> Flow[None]:
    """Bring the mirror up to what others changed meanwhile: the server just refused what was made from it."""
    collection = yield from collections.get(session, place.collection.name)
    yield from sync(session, place, collection.epoch)


class _Budget:
    """The time one synchronisation may take, however many streams it has."""

    def __init__(self, patience: Patience, rows_named: int) -> None:
        self._patience = patience
        self._began = patience.clock()
        self._rows_named = min(rows_named, MOST_ROWS_WAITED_FOR)
        self.rows_received = 0

    def left(self) -> Patience:
        """Patience for the next stream; raises DeadlineExceeded when none is left."""
        extra_s = SECONDS_PER_ROW * max(self._rows_named, self.rows_received)
        extra_s -= self._patience.clock() - self._began
        if self._patience.timeout_s + extra_s <= 0:
            raise DeadlineExceeded(
                f"{self._patience.server} did not bring the mirror up to date in time; what has come is kept, "
                "call again to go on, or give a longer timeout_s"
            )
        return self._patience.longer(extra_s)


def _take_changes(session: Session, place: Place, since: int, wanted: int, budget: _Budget) -> Flow[None]:
    """Take one stream, which need not reach ``wanted`` but has to move."""
    try:
        changes = yield from _ask(session, place, since, budget)
    except Mismatch:
        if not since:
            raise
        yield from _start_over(session, place, since, budget)
        return
    try:
        if changes.epoch < wanted and (changes.epoch <= since or not changes.rows):
            raise IntegrityError(
                f"the catalogue ends at epoch {changes.epoch} after {changes.rows} rows, the server named {wanted}; "
                "try again"
            )
        yield from local(lambda: _apply(session, place, since, changes))
    finally:
        changes.close()


def _apply(session: Session, place: Place, since: int, changes: Changes) -> None:
    """Take the changes into the mirror; of rows that are gone, the way back to their objects goes first."""
    forget = partial(session.forget_ways_back, place.collection.uid)
    place.mirror.apply(since, changes.epoch, changes.erased, changes.added(), remembers=place.is_owner, forget=forget)


def _start_over(session: Session, place: Place, seen: int, budget: _Budget) -> Flow[None]:
    """Put what the server has in place of a mirror whose epoch it refused; says so in a warning."""
    changes = yield from _ask(session, place, 0, budget)
    try:
        replaced = yield from local(
            lambda: place.mirror.apply(
                seen, changes.epoch, (), changes.added(), replace_all=True, remembers=place.is_owner
            )
        )
    finally:
        changes.close()
    if replaced:
        warnings.warn(
            f"the server's store went back in time: collection {place.collection.name!r} was at epoch {seen}, the "
            f"server knows no such epoch and sent {changes.epoch}; this device's mirror started over. Was the server "
            "restored from a backup? Rows that were erased since may be back",
            StoreWentBack,
            stacklevel=2,
        )


def _ask(session: Session, place: Place, since: int, budget: _Budget) -> Flow[Changes]:
    request = index_pb2.SyncCatalogueRequest(collection_uid=place.collection.uid, since_epoch=since)
    changes = yield from ask(budget.left(), rpcs.SYNC_CATALOGUE, [request], lambda: Changes(session.home))
    budget.rows_received += changes.rows
    return changes


class Changes:
    """Receives one synchronisation stream and keeps it aside until it is complete."""

    def __init__(self, folder: Path) -> None:
        self._staged = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES, dir=str(folder))  # noqa: SIM115 - see close
        self._complete = False
        self.epoch = 0
        self.rows = 0
        """Rows added and erased."""
        self.erased: list[bytes] = []

    def take(self, reply: index_pb2.SyncCatalogueResponse) -> None:
        erased = wire.split_row_ids(reply.erased_row_ids)
        self.erased.extend(erased)
        self.rows += len(erased) + len(reply.added)
        for entry in reply.added:
            data = entry.SerializeToString()
            self._staged.write(len(data).to_bytes(_LENGTH_BYTES, "little") + data)
        self.epoch = max(self.epoch, wire.require_epoch(reply.epoch, "a catalogue"))
        self._complete = reply.last

    def finish(self) -> None:
        if not self._complete:
            raise ServerUnavailable("the catalogue's stream was cut before its last message")

    def added(self) -> Iterator[CatalogueEntry]:
        """The entries in the order in which they came."""
        self._staged.seek(0)
        while length := self._staged.read(_LENGTH_BYTES):
            data = self._staged.read(int.from_bytes(length, "little"))
            yield wire.entry_from_message(types_pb2.CatalogueEntry.FromString(data))

    def close(self) -> None:
        """Drop what was kept aside."""
        self._staged.close()
