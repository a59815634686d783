"""CollectionService: collections made, looked at, replaced, deleted."""

from __future__ import annotations

from unseen import wire
from unseen.audit.leaf import Details
from unseen.types import CollectionInfo
from unseen.v1 import collections_pb2, collections_pb2_grpc
from unseen_server.call import Call
from unseen_server.engine import Engine
from unseen_server.governance.assembly import Governance
from unseen_server.governance.erasing import RequestId
from unseen_server.workers import Workers

MAKING = b"making and deleting"
"""The turn of everything that changes the list of collections; taken before a collection's own."""


class CollectionService(collections_pb2_grpc.CollectionServiceServicer):
    """Messages in, calls of the engine, messages out."""

    def __init__(self, engine: Engine, governance: Governance, workers: Workers) -> None:
        self._engine = engine
        self._governance = governance
        self._workers = workers

    async def CreateCollection(  # noqa: N802 - the contract's name
        self, request: collections_pb2.CreateCollectionRequest, call: Call
    ) -> collections_pb2.CreateCollectionResponse:
        """Make an empty collection."""
        request_id = call.own_request_id(wire.require_uid(request.request_id, "a request id"))
        info = await self._workers.change_in_turn(
            (MAKING,),
            self._engine.create,
            call.caller,
            request_id,
            request.name,
            request.dimension,
            request.parameter_id,
            request.model_id,
        )
        call.notes.add(Details(collection=info.uid))
        return collections_pb2.CreateCollectionResponse(collection=wire.collection_to_message(info))

    async def GetCollection(  # noqa: N802
        self, request: collections_pb2.GetCollectionRequest, call: Call
    ) -> collections_pb2.GetCollectionResponse:
        """Show one collection."""
        info = self._engine.by_name(call.caller, request.name)
        call.notes.add(Details(collection=info.uid))
        return collections_pb2.GetCollectionResponse(collection=wire.collection_to_message(info))

    async def ListCollections(  # noqa: N802
        self, request: collections_pb2.ListCollectionsRequest, call: Call
    ) -> collections_pb2.ListCollectionsResponse:
        """Show all that the caller may touch."""
        found = [wire.collection_to_message(info) for info in self._engine.collections(call.caller)]
        return collections_pb2.ListCollectionsResponse(collections=found)

    async def DeleteCollection(  # noqa: N802
        self, request: collections_pb2.DeleteCollectionRequest, call: Call
    ) -> collections_pb2.DeleteCollectionResponse:
        """Destroy one with every row."""
        request_id = RequestId.of(call, wire.require_uid(request.request_id, "a request id"))
        uid = wire.require_uid(request.collection_uid, "a collection's uid")
        # Who names another tenant's collection must not wait for its changes: that would say that there is one.
        turns = (MAKING, uid) if self._engine.holds(call.caller, uid) else (MAKING,)
        certificate = await self._workers.change_in_turn(turns, self._delete, call, request_id, uid)
        return collections_pb2.DeleteCollectionResponse(certificate=certificate)

    def _delete(self, call: Call, request_id: RequestId, uid: bytes) -> bytes:
        erasing = self._governance.erasing
        if self._engine.holds(call.caller, uid):
            erasing.begin_collection(self._engine.by_uid(call.caller, uid), request_id)
        self._engine.delete(call.caller, request_id.own, uid)
        return erasing.collection_gone(uid, request_id)

    async def ReplaceCollection(  # noqa: N802
        self, request: collections_pb2.ReplaceCollectionRequest, call: Call
    ) -> collections_pb2.ReplaceCollectionResponse:
        """Put one in the place of another, which is destroyed with every row."""
        request_id = RequestId.of(call, wire.require_uid(request.request_id, "a request id"))
        uid = wire.require_uid(request.collection_uid, "a collection's uid")
        replaced = wire.require_uid(request.replaced_uid, "a collection's uid")
        held = sorted({one for one in (uid, replaced) if self._engine.holds(call.caller, one)})
        info, certificate = await self._workers.change_in_turn(
            (MAKING, *held), self._replace, call, request_id, request
        )
        collection = wire.collection_to_message(info)
        return collections_pb2.ReplaceCollectionResponse(collection=collection, certificate=certificate)

    def _replace(
        self, call: Call, request_id: RequestId, request: collections_pb2.ReplaceCollectionRequest
    ) -> tuple[CollectionInfo, bytes]:
        uid, replaced, epoch = request.collection_uid, request.replaced_uid, request.replaced_epoch
        erasing = self._governance.erasing
        if self._engine.holds(call.caller, replaced):
            self._engine.require_replaceable(call.caller, uid, replaced, epoch, request.name)
            erasing.begin_collection(self._engine.by_uid(call.caller, replaced), request_id)
        info = self._engine.replace(call.caller, request_id.own, uid, replaced, epoch, request.name)
        return info, erasing.collection_gone(replaced, request_id)
