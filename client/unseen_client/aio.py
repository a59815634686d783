"""``AsyncClient``: drives the same protocol over a grpc.aio channel; work on the device goes to threads."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from types import TracebackType
from typing import TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from unseen.deid.settings import DeidSettings
from unseen_client.bearer import TokenBearer, TokenSource
from unseen_client.calls.aio.collections import CollectionAsyncCalls
from unseen_client.calls.aio.describing import DescribingAsyncCalls
from unseen_client.calls.aio.enrolling import EnrollingAsyncCalls
from unseen_client.calls.aio.governance import GovernanceAsyncCalls
from unseen_client.calls.aio.medical import MedicalAsyncCalls
from unseen_client.calls.aio.rows import RowAsyncCalls
from unseen_client.calls.aio.searching import SearchingAsyncCalls
from unseen_client.calls.aio.server import ServerAsyncCalls
from unseen_client.calls.arguments import AnyPath, as_path
from unseen_client.calls.protocol import Protocol
from unseen_client.keys.passphrase import PassphraseSource
from unseen_client.progress import Watcher, watching
from unseen_client.session import DEFAULT_TIMEOUT_S, Session
from unseen_client.steps import Exchange, Flow, Local, Pause, Progress, Rpc, Step
from unseen_client.transport import CHANNEL_OPTIONS, TLS, channel_credentials, require_address, translated

Result = TypeVar("Result")

_LOST_STATUS = "Internal error from Core"
LOOK_S = 0.1
"""Longer than an error needs to come back from most servers."""


class AsyncClient(
    CollectionAsyncCalls,
    EnrollingAsyncCalls,
    SearchingAsyncCalls,
    RowAsyncCalls,
    DescribingAsyncCalls,
    MedicalAsyncCalls,
    GovernanceAsyncCalls,
    ServerAsyncCalls,
):
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
        self._session = Session(server, timeout_s, as_path(home), deid=deid, passphrase=passphrase)
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
