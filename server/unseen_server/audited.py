"""How a call and the audit log go together: nothing is done and nothing is answered that the log does not hold.

    change    first message -> leaf ASKED on disk -> the service -> leaf OK on disk -> answer and receipt
                                                  └> refused      -> leaf with the code on disk -> refusal
    read      first message -> the service -> first reply is ready -> leaf OK on disk -> replies, then the receipt

A call that is refused before it changed anything leaves a leaf as well, but a flood of them does not (``refusals``).
A leaf OK of a read says that the answer began to leave; a kill may have come between.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from google.protobuf.message import Message

from unseen.audit.leaf import ASKED, DONE, Details
from unseen.audit.receipt import Receipt
from unseen.errors import UnseenError
from unseen_server.acts import ACTS, Kind, details_of
from unseen_server.audit import Audit
from unseen_server.call import Call

GiveReceipt = Callable[[Receipt], None]


class AuditedCall:
    """One call on its way through the log."""

    def __init__(self, audit: Audit, call: Call, give_receipt: GiveReceipt) -> None:
        self.call = call
        self.outcome: str | None = None
        """How the call ended according to its last leaf; None when no leaf says."""
        self._audit = audit
        self._kind = ACTS[call.method]
        self._give_receipt = give_receipt
        self._details = Details()

    async def answer_once(self, request: Any, serve: Callable[[Any, Call], Awaitable[Message]]) -> Message:
        """Have the service answer with one message."""
        request = await self._begin(request)
        if self._kind is Kind.CHANGE:
            reply = await self._change(request, serve)
        else:
            reply = await serve(request, self.call)
        await self._end(DONE)
        return reply

    async def answer_many(
        self, request: Any, serve: Callable[[Any, Call], AsyncGenerator[Message, None]]
    ) -> AsyncGenerator[Message, None]:
        """Have the service answer with a stream."""
        request = await self._begin(request)
        is_first = True
        async with aclosing(serve(request, self.call)) as replies:
            async for reply in replies:
                if is_first:
                    await self._end(DONE)
                    is_first = False
                yield reply
        if is_first:  # an answer without a message is one as well
            await self._end(DONE)

    async def _change(self, request: Any, serve: Callable[[Any, Call], Awaitable[Message]]) -> Message:
        asked = await self._record(ASKED, self._details)
        self._details = replace(self._details, asked=asked.index)
        try:
            return await serve(request, self.call)
        except Exception as error:
            await self._end(error.code if isinstance(error, UnseenError) else UnseenError.code)
            raise

    async def _begin(self, request: Any) -> Any:
        """Look at the first message; gives back what the service is to read."""
        if isinstance(request, Message):
            self._details = details_of(request)
            return request
        first = await anext(request, None)
        if first is not None:
            self._details = details_of(first)
        return _from(first, request)

    async def _end(self, outcome: str) -> None:
        if self._kind is Kind.OPEN:
            return
        receipt = await self._record(outcome, self._details.merged(self.call.notes.details))
        self.outcome = outcome
        self._give_receipt(receipt)

    async def _record(self, outcome: str, details: Details) -> Receipt:
        return await asyncio.wrap_future(self._audit.record(self.call.caller, self.call.method, outcome, details))


async def _from(first: Message | None, rest: AsyncIterator[Message]) -> AsyncIterator[Message]:
    if first is not None:
        yield first
        async for message in rest:
            yield message
