"""Collections: made, shown, deleted; and the server's own facts."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt

from unseen import params, wire
from unseen.entropy import random_uid
from unseen.errors import (
    DeadlineExceeded,
    InvalidInput,
    InvalidVector,
    MalformedMessage,
    Mismatch,
    ParameterMismatch,
    ServerUnavailable,
    UnseenError,
)
from unseen.he.packing import MOST_DIMENSION
from unseen.params import OwnerParameterSet, ParameterSet
from unseen.signature import PUBLIC_KEY_BYTES
from unseen.types import CollectionInfo
from unseen.v1 import collections_pb2, info_pb2
from unseen_client import rpcs
from unseen_client.flows import known_log
from unseen_client.keys.keystore import ROTATING, CollectionKey
from unseen_client.report import OnlyKeyHere, ServerInfo
from unseen_client.retrieval.metric import Cosine, Metric
from unseen_client.retry import ask_one
from unseen_client.session import Session
from unseen_client.steps import Flow, local

NO_MODEL = "none"
"""The model id of collections whose vectors are the caller's own."""
COSINE = Cosine()
SEALED, OWNER = "sealed", "owner"
"""Protections: the server seals rows with its own key, or they are encrypted before they come to it."""


def server_info(session: Session) -> Flow[ServerInfo]:
    """The server's facts; asked once per client."""
    if session.server is None:
        reply = yield from ask_one(
            session.patience, rpcs.GET_SERVER_INFO, [info_pb2.GetServerInfoRequest()], info_pb2.GetServerInfoResponse
        )
        if not (reply.max_rows_per_enrolment and reply.max_message_bytes and reply.max_record_bytes):
            raise MalformedMessage("the server says that it takes nothing at all; it does not fit this client")
        store_uid = wire.require_uid(reply.store_uid, "the store's uid")
        yield from known_log.meet(session, store_uid, reply)
        session.server = ServerInfo(
            version=reply.version,
            store_uid=store_uid,
            parameter_ids=tuple(reply.parameter_ids),
            max_rows_per_enrolment=reply.max_rows_per_enrolment,
            max_message_bytes=reply.max_message_bytes,
            max_record_bytes=reply.max_record_bytes,
            signing_keys=_signing_keys(reply),
        )
    return session.server


def _signing_keys(reply: info_pb2.GetServerInfoResponse) -> tuple[bytes, ...]:
    if any(len(key) != PUBLIC_KEY_BYTES for key in reply.signing_keys):
        raise MalformedMessage(f"a server's signing key has another length than {PUBLIC_KEY_BYTES} bytes")
    return tuple(reply.signing_keys)


def create(
    session: Session,
    name: str,
    model: str | None,
    dimension: int | None,
    parameters: ParameterSet | OwnerParameterSet,
    keep_vectors: bool,
    metric: Metric = COSINE,
) -> Flow[CollectionInfo]:
    """Make a collection and its record key; the key is on this device's disk when this returns."""
    _require_metric_fits(metric, dimension, keep_vectors)
    if isinstance(parameters, OwnerParameterSet):
        _require_owner_fits(metric, keep_vectors)
    model_id, dimension = yield from _what_vectors(session, model, dimension)
    yield from local(session.keys.require_private)
    server = yield from server_info(session)
    owner_key: bytes | None = None
    if isinstance(parameters, OwnerParameterSet):
        if parameters.id not in server.parameter_ids:
            raise ParameterMismatch("this server knows no owner-encrypted collections; nothing was made")
        yield from local(partial(session.keys.require_private, protected=True))
        owner_key = yield from local(partial(_owner_key, parameters))
    request = collections_pb2.CreateCollectionRequest(
        request_id=random_uid(),
        name=name,
        dimension=dimension + metric.extra,
        parameter_id=parameters.id,
        model_id=model_id,
    )

    def key_for(uid: bytes) -> CollectionKey:
        return CollectionKey.make(
            uid,
            name,
            keep_vectors=keep_vectors,
            store_uid=server.store_uid,
            metric=metric.name,
            longest=metric.longest,
            owner_key=owner_key,
        )

    made = yield from _made(session, request, key_for)
    if owner_key is not None:
        warn_of_only_key(name)
    return made


def warn_of_only_key(name: str) -> None:
    """Say of a key that was just made what its loss means, and what there is against it."""
    warnings.warn(
        f"losing the key of {name} loses the collection, and only this device has it: print a recovery sheet, `unseen "
        f"keys export {name} FILE --printable`, or keep an export",
        OnlyKeyHere,
        stacklevel=2,
    )


def create_successor(session: Session, like: CollectionInfo) -> Flow[CollectionInfo]:
    """Make an empty owner-encrypted collection that will take the place of another, with keys of its own.

    Its key is kept under the name that it will have.
    """
    server = yield from server_info(session)
    yield from local(partial(session.keys.require_private, protected=True))
    owner_key = yield from local(partial(_owner_key, params.owner_by_id(like.parameter_id)))
    request = collections_pb2.CreateCollectionRequest(
        request_id=random_uid(),
        name=like.name + ROTATING,
        dimension=like.dimension,
        parameter_id=like.parameter_id,
        model_id=like.model_id,
    )

    def key_for(uid: bytes) -> CollectionKey:
        return CollectionKey.make(uid, like.name, keep_vectors=True, store_uid=server.store_uid, owner_key=owner_key)

    return (yield from _made(session, request, key_for))


def _made(
    session: Session,
    request: collections_pb2.CreateCollectionRequest,
    key_for: Callable[[bytes], CollectionKey],
) -> Flow[CollectionInfo]:
    """Have a collection made, and keep its key."""
    name = request.name
    try:
        reply = yield from ask_one(
            session.patience, rpcs.CREATE_COLLECTION, [request], collections_pb2.CreateCollectionResponse
        )
    except (ServerUnavailable, DeadlineExceeded) as error:
        error.add_note(
            f"if {name!r} exists when the server is back, nobody holds its record key: delete it, then create it"
        )
        raise
    collection = wire.collection_from_message(reply.collection)
    _require_as_asked(collection, request)
    try:
        yield from local(lambda: session.keys.put(key_for(collection.uid)))
    except UnseenError as error:
        error.add_note(
            f"collection {name!r} was made, but without a record key it is of no use: delete it, then create it"
        )
        raise
    return session.remember(collection)


def _owner_key(parameters: OwnerParameterSet) -> bytes:
    """A fresh key for the rows of an owner-encrypted collection, 32 bytes."""
    from unseen.he.owner.secret import OwnerKey

    with OwnerKey.generate(parameters) as key:
        return key.root


def _require_owner_fits(metric: Metric, keep_vectors: bool) -> None:
    """Refuse what is not built for owner-encrypted collections; raises InvalidInput."""
    if metric.name != COSINE.name:
        raise InvalidInput(f"got metric={metric.name!r}; owner-encrypted collections are compared by cosine so far")
    if not keep_vectors:
        raise InvalidInput("owner-encrypted blocks are written anew from the records' vectors; leave keep_vectors on")


def _require_metric_fits(metric: Metric, dimension: int | None, keep_vectors: bool) -> None:
    """Refuse a metric where rows are a model's, or where it cannot be computed; raises InvalidInput."""
    if dimension is None and metric.name != COSINE.name:
        raise InvalidInput(
            f"got metric={metric.name!r} for a collection of a model; a model's vectors are compared by cosine, for "
            "which they are made. Give dimension= for vectors of your own"
        )
    if metric.on_device_only and not keep_vectors:
        raise InvalidInput(
            f"the metric {metric.name!r} is computed on the device from the records' vectors; leave keep_vectors on"
        )
    if dimension is not None and dimension + metric.extra > MOST_DIMENSION:
        raise InvalidInput(
            f"got dimension={dimension}; vectors compared by {metric.name} have at most "
            f"{MOST_DIMENSION - metric.extra} numbers"
        )


def _require_as_asked(made: CollectionInfo, request: collections_pb2.CreateCollectionRequest) -> None:
    got = (made.name, made.dimension, made.parameter_id, made.model_id)
    asked = (request.name, request.dimension, request.parameter_id, request.model_id)
    if got != asked:
        raise Mismatch(f"asked for {asked}, the server made {got}; it does not fit this client")


def _what_vectors(session: Session, model: str | None, dimension: int | None) -> Flow[tuple[str, int]]:
    """Model id and dimension of a new collection, from what the caller said of them."""
    if dimension is not None:
        if model is not None:
            raise InvalidInput("give model= or dimension=, not both: a model has its own dimension")
        if not 0 < dimension < 1 << 32:
            raise InvalidInput(f"got dimension={dimension}; give the number of coordinates of your vectors, 8 to 4096")
        return NO_MODEL, dimension
    wanted = model or "bundled"
    registry = yield from local(lambda: session.models(wanted))
    named = {entry.name: entry for entry in map(registry.entry, registry.names())}
    named |= {entry.model_id: entry for entry in named.values()}
    if wanted not in named:
        raise InvalidInput(
            f"no model is named {model!r} here; give one of {', '.join(registry.names())}, add an adapter with `unseen "
            "adapters add FILE` or a model with `unseen models pull`, or give dimension= for vectors of your own"
        )
    return named[wanted].model_id, named[wanted].dimension


def get(session: Session, name: str) -> Flow[CollectionInfo]:
    """A collection as it stands now."""
    yield from server_info(session)
    reply = yield from ask_one(
        session.patience,
        rpcs.GET_COLLECTION,
        [collections_pb2.GetCollectionRequest(name=name)],
        collections_pb2.GetCollectionResponse,
    )
    if reply.collection.name != name:
        raise Mismatch(f"asked for collection {name!r}, the server shows another one; it does not fit this client")
    return session.remember(wire.collection_from_message(reply.collection))


def get_known(session: Session, name: str) -> Flow[CollectionInfo]:
    """A collection as last seen, or as it stands now."""
    known = session.known(name)
    if known is not None:
        return known
    return (yield from get(session, name))


def list_all(session: Session) -> Flow[list[CollectionInfo]]:
    """Every collection, by name."""
    yield from server_info(session)
    reply = yield from ask_one(
        session.patience,
        rpcs.LIST_COLLECTIONS,
        [collections_pb2.ListCollectionsRequest()],
        collections_pb2.ListCollectionsResponse,
    )
    return [session.remember(wire.collection_from_message(message)) for message in reply.collections]


def delete(session: Session, name: str) -> Flow[None]:
    """Delete a collection with every row; then this device's mirror and record key of it."""
    session.forget(name)
    collection = yield from get(session, name)
    server = yield from server_info(session)
    held = yield from local(lambda: session.keys.readable(collection.uid))
    if held is not None:
        held.require_right(name, server.store_uid)  # its key would be destroyed below
    request = collections_pb2.DeleteCollectionRequest(request_id=random_uid(), collection_uid=collection.uid)
    yield from ask_one(session.patience, rpcs.DELETE_COLLECTION, [request], collections_pb2.DeleteCollectionResponse)
    session.forget(name)
    yield from local(lambda: session.destroy(server.store_uid, collection.uid))


def protected_set(protection: str, parameters: ParameterSet | str | None) -> ParameterSet | OwnerParameterSet:
    """The parameter set of a new collection: "sealed" takes any of its own, "owner" has one."""
    if protection == SEALED:
        return parameter_set(parameters)
    if protection != OWNER:
        raise InvalidInput(f"got protection={protection!r}; expected {SEALED!r} or {OWNER!r}: docs/owner-encrypted.md")
    if parameters not in (None, params.OWNER_DEFAULT.name):
        raise InvalidInput(f"owner-encrypted collections have the parameter set {params.OWNER_DEFAULT.name}, no other")
    return params.require_safe(params.OWNER_DEFAULT)


def parameter_set(parameters: ParameterSet | str | None) -> ParameterSet:
    """A parameter set by itself, by name or by default; unsafe ones are refused."""
    chosen = params.by_name(parameters) if isinstance(parameters, str) else parameters or params.DEFAULT
    return params.require_safe(chosen)


def as_vectors(vectors: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Anything that is numbers, as float32; raises InvalidVector for what is not."""
    try:
        return np.asarray(vectors, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise InvalidVector("got something that is not an array of numbers; give float32 (n, d), or (d,)") from error
