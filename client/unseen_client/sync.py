"""``Client``: drives the protocol over a blocking gRPC channel."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from time import sleep
from types import TracebackType
from typing import TypeVar

import grpc
import numpy.typing as npt
from google.protobuf.message import Message

from unseen.audit.receipt import Receipt
from unseen.deid.settings import DeidSettings
from unseen.errors import ServerUnavailable
from unseen.params import ParameterSet
from unseen.types import CollectionInfo
from unseen_client.access import Access, Quota
from unseen_client.bearer import TokenBearer, TokenSource
from unseen_client.bring_sync import BringCalls
from unseen_client.describing.describer import Describing
from unseen_client.describing_sync import DescribingCalls
from unseen_client.flows.audit import Write
from unseen_client.flows.consents import Given
from unseen_client.governance_sync import GovernanceCalls
from unseen_client.keys.passphrase import PassphraseSource
from unseen_client.line import Line
from unseen_client.medical_sync import MedicalCalls
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


class Client(BringCalls, DescribingCalls, MedicalCalls, GovernanceCalls):
    """Encrypted image search from one device, for threads. Make a new one after a fork.

    with Client("127.0.0.1:7443") as client:
        client.search_text("photos", "a striped animal")
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
        """Prepare to talk to ``server`` (HOST:PORT); nothing is sent yet.

        ``timeout_s`` bounds every request with its retries. ``home`` is where keys and mirrors are kept (default:
        UNSEEN_HOME, else the platform's data folder). Another machine needs ``tls``, unless ``insecure_no_tls``.
        ``token`` is a token, the path of a file with one, or a function that gives one, asked before every call.
        ``deid`` says how faces are covered before an image is embedded: docs/deidentification.md.
        ``passphrase`` opens this device's keys where they are under one: the text, or a function that asks for it at
        the first need; else UNSEEN_KEYS_PASSPHRASE, or the terminal (docs/owner-encrypted.md).
        Raises InvalidConfiguration.
        """
        self._server = require_address(server)
        self._bearer = TokenBearer(token)
        credentials = channel_credentials(server, tls, self._bearer, insecure_no_tls)
        self._session = Session(
            server, timeout_s, Path(home) if home is not None else None, deid=deid, passphrase=passphrase
        )
        self._protocol = Protocol(self._session)
        self._line = Line(
            lambda: (
                grpc.insecure_channel(server, CHANNEL_OPTIONS)
                if credentials is None
                else grpc.secure_channel(server, credentials, CHANNEL_OPTIONS)
            )
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection, the files and the threads of this client."""
        self._line.close()
        self._session.close()

    def server_info(self) -> ServerInfo:
        """What the server is and takes."""
        return self._drive(self._protocol.server_info())

    def access(self, collection: str | None = None) -> Access:
        """Who this client is to the server and what it may do; with a collection, what is left of its rows' bits."""
        return self._drive(self._protocol.access(collection))

    def create_token(
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
        return self._drive(self._protocol.create_token(name, roles, tenant, collections, expires, quota))

    def list_tokens(self) -> Tokens:
        """The tokens that this client could have made, the oldest first, revoked and expired ones too."""
        return self._drive(self._protocol.list_tokens())

    def revoke_token(self, uid: str) -> None:
        """End a token for good, by the hex digits that ``list_tokens`` shows; raises NotFound."""
        return self._drive(self._protocol.revoke_token(uid))

    def create_collection(
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
        return self._drive(flow)

    def collection(self, name: str) -> CollectionInfo:
        """A collection as it stands now; raises CollectionNotFound."""
        return self._drive(self._protocol.collection(name))

    def list_collections(self) -> Collections:
        """Every collection on the server, by name."""
        return self._drive(self._protocol.list_collections())

    def delete_collection(self, name: str) -> None:
        """Delete a collection with every row, its mirror and its record key; raises CollectionNotFound."""
        return self._drive(self._protocol.delete_collection(name))

    def rotate_keys(self, name: str, *, progress: bool | Watcher = False) -> int:
        """Give an owner-encrypted collection a new owner key and a new record key; gives how many rows it has.

        Every row goes through this device. The old keys serve until the end and open nothing there afterwards; a
        rotation that was stopped goes on when called again. Raises InvalidInput for a sealed collection, KeyMissing
        when another device is at it.
        """
        return self._drive(self._protocol.rotate_keys(name), progress)

    def enrol_images(
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
        return self._drive(flow, progress)

    def enrol_vectors(
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
        return self._drive(self._protocol.enrol_vectors(name, ids, vectors, records, noise, given), progress)

    def budget(self) -> BudgetReport:
        """What this device's releases of noise amount to, and what is left of its budgets. Asks no server.

        Raises IntegrityError for a damaged ledger.
        """
        return self._drive(self._protocol.budget())

    def set_budget(
        self, *, per_subject: float | None = None, per_device: float | None = None, delta: float | None = None
    ) -> None:
        """Set the most epsilon that releases of noise may amount to, for each subject and for this device together.

        What is not given stays; at first 64 for each subject at delta 1e-6, and no limit for the device, which is
        ``float("inf")``. Asks no server. Raises InvalidConfiguration.
        """
        return self._drive(self._protocol.set_budget(per_subject, per_device, delta))

    def search(
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
        return self._drive(flow)

    def search_image(self, name: str, path: AnyPath, *, top_k: int = 10, purpose: str | None = None) -> Hits:
        """The rows most like an image file, best first; raises ImageRefused, ModelMismatch, KeyMissing."""
        return self._drive(self._protocol.search_image(name, path, top_k, purpose))

    def search_text(self, name: str, text: str, *, top_k: int = 10, purpose: str | None = None) -> Hits:
        """The rows most like words, best first; raises ModelMismatch, KeyMissing."""
        return self._drive(self._protocol.search_text(name, text, top_k, purpose))

    def search_vector(self, name: str, vector: npt.ArrayLike, *, top_k: int = 10, purpose: str | None = None) -> Hits:
        """The rows most like a vector (d,), best first; raises InvalidVector, KeyMissing."""
        return self._drive(self._protocol.search_vector(name, vector, top_k, purpose))

    def search_like(self, name: str, id: str, *, top_k: int = 10, purpose: str | None = None) -> Hits:
        """More like the row ``id``, which is left out itself; raises RowNotFound, KeyMissing."""
        return self._drive(self._protocol.search_like(name, id, top_k, purpose))

    def count(self, name: str) -> int:
        """Live rows of a collection; raises CollectionNotFound."""
        return self._drive(self._protocol.count(name))

    def list(self, name: str, *, limit: int | None = None, offset: int = 0) -> Records:
        """Records in the order of enrolment, from this device's mirror; raises KeyMissing, CollectionNotFound."""
        return self._drive(self._protocol.list(name, limit, offset))

    def get(self, name: str, id: str) -> Record:
        """The record of one row; raises RowNotFound, KeyMissing."""
        return self._drive(self._protocol.get(name, id))

    def erase(self, name: str, ids: str | Iterable[str], *, certificate: AnyPath | None = None) -> int:
        """Erase rows from the server's disk and memory and from this device's mirror; gives how many.

        When one is not there nothing is erased and RowNotFound is raised; beyond 65,536 ids that holds for each run of
        65,536, and an error's note says how many were erased before. Other devices drop their copy of the sealed
        records when they next synchronise. The server's signed certificates are verified, kept on this device, and
        written to the new file ``certificate``, one a line. Raises InvalidInput when it is there, OnLegalHold.
        """
        return self._drive(self._protocol.erase(name, ids, certificate))

    def pack(self, name: str) -> int:
        """Move rows that were enrolled one by one to where many share a block; gives how many moved.

        For owner-encrypted collections, where nobody else can: replies are shorter afterwards. Enrolment does it by
        itself when many such rows have come together. Raises InvalidInput for a sealed collection.
        """
        return self._drive(self._protocol.pack(name))

    def status(self) -> ServerStatus:
        """How the server is doing: for the role operator."""
        return self._drive(self._protocol.status())

    def backup(self, place: AnyPath) -> BackupMade:
        """Fetch a backup of everything the server keeps, while it goes on serving: for the role operator.

        ``place`` is a file that is not there yet, or a folder. It appears whole and checked, or not at all. It holds no
        key: a restore needs the server's key ring and master key.
        """
        return self._drive(self._protocol.backup(place))

    def audit_check(self) -> LogCheck:
        """Whether the server's audit log goes on from what this device has seen of it; raises LogWentBack.

        Every client does this by itself when it first meets a server.
        """
        return self._drive(self._protocol.audit_check())

    def audit_receipts(self) -> Receipts:
        """The receipts that this device keeps of this server, oldest first."""
        return self._drive(self._protocol.audit_receipts())

    def audit_prove(self, receipt: Receipt) -> LogCheck:
        """Have the server prove that a receipt's act is in its log; raises ProofBroken, LogWentBack."""
        return self._drive(self._protocol.audit_prove(receipt))

    def audit_export(self, write: Write, *, since: datetime | None = None, against: Sequence[str] = ()) -> LogCheck:
        """Fetch the log, check every leaf against the signed head, then give ``write`` its lines: for auditors.

        ``against`` are signed heads from elsewhere that the log must have had. Raises ProofBroken, LogWentBack.
        """
        return self._drive(self._protocol.audit_export(write, since, against))

    def audit_accept(self) -> LogCheck:
        """Begin anew with the log that the server shows now, after it was restored from a backup."""
        return self._drive(self._protocol.audit_accept())

    def _drive(self, flow: Flow[Result], progress: bool | Watcher = False) -> Result:
        """Carry out a flow's steps until it is done."""
        with watching(progress) as watcher:
            try:
                step = next(flow)
                while True:
                    try:
                        outcome = self._carry_out(step, watcher)
                    except Exception as error:  # noqa: BLE001 - every failure is the flow's to handle or to raise
                        step = flow.throw(error)
                    else:
                        step = flow.send(outcome)
            except StopIteration as done:
                result: Result = done.value
                return result
            finally:
                flow.close()

    def _carry_out(self, step: Step, watcher: Watcher) -> object:
        match step:
            case Exchange():
                self._exchange(step)
            case Local(work):
                return work()
            case Pause(seconds):
                sleep(seconds)
            case Progress():
                watcher(step)
        return None

    def _exchange(self, exchange: Exchange) -> None:
        act = self._session.act(exchange)
        with self._line.channel() as channel:
            call = _call(channel, exchange.rpc)(
                iter(exchange.requests), timeout=exchange.timeout_s, metadata=self._bearer.metadata()
            )
            try:
                for reply in call:
                    exchange.receive(reply)
                self._session.take_receipt(exchange, act, call.trailing_metadata())
            except grpc.RpcError as error:
                named = translated(error, self._server)
                if isinstance(named, ServerUnavailable):
                    self._line.broke(channel)
                raise named from error
            finally:
                call.cancel()


def _call(channel: grpc.Channel, rpc: Rpc) -> grpc.StreamStreamMultiCallable[Message, Message]:
    """All four kinds of gRPC method look the same on the wire: messages up, messages down."""
    return channel.stream_stream(
        rpc.path,
        request_serializer=rpc.request_type.SerializeToString,
        response_deserializer=rpc.reply_type.FromString,
    )
