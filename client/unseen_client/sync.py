"""``Client``: drives the protocol over a blocking gRPC channel."""

from __future__ import annotations

from time import sleep
from types import TracebackType
from typing import TypeVar

import grpc
from google.protobuf.message import Message

from unseen.deid.settings import DeidSettings
from unseen.errors import ServerUnavailable
from unseen_client.bearer import TokenBearer, TokenSource
from unseen_client.calls.arguments import AnyPath, as_path
from unseen_client.calls.blocking.collections import CollectionCalls
from unseen_client.calls.blocking.describing import DescribingCalls
from unseen_client.calls.blocking.enrolling import EnrollingCalls
from unseen_client.calls.blocking.governance import GovernanceCalls
from unseen_client.calls.blocking.medical import MedicalCalls
from unseen_client.calls.blocking.rows import RowCalls
from unseen_client.calls.blocking.searching import SearchingCalls
from unseen_client.calls.blocking.server import ServerCalls
from unseen_client.calls.protocol import Protocol
from unseen_client.keys.passphrase import PassphraseSource
from unseen_client.line import Line
from unseen_client.progress import Watcher, watching
from unseen_client.session import DEFAULT_TIMEOUT_S, Session
from unseen_client.steps import Exchange, Flow, Local, Pause, Progress, Rpc, Step
from unseen_client.transport import CHANNEL_OPTIONS, TLS, channel_credentials, require_address, translated

Result = TypeVar("Result")


class Client(
    CollectionCalls,
    EnrollingCalls,
    SearchingCalls,
    RowCalls,
    DescribingCalls,
    MedicalCalls,
    GovernanceCalls,
    ServerCalls,
):
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
        ``passphrase`` opens this device's keys where they are under one, and locks them before a first owner key is
        kept: the text, or a function that asks for it at the first need, and twice before keys are put under it for the
        first time; else UNSEEN_KEYS_PASSPHRASE, or the terminal (docs/owner-encrypted.md).
        Raises InvalidConfiguration.
        """
        self._server = require_address(server)
        self._bearer = TokenBearer(token)
        credentials = channel_credentials(server, tls, self._bearer, insecure_no_tls)
        self._session = Session(server, timeout_s, as_path(home), deid=deid, passphrase=passphrase)
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
