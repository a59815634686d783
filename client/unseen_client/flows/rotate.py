"""New keys for an owner-encrypted collection: its rows go through this device into a new one, which takes its place.

    NAME.rotating is made, with an owner key and a record key of its own
    every row: record opened with the old key, sealed with the new one, its vector encrypted into new blocks
    what changed meanwhile: carried over, erased, until both are the same
    ReplaceCollection at the old one's epoch: the old one is destroyed, the new one has its name, in one change
    the old key, mirror and ways back are destroyed here

Until the replacement others read and write the old one as ever; what they write makes it be refused, and is carried
over first. Everything may stop anywhere: what is there already is found there the next time. The server learns that a
collection was written anew, and which rows are of one size. That it has replaced one is believed only where this device
had seen every row in the new one and asked for it: else its word alone would have the only key destroyed.

Done from records, as blocks are written anew: never from what the server's ciphertexts decrypt to.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt

from unseen import wire
from unseen.entropy import random_uid
from unseen.errors import (
    BlockChanged,
    CollectionExists,
    CollectionNotFound,
    IntegrityError,
    InvalidInput,
    KeyMissing,
    RowExists,
    UnseenError,
)
from unseen.types import CollectionInfo
from unseen.v1 import collections_pb2, index_pb2
from unseen_client import rpcs
from unseen_client.flows import collections
from unseen_client.flows.enrol import ROWS_PER_STREAM
from unseen_client.flows.enrol_stream import MOST_TRIES, Row, entries_of, seal_stream
from unseen_client.flows.rows import erase_rows
from unseen_client.flows.sync import Place, look_again, open_current, take_own
from unseen_client.keys.keystore import ROTATING
from unseen_client.keys.rotations import Rotation
from unseen_client.records import Record, row_id
from unseen_client.retry import ask_one
from unseen_client.session import Session
from unseen_client.steps import Flow, Progress, local

Float32Array = npt.NDArray[np.float32]


def rotate(session: Session, name: str) -> Flow[int]:
    """Give a collection new keys, or go on with what was begun; gives how many rows it has.

    Raises InvalidInput for a sealed collection, KeyMissing when another device is at it.
    """
    server = yield from collections.server_info(session)
    begun = yield from local(lambda: session.rotations.of(server.store_uid, name))
    session.forget(name)
    try:
        current: CollectionInfo | None = yield from collections.get(session, name)
    except CollectionNotFound:
        if begun is None or not begun.is_asked:
            raise
        current = None  # a crash of the server between the old one's end and the new one's name
    if begun is not None and current is not None and current.uid not in (begun.old_uid, begun.new_uid):
        yield from local(partial(session.rotations.forget, begun))  # another device was faster, or it was made anew
        begun = None
    try:
        if begun is None or (current is not None and current.uid == begun.old_uid):
            begun = yield from _carry_all(session, name, begun)
        elif current is None:
            yield from _put_in_place(session, begun, 0)
        elif not begun.is_asked:
            yield from local(partial(_require_destroyed, session, begun))
    except UnseenError as error:
        error.add_note("nothing is lost: the old keys serve until all is done; rotate again to go on")
        raise
    return (yield from _end(session, begun))


def _require_destroyed(session: Session, rotation: Rotation) -> None:
    """Refuse a replacement that nobody asked for, unless another run of this device has ended it already."""
    if session.keys.readable(rotation.old_uid) is not None:
        raise IntegrityError(
            f"the server shows a collection as {rotation.name!r} that was to take its place, before this device had "
            "put every row there and asked for that; the old key was kept. Do not trust this server"
        )


def _carry_all(session: Session, name: str, begun: Rotation | None) -> Flow[Rotation]:
    """Carry over until the one can take the place of the other, and have it do so."""
    old = yield from open_current(session, name)
    if not old.is_owner:
        raise InvalidInput(
            f"collection {name!r} is sealed, not owner-encrypted: its rows cannot be encrypted anew from here. Make "
            "another one and enrol into that"
        )
    new, rotation = yield from _successor(session, old, begun)
    for tries in itertools.count(1):
        yield from local(partial(session.rotations.note, rotation))
        epoch = old.mirror.epoch
        yield from _carry(session, old, new)
        try:
            if old.mirror.epoch != epoch:  # another call of this device has brought it up to date meanwhile
                raise BlockChanged("the collection was changed while its rows were carried over")
            yield from local(partial(session.rotations.note, replace(rotation, is_asked=True)))
            yield from _put_in_place(session, rotation, epoch)
            return rotation
        except BlockChanged:
            if tries == MOST_TRIES:
                raise
            old = yield from _still_there(session, old)
    raise AssertionError("unreachable: the loop above ends by returning or raising")


def _still_there(session: Session, old: Place) -> Flow[Place]:
    current = yield from open_current(session, old.collection.name)
    if current.collection.uid != old.collection.uid:
        raise KeyMissing(f"collection {old.collection.name!r} was replaced by another device; ask there for its key")
    return current


def _successor(session: Session, old: Place, begun: Rotation | None) -> Flow[tuple[Place, Rotation]]:
    """The collection that takes the other's place: made now, or found as an earlier try left it."""
    collection, name = old.collection, old.collection.name + ROTATING
    session.forget(name)
    try:
        made = yield from collections.get(session, name)
    except CollectionNotFound:
        made = yield from collections.create_successor(session, collection)
    held = yield from local(lambda: session.keys.readable(made.uid))
    if held is None:
        raise KeyMissing(
            f"another device is giving collection {collection.name!r} new keys: wait for it and ask there for the new "
            f"key. If that device is lost, or it was this one and was stopped at once, `unseen delete {name}`, then "
            "rotate again"
        )
    if held.owner_key in (None, old.key.owner_key) or held.record_key == old.key.record_key:
        raise IntegrityError(f"the server shows a collection as {name!r} whose keys are no new ones; do not trust it")
    server = yield from collections.server_info(session)
    rotation = Rotation(server.store_uid, collection.name, collection.uid, made.uid)
    if begun is not None and begun.new_uid != rotation.new_uid:
        yield from local(partial(session.rotations.forget, begun))
    return (yield from open_current(session, name)), rotation


def _put_in_place(session: Session, rotation: Rotation, epoch: int) -> Flow[None]:
    request = collections_pb2.ReplaceCollectionRequest(
        request_id=random_uid(),
        collection_uid=rotation.new_uid,
        replaced_uid=rotation.old_uid,
        replaced_epoch=epoch,
        name=rotation.name,
    )
    try:
        yield from ask_one(
            session.patience, rpcs.REPLACE_COLLECTION, [request], collections_pb2.ReplaceCollectionResponse
        )
    except (CollectionExists, CollectionNotFound):
        # Another run of this device may have done it a moment ago.
        if (yield from collections.get(session, rotation.name)).uid != rotation.new_uid:
            raise


def _end(session: Session, rotation: Rotation) -> Flow[int]:
    """Destroy here what belongs to the old collection, now that the new one stands in its place."""
    for name in (rotation.name, rotation.name + ROTATING):
        session.forget(name)
    place = yield from open_current(session, rotation.name)
    if place.collection.uid != rotation.new_uid:
        raise IntegrityError(
            f"the server shows another collection as {rotation.name!r} than the one that took its place; the old key "
            "was kept. Do not trust this server"
        )
    yield from local(partial(session.destroy, rotation.store_uid, rotation.old_uid))
    yield from local(partial(session.rotations.forget, rotation))
    collections.warn_of_only_key(rotation.name)
    return place.mirror.rows


# Rows


def _carry(session: Session, old: Place, new: Place) -> Flow[None]:
    """Bring the new collection to what this device's mirror of the old one holds."""
    total, wanted = old.mirror.rows, set[bytes]()
    server = yield from collections.server_info(session)
    most = min(ROWS_PER_STREAM, server.max_rows_per_enrolment)
    for start in range(0, total, most):
        page = yield from local(partial(old.mirror.page, most, start))
        wanted |= yield from _carry_page(session, old, new, page)
        yield Progress(min(start + most, total), total, "rows")
    there = yield from local(lambda: [row for row, _ in new.mirror.page(-1, 0)])
    yield from erase_rows(session, new, [row for row in there if row not in wanted])


def _carry_page(session: Session, old: Place, new: Place, page: Sequence[tuple[bytes, bytes]]) -> Flow[set[bytes]]:
    """Some rows of the old collection, as they are, into the new one; gives the ids that they have there."""
    server = yield from collections.server_info(session)
    records = yield from local(lambda: {_new_id(new, one): one for one in (old.opened(*row) for row in page)})
    for tries in itertools.count(1):
        others, missing = yield from local(partial(_differing, new, records))
        yield from erase_rows(session, new, others)
        rows = [Row(_vector_of(record), record) for record in missing]
        if not rows:
            break
        since = new.mirror.epoch
        messages = yield from local(partial(seal_stream, new, server, rows, as_kept=True))
        try:
            reply = yield from ask_one(session.patience, rpcs.ENROL_ROWS, messages, index_pb2.EnrolRowsResponse)
            epoch = wire.require_epoch(reply.epoch, "an enrolment")
            yield from take_own(session, new, since, epoch, entries_of(messages, epoch))
        except (BlockChanged, RowExists):  # another run of this device is at it too
            if tries == MOST_TRIES:
                raise
            yield from look_again(session, new)
    yield from local(partial(_carry_ways_back, session, old, new, page, list(records)))
    return set(records)


def _new_id(new: Place, record: Record) -> bytes:
    return row_id(new.key.record_key, record.id)


def _vector_of(record: Record) -> Float32Array:
    if record.vector is None:
        raise IntegrityError("a record of this owner-encrypted collection lacks its vector; erase that row first")
    return record.vector


def _differing(new: Place, records: dict[bytes, Record]) -> tuple[list[bytes], list[Record]]:
    """Rows that are there with another content, and the records of all that are not there as they should be."""
    others, missing = [], []
    for row, record in records.items():
        sealed = new.mirror.sealed_record(row)
        held = None if sealed is None else new.opened(row, sealed)
        if held is not None and _same(held, record):
            continue
        missing.append(record)
        if held is not None:
            others.append(row)
    return others, missing


def _same(one: Record, other: Record) -> bool:
    return replace(one, vector=None) == replace(other, vector=None) and np.array_equal(
        _vector_of(one), _vector_of(other)
    )


def _carry_ways_back(
    session: Session, old: Place, new: Place, page: Sequence[tuple[bytes, bytes]], new_ids: Sequence[bytes]
) -> None:
    """The way back to this site's objects, under the new record key; who was let to use it is not carried over."""
    server = session.server
    if server is None or not session.crosswalk_path(server.store_uid, old.collection.uid).exists():
        return
    before, after = (session.crosswalk(server.store_uid, place.key) for place in (old, new))
    ways = {now: way for (row, _), now in zip(page, new_ids, strict=True) if (way := before.get(row)) is not None}
    after.put(ways)
