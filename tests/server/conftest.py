"""A real server in a process of its own, and a caller that speaks the contract to it, rightly or wrongly."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import numpy.typing as npt
import pytest

from bench.process import peak_resident_bytes, resident_bytes
from tests.server.in_process import config
from tests.server.tokens import make_grant
from tests.server.tokens import write_grants as write_grants_into
from unseen import params, wire
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
from unseen_server import app
from unseen_server.call import Allowance
from unseen_server.quota import DEFAULT as DEFAULT_ALLOWANCE

PARAMETERS = params.DEFAULT
READY_LINE = "unseen server listening on "

Float32Array = npt.NDArray[np.float32]


class ServerProcess:
    """``python -m unseen_server`` with a folder of its own; started and stopped as often as a test likes."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.master_key = folder / "master.key"
        self.options = options
        self.port = 0
        self.process: subprocess.Popen[str] | None = None

    def command(self, *options: str) -> list[str]:
        """What is run."""
        command = [sys.executable, "-m", "unseen_server", "--data", str(self.data), "--listen", "127.0.0.1:0"]
        return [*command, "--master-key", str(self.master_key), *self.options, *options]

    def start(self, **popen: Any) -> ServerProcess:
        """Start it and wait until it serves."""
        with (self.folder / "log").open("a") as log:
            self.process = subprocess.Popen(self.command(), stdout=subprocess.PIPE, stderr=log, text=True, **popen)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith(READY_LINE), (line, self.log())
        self.port = int(line.rpartition(":")[2])
        return self

    def log(self) -> str:
        """Everything it said about itself so far."""
        return (self.folder / "log").read_text()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; the exit code."""
        assert self.process is not None
        assert self.process.stdout is not None
        self.process.send_signal(number)
        code = self.process.wait(timeout=60)
        self.process.stdout.close()
        return code

    def end(self) -> None:
        """Leave nothing running."""
        if self.process is not None and self.process.poll() is None:
            self.stop(signal.SIGKILL)

    @property
    def memory_bytes(self) -> int:
        """Resident memory now."""
        assert self.process is not None
        return resident_bytes(self.process.pid)

    @property
    def peak_memory_bytes(self) -> int:
        """The most resident memory it ever had."""
        assert self.process is not None
        return peak_resident_bytes(self.process.pid)


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

    def revoke(self, uid: bytes) -> None:
        request = access_pb2.RevokeTokenRequest(token_uid=uid)
        access_pb2_grpc.AccessServiceStub(self.channel).RevokeToken(request, timeout=30)

    def delete(self, uid: bytes, request_id: bytes | None = None) -> None:
        request = collections_pb2.DeleteCollectionRequest(request_id=request_id or random_uid(), collection_uid=uid)
        collections_pb2_grpc.CollectionServiceStub(self.channel).DeleteCollection(request, timeout=30)

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


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[Callable[..., ServerProcess]]:
    """A server that a test starts itself."""
    made: list[ServerProcess] = []

    def make(*options: str) -> ServerProcess:
        made.append(ServerProcess(tmp_path, *options))
        return made[-1]

    yield make
    for server in made:
        server.end()


@pytest.fixture(scope="session")
def new_grant() -> Callable[..., Any]:
    """A grant and the text of its token."""
    return make_grant


@pytest.fixture(scope="session")
def write_grants() -> Callable[..., Any]:
    """Writes grants into a folder whose server does not run yet."""
    return write_grants_into


@pytest.fixture(scope="session")
def new_server() -> Callable[..., ServerProcess]:
    """A server in a folder of the test's choice, which the test must stop."""
    return ServerProcess


@pytest.fixture
def everybody() -> Allowance:
    """What a caller of ``running`` may use whose token does not say; tests of quotas say less."""
    return DEFAULT_ALLOWANCE


@pytest.fixture
async def running(tmp_path: Path, everybody: Allowance) -> AsyncIterator[app.RunningServer]:
    """A server inside the test, so that its limits can be made small."""
    server = await app.start(config(tmp_path, everybody=everybody))
    yield server
    await server.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that runs as long as the tests of one file; it must end well."""
    running = ServerProcess(tmp_path_factory.mktemp("server")).start()
    yield running
    code = running.stop()
    assert code == 0, running.log()


@pytest.fixture
def call(request: pytest.FixtureRequest) -> Iterator[Callable[..., Caller]]:
    """Makes callers; closes them at the end."""
    made: list[Caller] = []

    def make(
        server: ServerProcess, credentials: grpc.ChannelCredentials | None = None, token: str | None = None
    ) -> Caller:
        made.append(Caller(server.port, credentials, token))
        return made[-1]

    yield make
    for caller in made:
        caller.close()


@pytest.fixture
def caller(server: ServerProcess, call: Callable[..., Caller]) -> Caller:
    """A caller of the file's server."""
    return call(server)


@pytest.fixture
def fresh_collection(caller: Caller) -> types_pb2.CollectionInfo:
    """An empty collection of dimension 16 that no other test knows."""
    return caller.create(random_uid().hex())


@pytest.fixture(scope="session")
def make_rows() -> Callable[..., tuple[Float32Array, RowBatch]]:
    """Random unit vectors, and the same as quantised rows with fresh ids and records."""

    def make(count: int, dimension: int = 16, record_bytes: int = 60) -> tuple[Float32Array, RowBatch]:
        random = np.random.default_rng()
        vectors = random.standard_normal((count, dimension)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        records = tuple(random.bytes(record_bytes) for _ in range(count))
        row_ids = tuple(random_uid() for _ in range(count))
        return vectors, RowBatch(row_ids, quantise.quantise_rows(PARAMETERS, vectors), records)

    return make


@pytest.fixture(scope="session")
def enrolment_of() -> Callable[..., list[index_pb2.EnrolRowsRequest]]:
    """Builds the messages of an enrolment."""
    return enrolment


@pytest.fixture(scope="session")
def search_of() -> Callable[..., list[search_pb2.SearchRequest]]:
    """Builds the messages of a search."""
    return search_requests
