"""A paper server: the contract in memory in its plainest form, scoring with the real scan. No network, no disk."""

from __future__ import annotations

import heapq
import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from google.protobuf.message import Message

from unseen import params, wire
from unseen.errors import (
    CollectionExists,
    CollectionNotFound,
    Mismatch,
    PackingChanged,
    RequestReplayed,
    RowExists,
    RowNotFound,
)
from unseen.he.mask import MaskSource
from unseen.he.packing import Packing
from unseen.he.scan import ScanIndex
from unseen.types import CatalogueEntry, CollectionInfo
from unseen.v1 import collections_pb2, governance_pb2, index_pb2, info_pb2, search_pb2
from unseen_client.steps import Exchange


@dataclass
class PaperCollection:
    uid: bytes
    name: str
    dimension: int
    parameter_id: str
    model_id: str
    factor: int = 4
    epoch: int = 0
    slots: int = 0
    free: list[int] = field(default_factory=list)
    rows: dict[bytes, tuple[CatalogueEntry, np.ndarray]] = field(default_factory=dict)
    erased: list[tuple[int, bytes]] = field(default_factory=list)

    def info(self) -> CollectionInfo:
        return CollectionInfo(
            self.uid, self.name, self.dimension, self.parameter_id, self.model_id, self.factor,
            len(self.rows), self.slots, self.epoch,
        )  # fmt: skip


class PaperServer:
    """What the contract asks of a server, in its plainest form; scores with the real scan."""

    def __init__(self) -> None:
        self.collections: dict[str, PaperCollection] = {}
        self.done: dict[bytes, tuple[bytes, object]] = {}
        self.log: list[str] = []
        self.received = b""
        self.store_uid = b"s" * 16
        self.max_rows = 1000
        self.max_record_bytes = 1 << 18
        self._counter = itertools.count(1)

    def answer(self, exchange: Exchange) -> Iterator[Message]:
        """The replies to one exchange, one by one; raises what a server would abort with."""
        method = exchange.rpc.path.rpartition("/")[2]
        self.log.append(method)
        for request in exchange.requests:
            data = request.SerializeToString()
            assert len(data) <= (1 << 20) + 64, "a message is larger than the contract allows"
            self.received += data
        yield from getattr(self, "on" + re.sub("([A-Z])", r"_\1", method).lower())(exchange.requests)

    def _of(self, uid: bytes) -> PaperCollection:
        found = next((one for one in self.collections.values() if one.uid == uid), None)
        if found is None:
            raise CollectionNotFound("no collection has this uid")
        return found

    def on_get_server_info(self, _):
        yield info_pb2.GetServerInfoResponse(
            version="paper",
            store_uid=self.store_uid,
            parameter_ids=[params.DEFAULT.id],
            max_rows_per_enrolment=self.max_rows,
            max_message_bytes=(1 << 20) + 1024,
            max_record_bytes=self.max_record_bytes,
        )

    def _once(self, request_id: bytes, content: bytes, work: Callable[[], object]) -> tuple[object, bool]:
        assert len(request_id) == 16
        if request_id in self.done:
            before, result = self.done[request_id]
            if before != content:
                raise RequestReplayed("request id used for something else")
            return result, True
        result = work()
        self.done[request_id] = (content, result)
        return result, False

    def on_create_collection(self, requests):
        (request,) = requests

        def make():
            if request.name in self.collections:
                raise CollectionExists(f"there is a collection {request.name!r}")
            uid = next(self._counter).to_bytes(16, "big")
            self.collections[request.name] = PaperCollection(
                uid, request.name, request.dimension, request.parameter_id, request.model_id
            )
            return uid

        uid, _ = self._once(request.request_id, request.SerializeToString(), make)
        yield collections_pb2.CreateCollectionResponse(collection=wire.collection_to_message(self._of(uid).info()))

    def on_get_collection(self, requests):
        if requests[0].name not in self.collections:
            raise CollectionNotFound(f"no collection {requests[0].name!r}")
        info = self.collections[requests[0].name].info()
        yield collections_pb2.GetCollectionResponse(collection=wire.collection_to_message(info))

    def on_get_policy(self, _):
        yield governance_pb2.GetPolicyResponse()

    def on_list_collections(self, _):
        infos = [self.collections[name].info() for name in sorted(self.collections)]
        yield collections_pb2.ListCollectionsResponse(collections=map(wire.collection_to_message, infos))

    def on_delete_collection(self, requests):
        (request,) = requests

        def delete():
            del self.collections[self._of(request.collection_uid).name]

        self._once(request.request_id, request.SerializeToString(), delete)
        yield collections_pb2.DeleteCollectionResponse()

    def on_enrol_rows(self, requests):
        header, batches = requests[0].header, [request.batch for request in requests[1:]]
        collection = self._of(header.collection_uid)

        def enrol():
            rows = [
                row
                for batch in (wire.batch_from_message(one, collection.dimension) for one in batches)
                for row in zip(batch.row_ids, batch.vectors, batch.sealed_records, strict=True)
            ]
            assert header.row_count == len(rows) <= self.max_rows
            if any(row_id in collection.rows for row_id, _, _ in rows):
                raise RowExists("a row is there already")
            collection.epoch += 1
            for row_id, vector, sealed in rows:
                slot = heapq.heappop(collection.free) if collection.free else collection.slots
                collection.slots = max(collection.slots, slot + 1)
                collection.rows[row_id] = (CatalogueEntry(row_id, slot, collection.epoch, sealed), vector)
            return collection.epoch

        content = b"".join(request.SerializeToString() for request in requests)
        epoch, repeated = self._once(header.request_id, content, enrol)
        yield index_pb2.EnrolRowsResponse(epoch=epoch, repeated_request=repeated)

    def on_erase_rows(self, requests):
        (request,) = requests
        collection = self._of(request.collection_uid)

        def erase():
            row_ids = wire.split_row_ids(request.row_ids)
            if any(row_id not in collection.rows for row_id in row_ids):
                raise RowNotFound("a row is not there")
            collection.epoch += 1
            for row_id in row_ids:
                heapq.heappush(collection.free, collection.rows.pop(row_id)[0].slot)
                collection.erased.append((collection.epoch, row_id))
            return collection.epoch

        epoch, repeated = self._once(request.request_id, request.SerializeToString(), erase)
        yield index_pb2.EraseRowsResponse(epoch=epoch, repeated_request=repeated)

    def on_sync_catalogue(self, requests):
        since, collection = requests[0].since_epoch, self._of(requests[0].collection_uid)
        if since > collection.epoch:
            raise Mismatch("the mirror is ahead of the collection")
        added = [entry for entry, _ in collection.rows.values() if entry.epoch > since]
        for start in range(0, len(added), 3):
            part = map(wire.entry_to_message, added[start : start + 3])
            yield index_pb2.SyncCatalogueResponse(epoch=collection.epoch, added=part)
        erased = wire.join_row_ids([row_id for epoch, row_id in collection.erased if epoch > since])
        yield index_pb2.SyncCatalogueResponse(epoch=collection.epoch, erased_row_ids=erased, last=True)

    def on_search(self, requests):
        header, query = requests[0].header, b"".join(request.query for request in requests[1:])
        collection = self._of(header.collection_uid)
        if header.packing_factor != collection.factor:
            raise PackingChanged("the collection was re-packed")
        parameters = params.by_id(header.parameter_id)
        packing = Packing(parameters.ring_degree, collection.dimension, collection.factor)
        yield search_pb2.SearchResponse(
            header=search_pb2.SearchReplyHeader(
                epoch=collection.epoch, slots=collection.slots, blocks=packing.blocks(collection.slots)
            )
        )
        if not collection.slots:
            return
        masks = MaskSource(parameters)
        index = ScanIndex(parameters, collection.dimension, collection.factor, masks)
        rows = np.ones((collection.slots, collection.dimension), np.int16)
        for entry, vector in collection.rows.values():
            rows[entry.slot] = vector
        index.put(np.arange(collection.slots), rows)
        index.clear(np.array(sorted(collection.free), np.int64))
        parts: list[bytes] = []
        index.answer(query, collection.slots, parts.append, lambda: False)
        masks.close()
        yield from (search_pb2.SearchResponse(blocks=part) for part in parts)
