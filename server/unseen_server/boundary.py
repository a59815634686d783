"""Where bytes become messages and errors become status: around every call of ours, none of the health service's.

    raw bytes -> message (MalformedMessage when it does not parse) -> the service -> reply, or status and unseen-code

Logs carry the method, the code and the type of an error: no content, no address, no identifier.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
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
                return await inner(_received(request, parse), context)

        async def answer_many(request: Any, context: Context) -> None:
            async with self._call(method, context):
                async for reply in inner(_received(request, parse), context):
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
            if self._calls > limits.MAX_CALLS:
                raise ServerBusy(f"more than {limits.MAX_CALLS} calls are under way; wait a little, then try again")
            async with asyncio.timeout(limits.MAX_SEARCH_S if method == "Search" else limits.MAX_CALL_S):
                yield
        except UnseenError as error:
            log.info("%s refused: %s", method, error.code)
            if isinstance(error, StoreFailed):
                self._on_store_failure()
            await _abort(context, error)
        except TimeoutError:
            log.info("%s cut: took too long", method)
            await _abort(
                context, DeadlineExceeded("the call took longer than this server allows; ask for less at once")
            )
        except Exception as error:
            if isinstance(error, aio.AbortError | aio.BaseError):
                raise
            log.exception("%s failed: %s", method, type(error).__name__)
            await _abort(context, UnseenError("the server failed in a way it does not know; its log says where"))
        finally:
            self._calls -= 1


async def _abort(context: Context, error: UnseenError) -> None:
    status = grpc.StatusCode[wire.grpc_status_name(error)]
    await context.abort(status, str(error), trailing_metadata=((wire.CODE_METADATA_KEY, error.code),))


def _received(request: Any, parse: Parse) -> Any:
    return _parsed(request, parse) if isinstance(request, bytes) else _parsed_stream(request, parse)


async def _parsed_stream(requests: AsyncIterator[bytes], parse: Parse) -> AsyncIterator[Message]:
    while True:
        try:
            data = await asyncio.wait_for(anext(requests), limits.MAX_PAUSE_S)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise DeadlineExceeded(
                f"no message for {limits.MAX_PAUSE_S:.0f} seconds in the middle of a stream; send it again, faster"
            ) from None
        yield _parsed(data, parse)


def _parsed(data: bytes, parse: Parse) -> Message:
    try:
        return parse(data)
    except DecodeError:
        raise MalformedMessage(
            "bytes that are no message of this contract; is the client of another release?"
        ) from None
