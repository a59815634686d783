"""Where bytes become messages and errors become status, around every call.

    who calls, and may it? -> raw bytes -> message (MalformedMessage when it does not parse)
    -> the service, through the audit log (``audited``) -> reply, or status and unseen-code

A service gets a ``Call`` in the place of gRPC's context: who asks, and nothing that it could answer through.

Logs carry the method, the code and the type of an error: no content, no address, no identifier.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import ExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import grpc
from google.protobuf.message import Message
from grpc import aio

from unseen import wire
from unseen.audit.leaf import DONE
from unseen.audit.receipt import METADATA_KEY, Receipt
from unseen.errors import DeadlineExceeded, ServerBusy, StoreFailed, UnseenError
from unseen_server import limits
from unseen_server.access.gate import Gate
from unseen_server.audit import Audit
from unseen_server.audited import CANCELLED, AuditedCall
from unseen_server.call import Call, Caller
from unseen_server.incoming import Context, Parse, messages_of, only_message
from unseen_server.operations.metrics import Metrics
from unseen_server.quota import Quotas
from unseen_server.refusals import Refusals

log = logging.getLogger(__name__)

# Generic in the type stubs, not when running: hence the quotes.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Continuation: TypeAlias = "Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]"

HEALTH_SERVICE = "/grpc.health.v1.Health"


@dataclass
class _Answering:
    """One call while it is answered."""

    path: str
    context: Context
    caller: Caller | None = None
    """None until it is known who calls."""
    audited: AuditedCall | None = None
    """None until its caller was let in."""
    held: ExitStack = field(default_factory=ExitStack)
    """What is given back when it ends."""
    code: str = DONE
    """How it ended, for the metrics."""
    began_s: float = field(default_factory=time.monotonic)

    def is_by(self, caller: Caller) -> None:
        """It is known who calls."""
        self.caller = caller

    @property
    def tenant(self) -> str | None:
        """Whose caller it is; None while nobody known calls."""
        return None if self.caller is None else self.caller.tenant

    @property
    def method(self) -> str:
        """As in the contract, without its service."""
        return self.path.rpartition("/")[2]


class Boundary(aio.ServerInterceptor):
    """Parses, limits, times and answers for every service. Used by one event loop.

    To gRPC every method is a stream: of a method with one request it would wait for that request itself, for ever.
    """

    def __init__(
        self,
        on_store_failure: Callable[[], None],
        gate: Gate,
        quotas: Quotas,
        rooms: Mapping[str, Callable[[], None]],
    ) -> None:
        """``rooms``: by path, what raises ServerBusy when the method has no room: asked before anything is read."""
        self._on_store_failure = on_store_failure
        self._gate = gate
        self._quotas = quotas
        self._rooms = rooms
        self._wrapped: dict[str, Handler] = {}
        self._calls = 0
        self._health_calls = 0
        self._audit: Audit
        self._refusals: Refusals
        self._metrics: Metrics

    def write_down_in(self, audit: Audit, refusals: Refusals, metrics: Metrics) -> None:
        """Where acts go. To be called before the first call comes; the log is opened after the port is bound."""
        self._audit = audit
        self._refusals = refusals
        self._metrics = metrics

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> Handler | None:
        """Wrap a handler; gRPC asks once a call, and gets the same each time."""
        path = handler_call_details.method
        if path not in self._wrapped:
            handler = await continuation(handler_call_details)
            if handler is None:
                return None
            is_health = path.rpartition("/")[0] == HEALTH_SERVICE
            self._wrapped[path] = self._health(handler) if is_health else self._ours(handler, path)
        return self._wrapped[path]

    def _ours(self, handler: Handler, path: str) -> Handler:
        parse: Any = handler.request_deserializer
        inner = _behaviour(handler)

        async def request_of(context: Context, call: Call) -> Any:
            messages = messages_of(context, self._counted(call, parse))
            return messages if handler.request_streaming else await only_message(messages)

        async def answer_once(_: Any, context: Context) -> Any:
            async with self._answering(path, context) as answering:
                audited = self._admitted(answering)
                return await audited.answer_once(await request_of(context, audited.call), inner)

        async def answer_many(_: Any, context: Context) -> None:
            async with self._answering(path, context) as answering:
                audited = self._admitted(answering)
                async with aclosing(audited.answer_many(await request_of(context, audited.call), inner)) as replies:
                    async for reply in replies:
                        await context.write(reply)

        return _as_stream(handler, answer_many if handler.response_streaming else answer_once)

    def _health(self, handler: Handler) -> Handler:
        """A watcher may stay as long as it likes, but not everybody at once."""
        parse: Any = handler.request_deserializer
        inner = _behaviour(handler)

        async def answer(_: Any, context: Context) -> Any:
            self._health_calls += 1
            try:
                if self._health_calls > limits.MAX_HEALTH_CALLS:
                    raise ServerBusy(
                        "too many health calls are under way; one watcher is enough", retry_after_s=limits.RETRY_CALL_S
                    )
                return await inner(await only_message(messages_of(context, parse)), context)
            except UnseenError as error:
                return _refuse(context, error)
            finally:
                self._health_calls -= 1

        return _as_stream(handler, answer)

    @asynccontextmanager
    async def _answering(self, path: str, context: Context) -> AsyncIterator[_Answering]:
        """Whatever goes wrong in here, the caller gets a typed answer."""
        answering = _Answering(path, context)
        method = answering.method
        self._calls += 1
        self._metrics.call_began()
        try:
            async with asyncio.timeout(_time_for(method, context)):
                yield answering
        except UnseenError as error:
            if isinstance(error, StoreFailed):
                self._on_store_failure()
            if self._refuse(answering, error):
                log.info("call refused", extra={"method": method, "code": error.code})
        except TimeoutError:
            log.info("call cut: it took too long", extra={"method": method})
            self._refuse(
                answering, DeadlineExceeded("the call took longer than this server allows; ask for less at once")
            )
        except Exception as error:  # whatever it was, the caller gets a typed answer
            log.error("call failed", exc_info=error, extra={"method": method})
            unknown = UnseenError("the server failed in a way it does not know; its log says where")
            self._refuse(answering, unknown)
        except asyncio.CancelledError:
            answering.code = CANCELLED
            raise
        finally:
            self._calls -= 1
            answering.held.close()
            self._metrics.call_ended(method, answering.code, time.monotonic() - answering.began_s, answering.tenant)

    def _admitted(self, answering: _Answering) -> AuditedCall:
        """The call, when there is a place for it and its caller may make it; no byte of a message was read yet."""
        self._require_place()
        context = answering.context
        call = Call(answering.method, self._gate.admit(answering.path, context, answering.is_by))
        if answering.path in self._rooms:
            self._rooms[answering.path]()
        answering.held.enter_context(self._quotas.under_way(call.caller))
        answering.audited = AuditedCall(self._audit, call, lambda receipt: _give(context, receipt))
        return answering.audited

    def _counted(self, call: Call, parse: Parse) -> Parse:
        """Count a message's bytes before any of them is looked at."""

        def counted(data: bytes) -> Message:
            self._quotas.take_bytes(call.caller, len(data))
            return parse(data)

        return counted

    def _refuse(self, answering: _Answering, error: UnseenError) -> bool:
        """Answer with an error; whether that is news, and not one of a flood."""
        answering.code = error.code
        _refuse(answering.context, error)
        has_leaf = answering.audited is not None and answering.audited.outcome in (error.code, CANCELLED)
        return self._refusals.note(answering.caller, answering.method, error.code, has_leaf)

    def _require_place(self) -> None:
        if self._calls > limits.MAX_CALLS:
            raise ServerBusy(
                f"more than {limits.MAX_CALLS} calls are under way; wait a little, then try again",
                retry_after_s=limits.RETRY_CALL_S,
            )


def _time_for(method: str, context: Context) -> float:
    """Seconds that a call may take: what its client waits for, at most what the server allows."""
    most_s = {"Search": limits.MAX_SEARCH_S, "CreateBackup": limits.MAX_BACKUP_S}.get(method, limits.MAX_CALL_S)
    left_s: Any = context.time_remaining()  # None without a deadline, whatever the stubs say
    return most_s if left_s is None else min(most_s, left_s)


def _behaviour(handler: Handler) -> Any:
    behaviours = (handler.unary_unary, handler.unary_stream, handler.stream_unary, handler.stream_stream)
    return next(behaviour for behaviour in behaviours if behaviour is not None)


def _as_stream(handler: Handler, behaviour: Any) -> Handler:
    wrap = grpc.stream_stream_rpc_method_handler if handler.response_streaming else grpc.stream_unary_rpc_method_handler
    wrapped: Handler = wrap(behaviour, request_deserializer=None, response_serializer=handler.response_serializer)
    return wrapped


def _refuse(context: Context, error: UnseenError) -> None:
    # Not context.abort(): gRPC keeps the exception that it raises, and with it every frame and the call itself, until
    # the garbage collector comes by; the call keeps its place on the connection, which soon has none left.
    context.set_code(grpc.StatusCode[wire.grpc_status_name(error)])
    context.set_details(str(error))
    _add_trailer(context, wire.CODE_METADATA_KEY, error.code)
    if error.retry_after_s is not None:
        _add_trailer(context, wire.RETRY_METADATA_KEY, f"{error.retry_after_s:.1f}")


def _give(context: Context, receipt: Receipt) -> None:
    _add_trailer(context, METADATA_KEY, receipt.to_bytes())


def _add_trailer(context: Context, key: str, value: str | bytes) -> None:
    context.set_trailing_metadata((*context.trailing_metadata(), (key, value)))
