"""Bringing the mirror up to date. A stream that was cut leaves the mirror as it was.

The server learns which epoch this device has, nothing of what it looks for.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from unseen import wire
from unseen.errors import IntegrityError, KeyMissing, ServerUnavailable
from unseen.types import CatalogueEntry, CollectionInfo
from unseen.v1 import index_pb2, types_pb2
from unseen_client import rpcs
from unseen_client.flows import collections
from unseen_client.keystore import CollectionKey
from unseen_client.mirror import Mirror
from unseen_client.retry import ask
from unseen_client.session import Session
from unseen_client.steps import Flow, local

IN_MEMORY_BYTES = 8 << 20
"""A larger stream waits on disk, still sealed, until its last message is here."""
SECONDS_PER_ROW = 0.001
"""Added to the time a synchronisation may take: a million records are gigabytes."""
_LENGTH_BYTES = 4


@dataclass(frozen=True)
class Place:
    """A collection with what this device keeps of it."""

    collection: CollectionInfo
    key: CollectionKey
    mirror: Mirror


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
    mirror = yield from local(lambda: session.mirror(server.store_uid, collection.uid))
    return Place(collection, key, mirror)


def open_current(session: Session, name: str) -> Flow[Place]:
    """The same, with the collection and the mirror as fresh as the server's catalogue."""
    seen = yield from open_place(session, name)
    before = yield from local(lambda: seen.mirror.epoch)
    collection = yield from collections.get(session, name)
    place = yield from _place(session, collection)
    yield from sync(session, place, collection.epoch, before if place.mirror is seen.mirror else 0)
    return place


def sync(session: Session, place: Place, epoch: int, epoch_before: int) -> Flow[None]:
    """Bring the mirror to the ``epoch`` that the server just named, or later.

    ``epoch_before`` is the mirror's before the server was asked. A server behind it went back in time (it was restored
    from a backup), so the mirror starts over. Nothing is asked when the mirror is there already.
    """
    if epoch < epoch_before:
        yield from local(place.mirror.empty)
    while (since := (yield from local(lambda: place.mirror.epoch))) < epoch:
        yield from _take_changes(session, place, since)


def _take_changes(session: Session, place: Place, since: int) -> Flow[None]:
    request = index_pb2.SyncCatalogueRequest(collection_uid=place.collection.uid, since_epoch=since)
    patience = session.patience.longer(SECONDS_PER_ROW * place.collection.rows)
    changes = yield from ask(patience, rpcs.SYNC_CATALOGUE, [request], lambda: Changes(session.home))
    try:
        if changes.epoch <= since:
            raise IntegrityError(
                f"the catalogue stands at epoch {changes.epoch}, the server named a later one; try again"
            )
        yield from local(lambda: place.mirror.apply(since, changes.epoch, changes.erased, changes.added()))
    finally:
        changes.close()


class Changes:
    """Receives one synchronisation stream and keeps it aside until it is complete."""

    def __init__(self, folder: Path) -> None:
        self._staged = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES, dir=str(folder))  # noqa: SIM115 - see close
        self._complete = False
        self.epoch = 0
        self.erased: list[bytes] = []

    def take(self, reply: index_pb2.SyncCatalogueResponse) -> None:
        self.erased.extend(wire.split_row_ids(reply.erased_row_ids))
        for entry in reply.added:
            data = entry.SerializeToString()
            self._staged.write(len(data).to_bytes(_LENGTH_BYTES, "little") + data)
        self.epoch = max(self.epoch, reply.epoch)
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
