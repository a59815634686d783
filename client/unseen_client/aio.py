"""``AsyncClient``: drives the same protocol over a grpc.aio channel; work on the device goes to threads."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import grpc
import grpc.aio
import numpy.typing as npt
from google.protobuf.message import Message

from unseen.audit.receipt import Receipt
from unseen.deid.settings import DeidSettings
from unseen.params import ParameterSet
from unseen.types import CollectionInfo
from unseen_client.access import Access, Quota
from unseen_client.bearer import TokenBearer, TokenSource
from unseen_client.bring_aio import BringAsyncCalls
from unseen_client.describing.describer import Describing
from unseen_client.describing_aio import DescribingAsyncCalls
from unseen_client.flows.audit import Write
from unseen_client.flows.consents import Given
from unseen_client.governance_aio import GovernanceAsyncCalls
from unseen_client.keys.passphrase import PassphraseSource
from unseen_client.medical_aio import MedicalAsyncCalls
from unseen_client.privacy.book import BudgetReport
from unseen_client.progress import Watcher, watching
from unseen_client.protocol import AnyPath, GivenConsent, Noise, Protocol, Purpose, Receipts, Records, Subject, Tokens
from unseen_client.records import Record
from unseen_client.report import BackupMade, EnrolReport, Hit, LogCheck, ServerInfo
from unseen_client.retrieval.query import Query
from unseen_client.retrieval.where import Where
from unseen_client.session import DEFAULT_TIMEOUT_S, Session
from unseen_client.status import ServerStatus
from unseen_client.steps import Exchange, Flow, Local, Pause, Progress, Rpc, Step
from unseen_client.transport import CHANNEL_OPTIONS, TLS, channel_credentials, require_address, translated

Result = TypeVar("Result")
Hits = list[Hit]
Collections = list[CollectionInfo]

_LOST_STATUS = "Internal error from Core"
LOOK_S = 0.1
"""Longer than an error needs to come back from most servers."""


class AsyncClient(BringAsyncCalls, DescribingAsyncCalls, MedicalAsyncCalls, GovernanceAsyncCalls):
    """Encrypted image search from one device, for asyncio: the methods of ``Client``, awaited.

    async with AsyncClient("127.0.0.1:7443") as client:
        await client.search_text("photos", "a striped animal")
    """

    def __init__(
        self,
        server: str,
        *,
        tls: TLS | None = None,
        token: TokenSource | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        home: AnyPath | None = None,
        insecure_no_tls: bool = False,
        deid: DeidSettings | None = None,
        passphrase: PassphraseSource = None,
    ) -> None:
        """Prepare to talk to ``server`` (HOST:PORT); nothing is sent yet. Arguments and errors as for ``Client``."""
        self._server = require_address(server)
        self._bearer = TokenBearer(token)
        self._credentials = channel_credentials(server, tls, self._bearer, insecure_no_tls)
        self._session = Session(
            server, timeout_s, Path(home) if home is not None else None, deid=deid, passphrase=passphrase
        )
        self._protocol = Protocol(self._session)
        self._opened: grpc.aio.Channel | None = None

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection, the files and the threads of this client."""
        if self._opened is not None:
            await self._opened.close()
        await asyncio.to_thread(self._session.close)

    async def server_info(self) -> ServerInfo:
        """What the server is and takes."""
        return await self._drive(self._protocol.server_info())

    async def access(self, collection: str | None = None) -> Access:
        """Who this client is to the server and what it may do; with a collection, what is left of its rows' bits."""
        return await self._drive(self._protocol.access(collection))

    async def create_token(
        self,
        name: str,
        roles: str | Iterable[str],
        *,
        tenant: str | None = None,
        collections: str | Iterable[str] | None = None,
        expires: str = "90d",
        quota: Quota | None = None,
    ) -> str:
        """Make a token for somebody; its text is given here, once, and kept nowhere.

        ``collections`` names those within its reach (None: every one); ``tenant`` is this client's own unless given.
        Raises NotPermitted for more than this client may do itself, InvalidInput.
        """
        return await self._drive(self._protocol.create_token(name, roles, tenant, collections, expires, quota))

    async def list_tokens(self) -> Tokens:
        """The tokens that this client could have made, the oldest first, revoked and expired ones too."""
        return await self._drive(self._protocol.list_tokens())

    async def revoke_token(self, uid: str) -> None:
        """End a token for good, by the hex digits that ``list_tokens`` shows; raises NotFound."""
        return await self._drive(self._protocol.revoke_token(uid))

    async def create_collection(
        self,
        name: str,
        *,
        model: str | None = None,
        dimension: int | None = None,
        parameters: ParameterSet | str | None = None,
        keep_vectors: bool = True,
        metric: str = "cosine",
        longest: float = 1.0,
        protection: str = "sealed",
    ) -> CollectionInfo:
        """Make a collection for images (``model="bundled"``, the default) or for vectors of your own (``dimension=``).

        ``model`` may also name an adapter that this device has: "bundled+adapter:<hash>", see `unseen adapters`. With
        "+dicom" behind it, "bundled+dicom", the collection is one of DICOM objects, for ``enrol_dicom``.

        Its record key is made here and kept in this device's key store. ``keep_vectors`` puts each row's vector into
        its sealed record, which ``search_like`` needs. ``parameters`` names a parameter set: docs/parameters.md.

        ``metric`` says how vectors of your own are compared: "cosine", "dot", "l2" or "l1". All but cosine take vectors
        up to the length ``longest``: docs/search.md. ``protection="owner"`` encrypts the rows on this device, under a
        key that stays here: who loses it loses the collection, as ``OnlyKeyHere`` warns (docs/owner-encrypted.md).

        Raises CollectionExists, InvalidName, InvalidInput.
        """
        flow = self._protocol.create_collection(
            name, model, dimension, parameters, keep_vectors, metric, longest, protection
        )
        return await self._drive(flow)

    async def collection(self, name: str) -> CollectionInfo:
        """A collection as it stands now; raises CollectionNotFound."""
        return await self._drive(self._protocol.collection(name))

    async def list_collections(self) -> Collections:
        """Every collection on the server, by name."""
        return await self._drive(self._protocol.list_collections())

    async def delete_collection(self, name: str) -> None:
        """Delete a collection with every row, its mirror and its record key; raises CollectionNotFound."""
        return await self._drive(self._protocol.delete_collection(name))

    async def rotate_keys(self, name: str, *, progress: bool | Watcher = False) -> int:
        """Give an owner-encrypted collection a new owner key and a new record key; gives how many rows it has.

        Every row goes through this device. The old keys serve until the end and open nothing there afterwards; a
        rotation that was stopped goes on when called again. Raises InvalidInput for a sealed collection, KeyMissing
        when another device is at it.
        """
        return await self._drive(self._protocol.rotate_keys(name), progress)

    async def enrol_images(
        self,
        name: str,
        paths: AnyPath | Iterable[AnyPath],
        *,
        records: Sequence[Record] | None = None,
        noise: Noise = None,
        subject: Subject = None,
        consent: GivenConsent = None,
        purpose: Purpose = None,
        describing: Describing | None = None,
        deid_report: AnyPath | None = None,
        progress: bool | Watcher = False,
    ) -> EnrolReport:
        """De-identify, embed and enrol image files; the report says what was enrolled, what was refused and why.

        ``records`` describe the images, one each in their order; an id left empty is the first 16 hex digits of the
        file's SHA-256. Images already there are left as they are. Raises ModelMismatch, KeyMissing, CollectionNotFound.

        ``noise``, ``PrivUnit(64)`` or "privunit:64", is put on every vector before it leaves, and charged to this
        device's ledger under ``subject``, one for all rows or one each, else under each row's id. Raises BudgetExceeded
        when that would pass the budget: nothing of that stream was released. docs/differential-privacy.md says more.

        Where the collection has an agreement (docs/governance.md): ``subject`` says whom the rows are about,
        ``consent`` what they rest on (else the subject's newest that fits), ``purpose`` what they may be searched for
        (else all that it allows).

        ``describing`` finds tags and writes captions on this device (docs/describing.md): they enter the sealed record
        and, weighed, the row. ``deid_report``: the report of ``Deidentifier.run``; pictures that it wrote, with the
        settings of this client, are not looked at again. Raises PolicyNotAccepted, ConsentNotValid, PurposeNotAllowed.
        """
        given = Given(subject, consent, purpose)
        flow = self._protocol.enrol_images(name, paths, records, noise, given, describing, deid_report)
        return await self._drive(flow, progress)

    async def enrol_vectors(
        self,
        name: str,
        ids: Sequence[str],
        vectors: npt.ArrayLike,
        *,
        records: Sequence[Record] | None = None,
        noise: Noise = None,
        subject: Subject = None,
        consent: GivenConsent = None,
        purpose: Purpose = None,
        progress: bool | Watcher = False,
    ) -> EnrolReport:
        """Enrol vectors of your own, float32 (n, d): of any length where they are compared by cosine.

        Ids already there are left as they are. ``noise``, ``subject``, ``consent`` and ``purpose`` as for
        ``enrol_images``. Raises InvalidVector, InvalidInput, KeyMissing, CollectionNotFound, BudgetExceeded.
        """
        given = Given(subject, consent, purpose)
        return await self._drive(self._protocol.enrol_vectors(name, ids, vectors, records, noise, given), progress)

    async def budget(self) -> BudgetReport:
        """What this device's releases of noise amount to, and what is left of its budgets. Asks no server.

        Raises IntegrityError for a damaged ledger.
        """
        return await self._drive(self._protocol.budget())

    async def set_budget(
        self, *, per_subject: float | None = None, per_device: float | None = None, delta: float | None = None
    ) -> None:
        """Set the most epsilon that releases of noise may amount to, for each subject and for this device together.

        What is not given stays; at first 64 for each subject at delta 1e-6, and no limit for the device, which is
        ``float("inf")``. Asks no server. Raises InvalidConfiguration.
        """
        return await self._drive(self._protocol.set_budget(per_subject, per_device, delta))

    async def search(
        self,
        name: str,
        query: Query,
        *,
        top_k: int = 10,
        where: Where = None,
        min_score: float | None = None,
        temperature: float | None = None,
        rerank: bool = False,
        candidates: int | None = None,
        purpose: str | None = None,
    ) -> Hits:
        """The best rows for a query put together from parts, such as ``Query.words("beach") - 0.5 * Query.like(id)``.

        A score is the weighted sum of the scores that the parts would give. All that follows happens on this device:
        ``where`` are conditions on records ("tag = dog"), all of which must hold, or a function of a Record;
        ``min_score`` cuts off; ``temperature`` gives each hit a relevance, its part of the softmax over all rows that
        fulfil ``where``; ``rerank`` scores the best ``candidates`` again with the vectors in their records.
        docs/search.md says more. Raises InvalidInput, InvalidVector, ImageRefused, ModelMismatch, RowNotFound,
        KeyMissing.
        """
        flow = self._protocol.search(name, query, top_k, where, min_score, temperature, rerank, candidates, purpose)
        return await self._drive(flow)

    async def search_image(self, name: str, path: AnyPath, *, top_k: int = 10, purpose: str | None = None) -> Hits:
        """The rows most like an image file, best first; raises ImageRefused, ModelMismatch, KeyMissing."""
        return await self._drive(self._protocol.search_image(name, path, top_k, purpose))

    async def search_text(self, name: str, text: str, *, top_k: int = 10, purpose: str | None = None) -> Hits:
        """The rows most like words, best first; raises ModelMismatch, KeyMissing."""
        return await self._drive(self._protocol.search_text(name, text, top_k, purpose))

    async def search_vector(
        self, name: str, vector: npt.ArrayLike, *, top_k: int = 10, purpose: str | None = None
    ) -> Hits:
        """The rows most like a vector (d,), best first; raises InvalidVector, KeyMissing."""
        return await self._drive(self._protocol.search_vector(name, vector, top_k, purpose))

    async def search_like(self, name: str, id: str, *, top_k: int = 10, purpose: str | None = None) -> Hits:
        """More like the row ``id``, which is left out itself; raises RowNotFound, KeyMissing."""
        return await self._drive(self._protocol.search_like(name, id, top_k, purpose))

    async def count(self, name: str) -> int:
        """Live rows of a collection; raises CollectionNotFound."""
        return await self._drive(self._protocol.count(name))

    async def list(self, name: str, *, limit: int | None = None, offset: int = 0) -> Records:
        """Records in the order of enrolment, from this device's mirror; raises KeyMissing, CollectionNotFound."""
        return await self._drive(self._protocol.list(name, limit, offset))

    async def get(self, name: str, id: str) -> Record:
        """The record of one row; raises RowNotFound, KeyMissing."""
        return await self._drive(self._protocol.get(name, id))

    async def erase(self, name: str, ids: str | Iterable[str], *, certificate: AnyPath | None = None) -> int:
        """Erase rows from the server's disk and memory and from this device's mirror; gives how many.

        When one is not there nothing is erased and RowNotFound is raised; beyond 65,536 ids that holds for each run of
        65,536, and an error's note says how many were erased before. Other devices drop their copy of the sealed
        records when they next synchronise. The server's signed certificates are verified, kept on this device, and
        written to the new file ``certificate``, one a line. Raises InvalidInput when it is there, OnLegalHold.
        """
        return await self._drive(self._protocol.erase(name, ids, certificate))

    async def pack(self, name: str) -> int:
        """Move rows that were enrolled one by one to where many share a block; gives how many moved.

        For owner-encrypted collections, where nobody else can: replies are shorter afterwards. Enrolment does it by
        itself when many such rows have come together. Raises InvalidInput for a sealed collection.
        """
        return await self._drive(self._protocol.pack(name))

    async def status(self) -> ServerStatus:
        """How the server is doing: for the role operator."""
        return await self._drive(self._protocol.status())

    async def backup(self, place: AnyPath) -> BackupMade:
        """Fetch a backup of everything the server keeps, while it goes on serving: for the role operator.

        ``place`` is a file that is not there yet, or a folder. It appears whole and checked, or not at all. It holds no
        key: a restore needs the server's key ring and master key.
        """
        return await self._drive(self._protocol.backup(place))

    async def audit_check(self) -> LogCheck:
        """Whether the server's audit log goes on from what this device has seen of it; raises LogWentBack.

        Every client does this by itself when it first meets a server.
        """
        return await self._drive(self._protocol.audit_check())

    async def audit_receipts(self) -> Receipts:
        """The receipts that this device keeps of this server, oldest first."""
        return await self._drive(self._protocol.audit_receipts())

    async def audit_prove(self, receipt: Receipt) -> LogCheck:
        """Have the server prove that a receipt's act is in its log; raises ProofBroken, LogWentBack."""
        return await self._drive(self._protocol.audit_prove(receipt))

    async def audit_export(
        self, write: Write, *, since: datetime | None = None, against: Sequence[str] = ()
    ) -> LogCheck:
        """Fetch the log, check every leaf against the signed head, then give ``write`` its lines: for auditors.

        ``against`` are signed heads from elsewhere that the log must have had. Raises ProofBroken, LogWentBack.
        """
        return await self._drive(self._protocol.audit_export(write, since, against))

    async def audit_accept(self) -> LogCheck:
        """Begin anew with the log that the server shows now, after it was restored from a backup."""
        return await self._drive(self._protocol.audit_accept())

    async def _drive(self, flow: Flow[Result], progress: bool | Watcher = False) -> Result:
        """Carry out a flow's steps until it is done."""
        with watching(progress) as watcher:
            try:
                step = next(flow)
                while True:
                    try:
                        outcome = await self._carry_out(step, watcher)
                    except Exception as error:  # noqa: BLE001 - every failure is the flow's to handle or to raise
                        step = flow.throw(error)
                    else:
                        step = flow.send(outcome)
            except StopIteration as done:
                result: Result = done.value
                return result
            finally:
                flow.close()

    async def _carry_out(self, step: Step, watcher: Watcher) -> object:
        match step:
            case Exchange():
                await self._exchange(step)
            case Local(work):
                return await asyncio.to_thread(work)
            case Pause(seconds):
                await asyncio.sleep(seconds)
            case Progress():
                watcher(step)
        return None

    async def _exchange(self, exchange: Exchange) -> None:
        """Send and receive; a status that grpc.aio lost is asked for again, message by message.

        When a server answers with an error while messages are still being sent, grpc.aio may report INTERNAL in place
        of the error (github.com/grpc/grpc/issues/36066). Sending the same bytes again, with a look before each message
        whether the call is over, gets the error itself; a request id makes it safe.
        """
        replies = 0

        async def receive(reply: Message) -> None:
            nonlocal replies
            replies += 1
            await asyncio.to_thread(exchange.receive, reply)

        try:
            await self._stream(exchange, receive, look_s=0.0)
        except grpc.RpcError as error:
            if error.details() != _LOST_STATUS or replies:
                raise translated(error, self._server) from error
            try:
                await self._stream(exchange, receive, look_s=LOOK_S)
            except grpc.RpcError as second:
                raise translated(second, self._server) from second

    async def _stream(self, exchange: Exchange, receive: Callable[[Message], Awaitable[None]], look_s: float) -> None:
        over = asyncio.Event()
        act = await asyncio.to_thread(self._session.act, exchange)
        metadata = await asyncio.to_thread(self._bearer.metadata)  # reads a file or asks whoever gives tokens
        call = self._call(exchange.rpc)(
            _until(over, exchange.requests, look_s), timeout=exchange.timeout_s, metadata=metadata
        )
        call.add_done_callback(lambda _: over.set())
        try:
            async for reply in call:
                await receive(reply)
            trailing = await call.trailing_metadata()
            await asyncio.to_thread(self._session.take_receipt, exchange, act, trailing)
        finally:
            call.cancel()

    def _call(self, rpc: Rpc) -> grpc.aio.StreamStreamMultiCallable[Message, Message]:
        """All four kinds of gRPC method look the same on the wire: messages up, messages down."""
        return self._channel().stream_stream(
            rpc.path,
            request_serializer=rpc.request_type.SerializeToString,
            response_deserializer=rpc.reply_type.FromString,
        )

    def _channel(self) -> grpc.aio.Channel:
        """The channel, opened at first use, because it belongs to the loop that runs then."""
        if self._opened is None:
            self._opened = (
                grpc.aio.insecure_channel(self._server, CHANNEL_OPTIONS)
                if self._credentials is None
                else grpc.aio.secure_channel(self._server, self._credentials, CHANNEL_OPTIONS)
            )
        return self._opened


async def _until(over: asyncio.Event, requests: Sequence[Message], look_s: float) -> AsyncIterator[Message]:
    """The messages, as long as the call is not over; with ``look_s`` it is given that long to be over before each."""
    for at, request in enumerate(requests):
        if at and look_s:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), look_s)
        if over.is_set():
            return
        yield request
