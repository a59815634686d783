"""One search: encrypt on the device, let the server score, decrypt and name the rows on the device.

The server learns that this client searched, in which collection, when, and how many bytes went each way; never the
query, the scores, or which rows were among the best.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from google.protobuf.message import Message

from unseen import params, wire
from unseen.embed.dicom_model import is_dicom_model
from unseen.errors import (
    CollectionNotFound,
    IntegrityError,
    ModelMismatch,
    PackingChanged,
)
from unseen.he.packing import Packing
from unseen.he.quantise import Scales, quantise_query, to_cosines
from unseen.he.secret import ReplyKey
from unseen.params import ParameterSet
from unseen.types import CollectionInfo
from unseen.v1 import search_pb2
from unseen_client import rpcs
from unseen_client.flows import owner
from unseen_client.flows.plausible import require_plausible
from unseen_client.flows.reply import Reply
from unseen_client.flows.sync import Place, open_place, sync
from unseen_client.records import Record
from unseen_client.report import Hit
from unseen_client.retrieval.choice import Choice
from unseen_client.retrieval.fuse import Fused
from unseen_client.retrieval.rank import Ranking, hits
from unseen_client.retry import ask
from unseen_client.session import Session
from unseen_client.steps import Flow, local

Float32Array = npt.NDArray[np.float32]

MOST_REPACKINGS = 4
"""A collection that is re-packed at every try is growing faster than it can be searched."""
STUDY = "study"
"""Where a record of a DICOM object names its study."""
MOST_START_OVERS = 4
"""A mirror that starts over at every look belongs to a server that goes back in time all the time."""


@dataclass(frozen=True, eq=False)
class Wanted:
    """What is searched for, and how much of the answer is wanted."""

    query: Fused
    choice: Choice
    without: frozenset[bytes] = frozenset()
    """Row ids that may not be among the hits: the rows themselves, when more like them are looked for."""
    purpose: str = ""
    """What the search is for, where the collection has an agreement."""
    without_studies: frozenset[str] = frozenset()
    """Where hits are studies: those that may not be among them."""


def search(session: Session, name: str, wanted: Wanted) -> Flow[list[Hit]]:
    """The ``top_k`` best rows of a collection, best first."""
    for _ in range(MOST_REPACKINGS):
        known = session.known(name) is not None
        try:
            return (yield from _search_once(session, name, wanted))
        except PackingChanged:
            session.forget(name)
        except CollectionNotFound:
            if not known:
                raise
            session.forget(name)  # it may have been deleted and made again since this client looked
    raise PackingChanged(f"collection {name!r} was re-packed {MOST_REPACKINGS} times during one search; try again")


def _search_once(session: Session, name: str, wanted: Wanted) -> Flow[list[Hit]]:
    place = yield from open_place(session, name)
    _require_fits(place, wanted)
    if place.is_owner:
        return (yield from _search_owner(session, place, wanted))
    reply, parameters = yield from _ask_sealed(session, place, wanted)
    for _ in range(MOST_START_OVERS):
        yield from sync(session, place, reply.epoch)
        found = yield from local(lambda: _hits(place, parameters, reply, reply.raw_scores(), wanted))
        if found is not None:
            return found
    raise _went_back(place)


def _ask_sealed(session: Session, place: Place, wanted: Wanted) -> Flow[tuple[Reply, ParameterSet]]:
    """The reply of a collection that the server holds sealed, and what its scores are counted in."""
    parameters = params.by_id(place.collection.parameter_id)
    packing = Packing(parameters.ring_degree, place.collection.dimension, place.collection.packing_factor)
    query, reply_key = yield from local(lambda: _encrypt(session, parameters, packing, wanted.query.direction))
    requests = list(_requests(place.collection, query, wanted.purpose))
    reply = yield from ask(session.patience, rpcs.SEARCH, requests, lambda: Reply(parameters, packing, reply_key))
    return reply, parameters


def _search_owner(session: Session, place: Place, wanted: Wanted) -> Flow[list[Hit]]:
    """The same in an owner-encrypted collection. Nothing is asked once something is decrypted, come what may."""
    parameters = params.owner_by_id(place.collection.parameter_id)
    for _ in range(MOST_REPACKINGS):
        seen_epoch = yield from local(lambda: place.mirror.epoch)
        query = yield from local(lambda: owner.encrypt_query(place, wanted.query.direction))
        requests = list(_requests(place.collection, query, wanted.purpose))
        reply = yield from ask(session.patience, rpcs.SEARCH, requests, lambda: owner.OwnerReply(place))
        yield from sync(session, place, reply.epoch)
        moved_epoch = yield from local(lambda: place.mirror.moved_epoch)
        if not seen_epoch <= reply.epoch < moved_epoch:
            break  # else rows moved while this reply was made, and it has them where they stand no more

    def looked_at() -> list[Hit]:
        raw = reply.raw_scores()
        found = _hits(place, parameters, reply, raw, wanted)
        if found is None:
            raise _went_back(place)
        require_plausible(place, wanted.query, reply, raw, found, seen_epoch)
        return found

    return (yield from local(looked_at))


def _went_back(place: Place) -> IntegrityError:
    name = place.collection.name
    return IntegrityError(f"the server went back in time while collection {name!r} was searched; search again")


def _require_fits(place: Place, wanted: Wanted) -> None:
    """Refuse a query made for what a namesake was before it was deleted."""
    if place.metric != wanted.query.metric or wanted.query.direction.shape != (place.collection.dimension,):
        raise ModelMismatch(
            f"collection {place.collection.name!r} was made anew with other vectors while it was searched; search again"
        )


def _encrypt(
    session: Session, parameters: ParameterSet, packing: Packing, vector: Float32Array
) -> tuple[bytes, ReplyKey]:
    query = quantise_query(parameters, vector)
    return session.pool.take(parameters, packing).encrypt(query)


def _requests(collection: CollectionInfo, query: bytes, purpose: str) -> Iterator[Message]:
    yield search_pb2.SearchRequest(
        header=search_pb2.SearchHeader(
            collection_uid=collection.uid,
            parameter_id=collection.parameter_id,
            packing_factor=collection.packing_factor,
            purpose=purpose,
        )
    )
    for start in range(0, len(query), wire.MAX_CHUNK_BYTES):
        yield search_pb2.SearchRequest(query=query[start : start + wire.MAX_CHUNK_BYTES])


def _hits(
    place: Place, parameters: Scales, reply: AnyReply, raw: npt.NDArray[np.int64], wanted: Wanted
) -> list[Hit] | None:
    """The best rows by what a reply decrypted to; None when the mirror is behind: another call made it start over."""
    ranking = Ranking(
        wanted.choice,
        place.opened,
        wanted.query.exact,
        place.metric.on_device_only,
        wanted.without,
        study_of if is_dicom_model(place.collection.model_id) else None,
        wanted.without_studies,
    )
    scores = to_cosines(parameters, raw) * np.float32(wanted.query.length) + np.float32(wanted.query.offset)
    return hits(place.mirror, reply.by_slot(scores), reply.epoch, ranking)


def study_of(record: Record) -> str:
    """The pseudonym of a picture's study; the row's own id where it names none."""
    return record.extra.get(STUDY, record.id)


class AnyReply(Protocol):
    """A reply that came whole, of either kind of collection."""

    @property
    def epoch(self) -> int: ...
    def by_slot(self, scores: Float32Array) -> Float32Array: ...
