"""A call's messages as they come from gRPC: read one by one, parsed, none waited for without end.

A message that does not parse or does not come ends the call with a typed error, as everything at the boundary does.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, TypeAlias

from google.protobuf.message import DecodeError, Message
from grpc import aio

from unseen.errors import DeadlineExceeded, MalformedMessage
from unseen_server import limits

# Generic in the type stubs, not when running: hence the quotes.
Context: TypeAlias = "aio.ServicerContext[Any, Any]"
Parse = Callable[[bytes], Message]


async def only_message(messages: AsyncGenerator[Message, None]) -> Message:
    """The one message of a call that has one; MalformedMessage when there is none."""
    async with aclosing(messages):
        async for message in messages:
            return message
    raise MalformedMessage("a call without a message; this method takes exactly one")


async def messages_of(context: Context, parse: Parse) -> AsyncGenerator[Message, None]:
    """Each message, as soon as it is there; MalformedMessage, DeadlineExceeded."""
    # Not through gRPC's own request iterator: it refers to itself, so a call that ends before its stream does would
    # keep its place on the connection until the garbage collector comes by, and the connection would run out of them.
    while True:
        try:
            # Not asyncio.wait_for: when a message and the end of the call come together it drops the cancellation
            # (github.com/python/cpython/issues/86296), and the next read of a call that is gone never returns.
            async with asyncio.timeout(limits.MAX_PAUSE_S):
                data = await context.read()
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
