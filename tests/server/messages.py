"""The messages of calls that are streams of them, as a client makes them."""

from __future__ import annotations

from typing import Any

from unseen import params, wire
from unseen.types import RowBatch
from unseen.v1 import index_pb2, search_pb2, types_pb2

PARAMETERS = params.DEFAULT


def enrolment(uid: bytes, batch: RowBatch, request_id: bytes, **header: Any) -> list[index_pb2.EnrolRowsRequest]:
    """The messages of an enrolment, a few rows in each."""
    fields: dict[str, Any] = {
        "request_id": request_id,
        "collection_uid": uid,
        "parameter_id": PARAMETERS.id,
        "model_id": "none",
        "row_count": len(batch.row_ids),
    }
    requests = [index_pb2.EnrolRowsRequest(header=index_pb2.EnrolHeader(**(fields | header)))]
    for start in range(0, len(batch.row_ids), 100):
        part = slice(start, start + 100)
        some = RowBatch(batch.row_ids[part], batch.vectors[part], batch.sealed_records[part], batch.consents[part])
        requests.append(index_pb2.EnrolRowsRequest(batch=wire.batch_to_message(some)))
    return requests


def search_requests(
    collection: types_pb2.CollectionInfo, query: bytes, **header: Any
) -> list[search_pb2.SearchRequest]:
    """The messages of a search."""
    fields: dict[str, Any] = {
        "collection_uid": collection.uid,
        "parameter_id": collection.parameter_id,
        "packing_factor": collection.packing_factor,
    }
    chunks = [query[start : start + wire.MAX_CHUNK_BYTES] for start in range(0, len(query), wire.MAX_CHUNK_BYTES)]
    return [
        search_pb2.SearchRequest(header=search_pb2.SearchHeader(**(fields | header))),
        *(search_pb2.SearchRequest(query=chunk) for chunk in chunks),
    ]
