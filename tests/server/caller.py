"""A caller that speaks the contract to a real server, rightly or wrongly."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np
import numpy.typing as npt

from tests.server.messages import PARAMETERS, enrolment, search_requests
from unseen import wire
from unseen.bearer import draw_secret, secret_hash
from unseen.entropy import random_uid
from unseen.he import packing, quantise
from unseen.he.secret import PreparedQuery, ReplyKey
from unseen.types import SLOTS_PER_EXTENT, CatalogueEntry, RowBatch
from unseen.v1 import (
    access_pb2,
    access_pb2_grpc,
    audit_pb2,
    audit_pb2_grpc,
    collections_pb2,
    collections_pb2_grpc,
    index_pb2,
    index_pb2_grpc,
    info_pb2,
    info_pb2_grpc,
    operations_pb2,
    operations_pb2_grpc,
    search_pb2,
    search_pb2_grpc,
    types_pb2,
)

Float32Array = npt.NDArray[np.float32]


@dataclass
class Refusal:
    """How a call was refused."""

    status: str
    code: str | None
    message: str
    retry_after_s: float | None = None


@dataclass
class Caller:
    """A client of the bare contract, over one channel of its own."""

    port: int
    credentials: grpc.ChannelCredentials | None = None
    token: str | None = None
    channel: grpc.Channel = field(init=False)

    def __post_init__(self) -> None:
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_send_message_length", 64 << 20)]
        address = f"127.0.0.1:{self.port}"
        self.channel = (
            grpc.insecure_channel(address, options)
            if self.credentials is None
            else grpc.secure_channel(address, self.credentials, options)
        )
        if self.token is not None:
            self.channel = grpc.intercept_channel(self.channel, _Bearer(self.token))

    def close(self) -> None:
        self.channel.close()

    # Rightly

    def info(self) -> info_pb2.GetServerInfoResponse:
        return info_pb2_grpc.InfoServiceStub(self.channel).GetServerInfo(info_pb2.GetServerInfoRequest(), timeout=30)

    def create(self, name: str = "photos", dimension: int = 16, **fields: Any) -> types_pb2.CollectionInfo:
        fields = {"request_id": random_uid(), "parameter_id": PARAMETERS.id, "model_id": "none"} | fields
        request = collections_pb2.CreateCollectionRequest(name=name, dimension=dimension, **fields)
        stub = collections_pb2_grpc.CollectionServiceStub(self.channel)
        return stub.CreateCollection(request, timeout=30).collection

    def collection(self, name: str = "photos") -> types_pb2.CollectionInfo:
        request = collections_pb2.GetCollectionRequest(name=name)
        return collections_pb2_grpc.CollectionServiceStub(self.channel).GetCollection(request, timeout=30).collection

    def collections(self) -> list[types_pb2.CollectionInfo]:
        request = collections_pb2.ListCollectionsRequest()
        stub = collections_pb2_grpc.CollectionServiceStub(self.channel)
        return list(stub.ListCollections(request, timeout=30).collections)

    def access(self, collection: str = "") -> access_pb2.GetAccessResponse:
        request = access_pb2.GetAccessRequest(collection_name=collection)
        return access_pb2_grpc.AccessServiceStub(self.channel).GetAccess(request, timeout=30)

    def create_token(
        self,
        tenant: str = "",
        roles: Iterable[str] = ("admin",),
        collections: Iterable[str] = (),
        name: str = "somebody",
        **fields: Any,
    ) -> bytes:
        """The uid of a new token; nobody knows its secret unless its hash is given."""
        scope = list(collections)
        access = access_pb2.Access(
            tenant=tenant, name=name, roles=list(roles), collections=scope, every_collection=not scope
        )
        usual: dict[str, Any] = {
            "request_id": random_uid(),
            "expires_at_s": int(time.time()) + 3600,
            "secret_hash": secret_hash(draw_secret()),
        }
        fields = usual | fields
        request = access_pb2.CreateTokenRequest(access=access, **fields)
        return access_pb2_grpc.AccessServiceStub(self.channel).CreateToken(request, timeout=30).token_uid

    def tokens(self) -> list[access_pb2.Token]:
        stub = access_pb2_grpc.AccessServiceStub(self.channel)
        return [token for page in stub.ListTokens(access_pb2.ListTokensRequest(), timeout=30) for token in page.tokens]

    def revoke(self, uid: bytes, request_id: bytes | None = None) -> None:
        request = access_pb2.RevokeTokenRequest(request_id=request_id or random_uid(), token_uid=uid)
        access_pb2_grpc.AccessServiceStub(self.channel).RevokeToken(request, timeout=30)

    def delete(self, uid: bytes, request_id: bytes | None = None) -> None:
        request = collections_pb2.DeleteCollectionRequest(request_id=request_id or random_uid(), collection_uid=uid)
        collections_pb2_grpc.CollectionServiceStub(self.channel).DeleteCollection(request, timeout=30)

    def replace(
        self, uid: bytes, replaced: bytes = b"", epoch: int = 0, name: str = "", request_id: bytes | None = None
    ) -> types_pb2.CollectionInfo:
        """Put an owner-encrypted collection in another one's place; in that of one that is gone, by default."""
        request = collections_pb2.ReplaceCollectionRequest(
            request_id=request_id or random_uid(),
            collection_uid=uid,
            replaced_uid=replaced or random_uid(),
            replaced_epoch=epoch,
            name=name or random_uid().hex(),
        )
        return (
            collections_pb2_grpc.CollectionServiceStub(self.channel).ReplaceCollection(request, timeout=30).collection
        )

    def enrol(
        self, uid: bytes, batch: RowBatch, request_id: bytes | None = None, **header: Any
    ) -> index_pb2.EnrolRowsResponse:
        requests = enrolment(uid, batch, random_uid() if request_id is None else request_id, **header)
        return index_pb2_grpc.IndexServiceStub(self.channel).EnrolRows(iter(requests), timeout=60)

    def erase(
        self, uid: bytes, row_ids: Iterable[bytes], request_id: bytes | None = None
    ) -> index_pb2.EraseRowsResponse:
        request = index_pb2.EraseRowsRequest(
            request_id=request_id or random_uid(), collection_uid=uid, row_ids=b"".join(row_ids)
        )
        return index_pb2_grpc.IndexServiceStub(self.channel).EraseRows(request, timeout=30)

    def tree_head(self) -> str:
        return (
            audit_pb2_grpc.AuditServiceStub(self.channel).GetTreeHead(audit_pb2.GetTreeHeadRequest(), timeout=30).head
        )

    def proof_of_leaf(self, index: int) -> audit_pb2.ProveInclusionResponse:
        request = audit_pb2.ProveInclusionRequest(index=index)
        return audit_pb2_grpc.AuditServiceStub(self.channel).ProveInclusion(request, timeout=30)

    def exported_leaves(self) -> list[bytes]:
        stub = audit_pb2_grpc.AuditServiceStub(self.channel)
        pages = list(stub.ExportLeaves(audit_pb2.ExportLeavesRequest(), timeout=60))
        return [leaf for page in pages for leaf in page.page.leaves]

    def status(self) -> operations_pb2.GetStatusResponse:
        stub = operations_pb2_grpc.OperatorServiceStub(self.channel)
        return stub.GetStatus(operations_pb2.GetStatusRequest(), timeout=30)

    def backup(self) -> bytes:
        """A whole backup; its hash fits."""
        stub = operations_pb2_grpc.OperatorServiceStub(self.channel)
        begin, *chunks, end = stub.CreateBackup(operations_pb2.CreateBackupRequest(), timeout=120)
        content = b"".join(chunk.chunk for chunk in chunks)
        assert len(content) == begin.begin.size_bytes
        assert hashlib.sha256(content).digest() == end.end.sha256
        return content

    def sync(self, uid: bytes, since: int = 0) -> tuple[int, dict[bytes, CatalogueEntry], list[bytes]]:
        """Epoch, what was added, what was erased."""
        request = index_pb2.SyncCatalogueRequest(collection_uid=uid, since_epoch=since)
        pages = list(index_pb2_grpc.IndexServiceStub(self.channel).SyncCatalogue(request, timeout=60))
        assert [page.last for page in pages] == [False] * (len(pages) - 1) + [True]
        added = {entry.row_id: wire.entry_from_message(entry) for page in pages for entry in page.added}
        erased = [row_id for page in pages for row_id in wire.split_row_ids(page.erased_row_ids)]
        return pages[-1].epoch, added, erased

    def search(self, collection: types_pb2.CollectionInfo, vector: Float32Array, **fields: Any) -> Float32Array:
        """Cosine of every slot, decrypted here; NaN for a slot whose block did not come."""
        layout = packing.Packing(PARAMETERS.ring_degree, collection.dimension, collection.packing_factor)
        query, key = self.encrypted(collection, vector)
        header, blocks = self.search_bytes(collection, query, **fields)
        raw = key.decrypt(blocks) if blocks else np.empty(0, np.int64)
        came = quantise.to_cosines(PARAMETERS, raw)
        if not header.partial:
            return came[: header.slots]
        extents = [run.first + at for run in header.extents for at in range(run.count)]
        scores = np.full(-(-header.slots // SLOTS_PER_EXTENT) * SLOTS_PER_EXTENT, np.nan, np.float32)
        for extent in extents:
            slots = min(SLOTS_PER_EXTENT, header.slots - extent * SLOTS_PER_EXTENT)
            blocks_here = layout.blocks(slots) * layout.rows_per_block
            scores[extent * SLOTS_PER_EXTENT :][:blocks_here], came = came[:blocks_here], came[blocks_here:]
        assert not len(came)
        return scores[: header.slots]

    def encrypted(self, collection: types_pb2.CollectionInfo, vector: Float32Array) -> tuple[bytes, ReplyKey]:
        """A query's bytes and the key of its reply."""
        layout = packing.Packing(PARAMETERS.ring_degree, collection.dimension, collection.packing_factor)
        return PreparedQuery.prepare(PARAMETERS, layout).encrypt(quantise.quantise_query(PARAMETERS, vector))

    def search_bytes(
        self, collection: types_pb2.CollectionInfo, query: bytes, **fields: Any
    ) -> tuple[search_pb2.SearchReplyHeader, bytes]:
        """Reply header and blocks for a query's bytes."""
        stub = search_pb2_grpc.SearchServiceStub(self.channel)
        header, *chunks = stub.Search(iter(search_requests(collection, query, **fields)), timeout=60)
        return header.header, b"".join(chunk.blocks for chunk in chunks)

    # Wrongly

    def raw(self, method: str, messages: Iterable[bytes]) -> list[bytes]:
        """Any bytes to any method: every method is a stream of messages for gRPC."""
        call = self.channel.stream_stream(f"/unseen.v1.{method}", _as_it_is, _as_it_is)
        return list(call(iter(messages), timeout=60))

    def refusal(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Refusal:
        """How the server refused a call; fails when it did not."""
        refusal = self.refusal_if_any(call, *args, **kwargs)
        assert refusal is not None, "the call was not refused but answered"
        return refusal

    def refusal_if_any(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Refusal | None:
        """How the server refused a call, or None when it answered."""
        try:
            call(*args, **kwargs)
        except grpc.RpcError as error:
            codes = {entry.key: str(entry.value) for entry in error.trailing_metadata() or ()}
            retry = codes.get(wire.RETRY_METADATA_KEY)
            details = error.details() or ""
            return Refusal(
                error.code().name, codes.get(wire.CODE_METADATA_KEY), details, float(retry) if retry else None
            )
        return None


class _Bearer(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Puts a token into the metadata of every call, TLS or not."""

    def __init__(self, token: str) -> None:
        self._entry = ("authorization", f"Bearer {token}")

    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return continuation(self._with_token(client_call_details), request)

    def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return continuation(self._with_token(client_call_details), request)

    def intercept_stream_unary(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return continuation(self._with_token(client_call_details), request_iterator)

    def intercept_stream_stream(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return continuation(self._with_token(client_call_details), request_iterator)

    def _with_token(self, details: Any) -> Any:
        return details._replace(metadata=[*(details.metadata or ()), self._entry])


def _as_it_is(data: bytes) -> bytes:
    return data
