"""Where bytes become messages and errors become status: around every call of ours, none of the health service's.

    raw bytes -> message (MalformedMessage when it does not parse) -> the service -> reply, or status and unseen-code

Logs carry the method, the code and the type of an error: no content, no address, no identifier.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any, TypeAlias

import grpc
from google.protobuf.message import DecodeError, Message
from grpc import aio

from unseen import wire
from unseen.errors import DeadlineExceeded, MalformedMessage, ServerBusy, StoreFailed, UnseenError
from unseen_server import limits

log = logging.getLogger(__name__)

# Generic in the type stubs, not when running: hence the quotes.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Context: TypeAlias = "aio.ServicerContext[Any, Any]"
Continuation: TypeAlias = "Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]"
Parse = Callable[[bytes], Message]


class Boundary(aio.ServerInterceptor):
    """Parses, limits, times and answers for every service of the contract. Used by one event loop."""

    def __init__(self, on_store_failure: Callable[[], None]) -> None:
        self._on_store_failure = on_store_failure
        self._calls = 0

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> Handler | None:
        """Wrap a handler; gRPC asks once a call."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or not method.startswith("/unseen."):
            return handler
        return self._wrapped(handler, method.rpartition("/")[2])

    def _wrapped(self, handler: Handler, method: str) -> Handler:
        parse: Any = handler.request_deserializer
        serialize = handler.response_serializer
        inner: Any = next(
            behaviour
            for behaviour in (handler.unary_unary, handler.unary_stream, handler.stream_unary, handler.stream_stream)
            if behaviour is not None
        )

        async def answer_once(request: Any, context: Context) -> Any:
            async with self._call(method, context):
                self._require_place()
                return await inner(_received(request, context, parse), context)

        async def answer_many(request: Any, context: Context) -> None:
            async with self._call(method, context):
                self._require_place()
                async with aclosing(inner(_received(request, context, parse), context)) as replies:
                    async for reply in replies:
                        await context.write(reply)

        make = {
            (False, False): (grpc.unary_unary_rpc_method_handler, answer_once),
            (False, True): (grpc.unary_stream_rpc_method_handler, answer_many),
            (True, False): (grpc.stream_unary_rpc_method_handler, answer_once),
            (True, True): (grpc.stream_stream_rpc_method_handler, answer_many),
        }
        wrap, behaviour = make[handler.request_streaming, handler.response_streaming]
        wrapped: Handler = wrap(behaviour, request_deserializer=None, response_serializer=serialize)
        return wrapped

    @asynccontextmanager
    async def _call(self, method: str, context: Context) -> AsyncIterator[None]:
        self._calls += 1
        try:
            async with asyncio.timeout(limits.MAX_SEARCH_S if method == "Search" else limits.MAX_CALL_S):
                yield
        except UnseenError as error:
            log.info("%s refused: %s", method, error.code)
            if isinstance(error, StoreFailed):
                self._on_store_failure()
            _refuse(context, error)
        except TimeoutError:
            log.info("%s cut: took too long", method)
            _refuse(context, DeadlineExceeded("the call took longer than this server allows; ask for less at once"))
        except Exception as error:  # noqa: BLE001 - whatever it was, the caller gets a typed answer
            log.error("%s failed: %s at %s", method, type(error).__name__, _place(error))
            _refuse(context, UnseenError("the server failed in a way it does not know; its log says where"))
        finally:
            self._calls -= 1

    def _require_place(self) -> None:
        if self._calls > limits.MAX_CALLS:
            raise ServerBusy(f"more than {limits.MAX_CALLS} calls are under way; wait a little, then try again")


def _place(error: BaseException) -> str:
    """Where an error was raised; never its message, which may quote what a caller sent."""
    return " < ".join(
        f"{frame.filename}:{frame.lineno}" for frame in reversed(traceback.extract_tb(error.__traceback__))
    )


def _refuse(context: Context, error: UnseenError) -> None:
    # Not context.abort(): gRPC keeps the exception that it raises, and with it every frame and the call itself, until
    # the garbage collector comes by; the call keeps its place on the connection, which soon has none left.
    context.set_code(grpc.StatusCode[wire.grpc_status_name(error)])
    context.set_details(str(error))
    context.set_trailing_metadata(((wire.CODE_METADATA_KEY, error.code),))


def _received(request: Any, context: Context, parse: Parse) -> Any:
    return _parsed(request, parse) if isinstance(request, bytes) else _parsed_stream(context, parse)


async def _parsed_stream(context: Context, parse: Parse) -> AsyncIterator[Message]:
    # Not through gRPC's own request iterator: it refers to itself, so a call that ends before its stream does would
    # keep its place on the connection until the garbage collector comes by, and the connection would run out of them.
    while True:
        try:
            data = await asyncio.wait_for(context.read(), limits.MAX_PAUSE_S)
        except TimeoutError:
            raise DeadlineExceeded(
                f"no message for {limits.MAX_PAUSE_S:.0f} seconds in the middle of a stream; send it again, faster"
            ) from None
        if data is aio.EOF:
            return
        yield _parsed(data, parse)


def _parsed(data: bytes, parse: Parse) -> Message:
    try:
        return parse(data)
    except DecodeError:
        raise MalformedMessage(
            "bytes that are no message of this contract; is the client of another release?"
        ) from None
